"""Metric values computed from predictions."""

import json
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest
import synthetic_study as synthetic

from variability.errors import UserError
from variability.io.artefacts import PREDICTED, SCORES, read_record, write_record
from variability.io.files import sha256
from variability.results.score_table import SCHEMA
from variability.stages.score import score

CELL = ("a", "digits", "full")


@pytest.fixture
def files(tmp_path):
    return synthetic.study_files(tmp_path, models=("a",), seeds=(0, 1, 2), failed={(*CELL, 1)})["predict"][0], tmp_path


def scored(files, metrics=("accuracy", "recall", "confusion", "nll"), code="code"):
    manifest, folder = files
    task, target = folder / "prepare" / "digits" / "task.json", folder / "score" / "scores.json"
    score([manifest], task, metrics, code, target.parent, target)
    assert read_record(target, SCORES) == {"tables": {"a/full.parquet": sha256(target.parent / "a/full.parquet")}}
    return pq.read_table(target.parent / "a/full.parquet").replace_schema_metadata(None)


def replace_predictions(files, seed, edit):
    """Edit the predictions of a run, as if ``predict`` had written others."""
    manifest, path = files[0], files[0].parent / f"{seed}.parquet"
    edit(pd.read_parquet(path)).to_parquet(path)
    runs = read_record(manifest, PREDICTED)["runs"]
    runs[seed]["sha256"]["predictions"] = sha256(path)
    write_record(manifest, {"runs": runs})


def test_the_table_has_the_agreed_columns(files):
    assert scored(files).schema.equals(SCHEMA)


def test_accuracy_is_that_of_the_generated_predictions(files):
    table = scored(files).to_pandas()
    after = table[(table["metric"] == "accuracy") & (table["phase"] == "after") & (table["split"] == "test")]
    assert after.set_index("seed")["value"].drop(1).tolist() == [0.8, 0.8]
    assert after.set_index("seed")["n_test"].drop(1).tolist() == [60, 60]


def test_a_diverged_run_is_counted_with_every_scalar_and_no_value(files):
    table = scored(files).to_pandas()
    lost = table[(table["seed"] == 1) & (table["phase"] == "after")]
    present = table[(table["seed"] == 0) & (table["phase"] == "after") & table["class"].isna()]
    assert sorted(zip(lost["split"], lost["metric"], strict=True)) == sorted(
        zip(present["split"], present["metric"], strict=True)
    )
    assert lost["value"].isna().all()
    assert (lost["n_test"] == 0).all()


def test_predictions_of_a_diverged_run_from_before_training_are_scored(files):
    table = scored(files).to_pandas()
    before = table[(table["seed"] == 1) & (table["phase"] == "before") & table["class"].isna()]
    assert before["value"].notna().all()


def test_values_per_class_have_class_names(files):
    table = scored(files).to_pandas()
    recall = table[(table["metric"] == "recall") & (table["seed"] == 0) & (table["phase"] == "after")]
    assert set(recall["class"]) == {"zero", "one", "two"}
    assert recall["predicted"].isna().all()


def test_the_confusion_matrix_counts_every_example(files):
    table = scored(files).to_pandas()
    cells = table[(table["metric"] == "confusion") & (table["seed"] == 0) & (table["split"] == "test")]
    assert (cells.groupby("phase")["value"].sum() == 60).all()
    assert cells["predicted"].notna().all()


def test_scoring_twice_makes_the_same_file_and_scores_once(files, caplog):
    scored(files)
    table = files[1] / "score/a/full.parquet"
    first = table.read_bytes()
    os.utime(table, (0, 0))
    scored(files)
    assert table.stat().st_mtime == 0
    assert not caplog.records
    table.unlink()
    scored(files)
    assert table.read_bytes() == first
    assert caplog.messages == [f"{table} was removed; it is made again"]


def test_other_metrics_other_code_and_other_predictions_are_scored_again(files):
    scored(files)
    assert set(scored(files, ["accuracy"])["metric"].to_pylist()) == {"accuracy"}
    table = files[1] / "score/a/full.parquet"
    os.utime(table, (0, 0))
    scored(files, ["accuracy"], code="edited")
    assert table.stat().st_mtime > 0
    replace_predictions(files, 0, lambda table: table.assign(y_pred=0))
    os.utime(table, (0, 0))
    scored(files, ["accuracy"], code="edited")
    assert table.stat().st_mtime > 0


def test_predictions_of_another_number_of_classes_are_refused(files):
    (files[1] / "prepare" / "digits" / "task.json").write_text(
        json.dumps({"kind": "classification", "class_names": ["zero", "one"]})
    )
    with pytest.raises(UserError, match="not those of 2 classes"):
        scored(files)


def test_logits_are_not_mistaken_for_probabilities(files):
    replace_predictions(files, 0, lambda table: table.assign(probabilities=[[3.0, -1.0, 0.5]] * len(table)))
    with pytest.raises(UserError, match="do not sum to 1"):
        scored(files)


def test_missing_or_damaged_predictions_are_named_with_the_fix(files):
    path = files[0].parent / "2.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"2\.parquet is not the file that predict wrote.*--forcerun predict"):
        scored(files)
    path.unlink()
    with pytest.raises(UserError, match=r"2\.parquet is missing; run again with `snakemake --forcerun predict`"):
        scored(files)


def test_regression_needs_neither_classes_nor_probabilities(files):
    (files[1] / "prepare" / "digits" / "task.json").write_text(json.dumps({"kind": "regression", "class_names": []}))
    for seed in range(3):
        replace_predictions(files, seed, lambda table: table.drop(columns="probabilities").astype({"y_true": float}))
    table = scored(files, ["mae"]).to_pandas()
    assert table.groupby(["seed", "phase"])["value"].mean()[0, "after"] > 0
