"""Checkpoints that are not retained are deleted, and nothing else is."""

import copy

import pandas as pd
import pytest
import tiny_study

from variability.errors import UserError
from variability.io import artefacts, files
from variability.results.runs_table import TRAINED_HERE
from variability.stages.finetune import finetune
from variability.stages.keep_checkpoints import best_runs, keep_checkpoints
from variability.stages.predict import predict
from variability.training.input_files import InputFiles

pytestmark = pytest.mark.usefixtures("tiny_provider")


@pytest.fixture
def study(tmp_path):
    """Two runs, fine-tuned and predicted; seed 1 is the better on validation."""
    task = tiny_study.prepare(tmp_path / "prepare/digits")
    fitted, folder = (tmp_path / stage / "small/digits/everything" for stage in ("finetune", "predict"))

    def run(code="code"):
        spec = copy.deepcopy(tiny_study.STUDY)
        block = fitted / "block-0.json"
        finetune(spec, InputFiles(task), "code", block, tiny_study.workplace())
        predict(spec, InputFiles(task), block, code, folder, folder / "block-0.json", tiny_study.workplace())

    run()
    table(0.5, 0.6).to_parquet(tmp_path / "runs.parquet")
    run.keep = lambda keep: keep_checkpoints(
        keep, tmp_path / "runs.parquet", [fitted / "block-0.json"], tmp_path / "kept.json"
    )
    run.fitted, run.folder = fitted, tmp_path
    return run


def table(*values, metric="accuracy"):
    constants = {"model": "small", "task": "digits", "method": "everything", "primary": True, "metric": metric}
    rows = [{"seed": seed, "value": value} | constants for seed, value in enumerate(values)]
    return pd.DataFrame(rows).assign(phase="after", split="validation", source=TRAINED_HERE)


def there(study):
    return {path.parent.name for path in study.fitted.glob("*/checkpoint.safetensors")}


def test_nothing_is_deleted_if_a_manifest_is_that_of_other_runs(study):
    manifest = study.fitted / "block-0.json"
    runs = artefacts.read_record(manifest, artefacts.FITTED)["runs"]
    artefacts.write_record(manifest, {"runs": [*runs[:-1], runs[-1] | {"fingerprint": "of another run"}]})
    with pytest.raises(UserError, match=r"run\.json is that of another run than .*--forcerun finetune"):
        study.keep("none")
    assert there(study) == {"0", "1"}


@pytest.mark.parametrize(("keep", "left"), [("none", set()), ("best", {"1"})])
def test_only_retained_checkpoints_are_left_and_nothing_is_trained_again(study, keep, left):
    manifest = (study.fitted / "block-0.json").read_bytes()
    study.keep(keep)
    assert there(study) == left
    assert files.read_json(study.folder / "kept.json")["kept"] == [
        ["small", "digits", "everything", int(seed)] for seed in left
    ]
    histories = {path: path.stat().st_mtime_ns for path in study.fitted.glob("*/history.csv")}
    study()
    assert {path: path.stat().st_mtime_ns for path in histories} == histories
    assert there(study) == left
    assert (study.fitted / "block-0.json").read_bytes() == manifest
    study.keep(keep)
    assert there(study) == left


def test_a_cell_without_a_score_on_validation_keeps_all_with_a_warning(study, caplog):
    table(float("nan"), float("nan")).to_parquet(study.folder / "runs.parquet")
    study.keep("best")
    assert there(study) == {"0", "1"}
    assert "all of its checkpoints are kept" in caplog.text


def test_an_imported_run_of_the_same_cell_is_not_its_best(study):
    other = table(0.1, 0.2, 0.99).assign(source="an import")
    pd.concat([table(0.5, 0.6), other[other["seed"] == 2]]).to_parquet(study.folder / "runs.parquet")
    study.keep("best")
    assert there(study) == {"1"}


def test_a_best_run_that_was_dropped_earlier_is_not_listed_as_kept(study, caplog):
    study.keep("none")
    study.keep("best")
    assert files.read_json(study.folder / "kept.json")["kept"] == []
    assert "was dropped earlier" in caplog.text


def test_predicting_again_without_the_checkpoint_raises_with_the_fix(study):
    study.keep("none")
    with pytest.raises(
        UserError, match=r"seeds? .*was removed, as the config's `checkpoints` says.*--forcerun finetune"
    ):
        study(code="edited")


def test_best_is_by_the_metrics_own_direction_and_the_lowest_of_equal_seeds():
    assert {seed for *_, seed in best_runs(table(0.7, 0.9, 0.9, float("nan")))} == {1}
    assert {seed for *_, seed in best_runs(table(0.7, 0.9, 0.7, metric="rmse"))} == {0}
    assert best_runs(table(float("nan"))) == set()
