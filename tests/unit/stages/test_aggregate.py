"""The base tables are complete and deterministic, and count failures."""

import csv
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic_study as synthetic

from variability.errors import UserError
from variability.io import artefacts, files
from variability.results import imported_files, score_table
from variability.results.columns import RUN
from variability.stages.aggregate import aggregate
from variability.stages.score import score

pytestmark = pytest.mark.slow

FAILED = ("b", "digits", "full", 1)
SPEC = synthetic.spec(("a", "b"), ("digits",), ("full",)) | {"scales": {}}
OUTPUTS = ("runs.parquet", "runs.csv", "per_class.parquet", "history.parquet")


@pytest.fixture
def study(tmp_path):
    """Scores and manifests of a study of two models and three seeds, one of whose runs diverged."""
    manifests = synthetic.study_files(tmp_path, failed={FAILED})
    scores, metrics = [], ["accuracy", "recall", "confusion", "top5"]
    for number, manifest in enumerate(manifests["predict"]):
        scores.append(tmp_path / "score" / str(number) / "scores.json")
        score([manifest], tmp_path / "prepare/digits/task.json", metrics, "code", scores[-1].parent, scores[-1])
    return scores, manifests["finetune"], tmp_path / "aggregate"


def runs_of(study):
    aggregate(*study[:2], SPEC, study[2])
    return pd.read_parquet(study[2] / "runs.parquet")


def test_there_is_one_row_per_run_phase_split_and_scalar(study):
    table = runs_of(study)
    assert len(table) == 6 * 2 * 2 * 5
    assert not table.duplicated(["model", "task", "method", "seed", "phase", "split", "metric"]).any()


def test_the_order_of_the_files_does_not_change_a_byte(study):
    runs_of(study)
    first = {name: (study[2] / name).read_bytes() for name in OUTPUTS}
    runs_of((study[0][::-1], study[1][::-1], study[2]))
    assert {name: (study[2] / name).read_bytes() for name in OUTPUTS} == first


def test_rows_are_sorted_by_run_and_before_comes_before_after(study):
    table = runs_of(study)
    phases = table["phase"].map({"before": 0, "after": 1})
    keys = list(zip(table["model"], table["seed"], phases, strict=True))
    assert all(one <= other for one, other in pairwise(keys))


def test_every_float_of_the_csv_reads_back_as_it_was(study):
    table = runs_of(study)
    read = pd.read_csv(study[2] / "runs.csv")
    assert list(read) == list(table)
    assert np.array_equal(read["value"], table["value"], equal_nan=True)
    assert (read["primary"] == table["primary"]).all()


def test_no_name_in_the_csv_runs_as_a_formula_and_imports_read_the_names(study):
    spec = synthetic.spec(("a", "b"), ("digits",), ("full",)) | {"scales": {}}
    spec["models"]["a"]["family"] = '=HYPERLINK("http://x")'
    spec["models"]["b"]["architecture"] = "-net"
    aggregate(*study[:2], spec, study[2])
    with open(study[2] / "runs.csv", newline="", encoding="utf-8") as file:
        cells = {cell for row in csv.reader(file) for cell in row}
    assert {'\'=HYPERLINK("http://x")', "'-net"} <= cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t")]
    read = imported_files.read(imported_files.find({"path": str(study[2] / "runs.csv")}), {}).frame
    assert set(read["family"]) == {'=HYPERLINK("http://x")', "b"} and "-net" in set(read["architecture"])
    stored = pd.read_parquet(study[2] / "runs.parquet")
    assert read["model"].tolist() == stored["model"].tolist()


def test_a_diverged_run_keeps_its_rows_with_the_reason(study):
    table = runs_of(study)
    lost = table[(table["model"] == "b") & (table["seed"] == 1)]
    assert (lost["status"] == "diverged").all()
    assert (lost["fail_reason"] == "loss is NaN").all()
    assert lost[lost["phase"] == "after"]["value"].isna().all()
    assert lost[(lost["phase"] == "before") & (lost["metric"] == "accuracy")]["value"].notna().all()


def test_only_the_tasks_own_metric_is_primary(study):
    table = runs_of(study)
    assert set(table.loc[table["primary"], "metric"]) == {"accuracy"}


def test_rows_contain_the_scales_of_the_metrics_whatever_the_config_declares_of_others(study):
    accuracy = runs_of(study).query("metric == 'accuracy'").iloc[0]
    assert accuracy[["range_low", "range_high"]].tolist() == [0, 1]


def test_rows_contain_the_model_the_streams_and_the_versions(study):
    row = runs_of(study).query("model == 'b' and seed == 2").iloc[0]
    assert (row["architecture"], row["weights"], row["model_options"]) == ("b", "IMAGENET1K_V1", "{}")
    assert (row["seed_init"], row["seed_dropout"], row["seed_split"]) == (20, 23, 0)
    assert row["versions"] == "numpy=2.0; torch=2.0"


def test_learning_curves_keep_the_epochs_of_diverged_runs(study):
    runs_of(study)
    history = pd.read_parquet(study[2] / "history.parquet")
    lost = history[history["status"] == "diverged"]
    assert lost["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert len(history) == 5 * 9 + 5


def test_a_run_with_an_infinite_score_has_diverged_in_runs_and_learning_curves(study):
    manifest = study[0][0]
    name = next(iter(files.read_json(manifest)["tables"]))
    path = manifest.parent / name
    table = score_table.read(path)
    scores = table.to_pandas()
    hit = (scores["metric"] == "accuracy") & (scores["phase"] == "after") & (scores["split"] == "test")
    changed = scores[hit].index[0]
    scores.loc[changed, "value"] = float("inf")
    pq.write_table(pa.Table.from_pandas(scores, schema=table.schema, preserve_index=False), path)
    artefacts.write_record(manifest, {"tables": {name: files.sha256(path)}})
    run = list(scores.loc[changed, RUN])
    runs, history = runs_of(study), pd.read_parquet(study[2] / "history.parquet")
    for table in (runs, history):
        assert set(table[(table[RUN] == run).all(axis=1)]["status"]) == {"diverged"}


def test_values_per_class_have_a_table_of_their_own(study):
    table = runs_of(study)
    per_class = pd.read_parquet(study[2] / "per_class.parquet")
    assert set(per_class["metric"]) == {"recall", "confusion"}
    assert "confusion" not in set(table["metric"])


def test_a_run_without_scores_is_refused(study):
    with pytest.raises(
        UserError, match=r"a/digits/full/0 has a run\.json but no scores; remove .* --forcerun finetune"
    ):
        runs_of((study[0][1:], study[1], study[2]))


def test_scores_without_a_run_are_refused(study):
    with pytest.raises(UserError, match=r"a/digits/full/0 has scores but no run\.json"):
        runs_of((study[0], study[1][1:], study[2]))


def test_a_completed_run_without_predictions_is_refused(study):
    path = study[1][1].parent / "1" / "run.json"
    artefacts.write_record(path, artefacts.read_record(path, artefacts.RUN_RECORD) | {"status": "completed"})
    with pytest.raises(UserError, match="b/digits/full/1 completed but has no predictions"):
        runs_of(study)


def test_learning_curves_contain_the_error_of_regressions_and_the_accuracy_of_classifications(study):
    regression = {"kind": "regression", "metric": "accuracy"}
    entries = []
    for path in study[1][0].parent.glob("*/history.csv"):
        pd.read_csv(path).rename(columns={"validation_accuracy": "validation_rmse"}).to_csv(path, index=False)
        record = artefacts.read_record(path.with_name("run.json"), artefacts.RUN_RECORD)
        record["sha256"] = {"history": files.sha256(path)}
        artefacts.write_record(path.with_name("run.json"), record)
        entries.append({key: record[key] for key in ("seed", "fingerprint", "status", "sha256")})
    artefacts.write_record(study[1][0], {"runs": entries})
    before = pd.read_csv(study[1][0].parent / "0" / "history.csv")
    aggregate(*study[:2], SPEC, study[2])
    history = pd.read_parquet(study[2] / "history.parquet").query("seed == 0")
    regressed = history[history["model"] == "a"]
    assert np.array_equal(regressed["validation_rmse"], before["validation_rmse"])
    assert regressed["validation_accuracy"].isna().all()
    classified = history[history["model"] == "b"]
    assert classified["validation_accuracy"].notna().all() and classified["validation_rmse"].isna().all()
    assert set(history["kind"]) == {"classification"}
    aggregate(*study[:2], SPEC | {"tasks": {"digits": regression}}, study[2])
    assert set(pd.read_parquet(study[2] / "history.parquet")["kind"]) == {"regression"}


@pytest.mark.parametrize("file", ["run.json", "history.csv"])
def test_a_missing_or_damaged_file_of_a_run_is_named_with_the_fix(study, file):
    path = study[1][0].parent / "1" / file
    path.write_text('{"half')
    problem = {"run.json": "cannot be read", "history.csv": "is not the file that finetune wrote"}[file]
    with pytest.raises(UserError, match=rf"1/{file} {problem}.*snakemake --forcerun finetune"):
        runs_of(study)
    path.unlink()
    with pytest.raises(UserError, match=rf"1/{file} is missing; run again with `snakemake --forcerun finetune`"):
        runs_of(study)


def test_a_record_without_a_part_that_the_table_needs_is_named_with_the_fix(study):
    path = study[1][0].parent / "1" / "run.json"
    whole = artefacts.read_record(path, artefacts.RUN_RECORD)
    lacking = {key: {name: whole[name] for name in whole if name != key} for key in whole if key != "recipe"}
    for part, key in [("hardware", "device"), ("streams", "split"), ("sha256", "history")]:
        lacking[f"{part}.{key}"] = whole | {part: {name: whole[part][name] for name in whole[part] if name != key}}
    assert len(lacking) == 26
    for key, record in lacking.items():
        artefacts.write_record(path, record)
        with pytest.raises(UserError, match=rf"1/run\.json cannot be read \({key} is missing\).*--forcerun finetune"):
            runs_of(study)
    artefacts.write_record(path, whole)
    runs_of(study)


def test_a_part_of_another_type_is_named_with_the_fix(study):
    path = study[1][0].parent / "1" / "run.json"
    whole = artefacts.read_record(path, artefacts.RUN_RECORD)
    for key, value in [("bytes", {}), ("epochs", "2"), ("fail_reason", 5), ("seconds", [1])]:
        artefacts.write_record(path, whole | {key: value})
        with pytest.raises(UserError, match=rf"run\.json cannot be read \({key}.*--forcerun finetune"):
            runs_of(study)


def test_the_manifest_has_the_checksums_of_the_base_tables_and_of_no_other_file(study):
    study[2].mkdir()
    (study[2] / ".runs.parquet.half.parquet").write_bytes(b"left by a killed job")
    runs_of(study)
    manifest = artefacts.read_record(study[2] / "manifest.json", artefacts.BASE_TABLES)
    tables = ("runs", "per_class", "history", "reference_probe", "imported_predictions")
    names = ["runs.csv", *(f"{table}.parquet" for table in tables)]
    assert manifest == {name: files.sha256(study[2] / name) for name in names}


def test_rows_contain_the_preprocessing(study):
    assert set(runs_of(study)["preprocess"]) == {'{"resize": 32, "size": 32}'}
