import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiny_study

from variability import registry
from variability.config import recipe
from variability.errors import UserError
from variability.io import files
from variability.stages.aggregate import aggregate
from variability.stages.analyse import analyse
from variability.stages.finetune import finetune
from variability.stages.plot import plot
from variability.stages.predict import list_or_predict, predict
from variability.stages.score import score
from variability.training import prediction_files
from variability.training.input_files import InputFiles

pytestmark = pytest.mark.usefixtures("tiny_provider")


@pytest.fixture
def study(tmp_path):
    """Fine-tunes and predicts below ``tmp_path``; returns the folder of predictions. Keywords change the spec."""
    prepared = {}

    def run(name="predict", kind="classification", code="code", **changes):
        if kind not in prepared:
            prepared[kind] = tiny_study.prepare(tmp_path / kind, kind)
        spec = copy.deepcopy(tiny_study.STUDY) | {"task": {"name": "digits", "kind": kind}} | changes
        fitted, folder = tmp_path / f"{name}-finetune", tmp_path / name
        finetune(spec, InputFiles(prepared[kind]), "code", fitted / "block-0.json", tiny_study.workplace())
        finetuned, manifest = fitted / "block-0.json", folder / "block-0.json"
        predict(spec, InputFiles(prepared[kind]), finetuned, code, folder, manifest, tiny_study.workplace())
        return folder

    run.folder = tmp_path
    return run


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_every_example_of_validation_and_test_is_predicted_before_and_after(study):
    table = pd.read_parquet(study() / "0.parquet")
    assert list(table) == [
        "model",
        "task",
        "method",
        "seed",
        "kind",
        "phase",
        "split",
        "example_id",
        "source",
        "y_true",
        "y_pred",
        "probabilities",
    ]
    assert (table[["model", "task", "method", "seed"]] == ["small", "digits", "everything", 0]).all(axis=None)
    sizes = table.groupby(["phase", "split"], observed=True).size().to_dict()
    assert sizes == {
        (phase, split): n for phase in ("before", "after") for split, n in (("validation", 40), ("test", 60))
    }
    _, labels = tiny_study.images_and_labels()
    assert (table.y_true == labels[1199 - table.example_id]).all()
    assert (table.source == table.example_id.astype(str) + ".png").all()
    probabilities = np.stack(table.probabilities)
    assert probabilities.shape == (200, 10) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), table.y_pred)


def test_predictions_agree_with_the_history_of_training(study):
    folder = study()
    table = pd.read_parquet(folder / "0.parquet").query("split == 'validation'")
    history = pd.read_csv(study.folder / "predict-finetune" / "0" / "history.csv")
    correct = (table.y_true == table.y_pred).groupby(table.phase, observed=True).mean()
    assert correct["before"] == history.validation_accuracy.iloc[0]
    assert correct["after"] == history.validation_accuracy.iloc[-1]
    assert correct["after"] > correct["before"]


def test_regression_predicts_values_without_probabilities(study):
    settings = recipe.resolve(tiny_study.STUDY["recipe"], {"lr": 0.002})
    table = pd.read_parquet(study(kind="regression", recipe=settings) / "0.parquet")
    assert table.y_true.dtype == table.y_pred.dtype == np.float64
    assert table.probabilities.isna().all()
    assert table.y_pred.nunique() > 50


def test_a_diverged_run_has_rows_before_and_none_after(study):
    folder = study(recipe=recipe.resolve(tiny_study.STUDY["recipe"], {"lr": 1e30, "warmup": 0.0}))
    assert set(pd.read_parquet(folder / "0.parquet").phase) == {"before"}
    assert [run["status"] for run in files.read_json(folder / "block-0.json")["runs"]] == ["diverged", "diverged"]
    assert b'"status": "diverged"' in pq.read_schema(folder / "0.parquet").metadata[b"variability"]


def test_finished_predictions_are_reused_and_changed_ones_predicted_again(study):
    folder = study(seeds=[0, 1])
    before = times(folder)
    study(seeds=[0, 1, 2])
    assert {name: time for name, time in times(folder).items() if name != "2.parquet"} == before
    study(seeds=[0, 1, 2], code="edited")
    assert all(times(folder)[name] != before[name] for name in before)


@pytest.mark.parametrize(("file", "happened"), [("0.parquet", "damaged or replaced"), ("0.parquet.json", "damaged")])
def test_a_damaged_file_is_predicted_again_and_the_log_says_why(study, caplog, file, happened):
    folder = study()
    whole = pd.read_parquet(folder / "0.parquet")
    (folder / file).write_bytes((folder / file).read_bytes()[:-20])
    study()
    (reason,) = [record.getMessage() for record in caplog.records if "computed again" in record.getMessage()]
    assert "predictions: seed 0 is computed again: " in reason and f"{folder / file} " in reason and happened in reason
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "0.parquet"), whole)


def test_predictions_of_a_run_are_the_same_in_every_seed_chunk(study):
    together, apart = study("together", seeds=[1, 0]), study("apart", seeds=[1])
    pd.testing.assert_frame_equal(pd.read_parquet(together / "1.parquet"), pd.read_parquet(apart / "1.parquet"))


def test_equal_runs_make_files_of_equal_bytes(study):
    folder = study(seeds=[0])
    first = (folder / "0.parquet").read_bytes()
    (folder / "0.parquet").unlink()
    study(seeds=[0])
    assert (folder / "0.parquet").read_bytes() == first


def test_a_checkpoint_that_the_manifest_does_not_list_is_refused_and_the_others_are_predicted(study, tmp_path):
    folder = study()
    task_json, fitted = tmp_path / "classification" / "task.json", tmp_path / "predict-finetune"
    (fitted / "0" / "checkpoint.safetensors").write_bytes(b"")
    before = times(folder)
    with pytest.raises(
        UserError,
        match=r"1 of 2 seeds failed.*checkpoint\.safetensors is not the file that finetune wrote.*--forcerun finetune",
    ):
        predict(
            tiny_study.STUDY,
            InputFiles(task_json),
            fitted / "block-0.json",
            "edited",
            folder,
            folder / "block-0.json",
            tiny_study.workplace(),
        )
    assert times(folder)["0.parquet"] == before["0.parquet"]
    assert times(folder)["1.parquet"] != before["1.parquet"]


@pytest.mark.slow
def test_a_task_without_validation_examples_works_from_prediction_to_figures(tmp_path):
    task = tiny_study.prepare(tmp_path / "task", validation=0)
    fitted, folder = tmp_path / "finetune", tmp_path / "predict/small/digits/everything"
    finetune(tiny_study.STUDY, InputFiles(task), "code", fitted / "block-0.json", tiny_study.workplace())
    finetuned, manifest = fitted / "block-0.json", folder / "block-0.json"
    predict(tiny_study.STUDY, InputFiles(task), finetuned, "code", folder, manifest, tiny_study.workplace())
    assert set(pd.read_parquet(folder / "0.parquet")["split"]) == {"test"}
    score([folder / "block-0.json"], task, ["accuracy"], "code", tmp_path, tmp_path / "scores.json")
    scores = pd.read_parquet(tmp_path / "small/everything.parquet")
    assert set(scores["split"]) == {"test"} and set(scores["n_test"]) == {60}
    known = {"backbone": "small", "family": "small", "framework": "pytorch", "seed_pretrain": None}
    spec = {
        "models": {"small": tiny_study.STUDY["model"] | known},
        "tasks": {"digits": {"kind": "classification", "metric": "accuracy"}},
        "methods": {"everything": {"kind": "full", "options": {}, "repeats": None}},
        "imports": {},
        "grid": {},
        "scales": {},
    }
    aggregate([tmp_path / "scores.json"], [fitted / "block-0.json"], spec, tmp_path)
    tables = {name: tmp_path / f"{name}.parquet" for name in ("runs", "per_class", "history")}
    assert pd.read_parquet(tables["history"])["validation_loss"].isna().all()
    for name in registry.names("analyses"):
        analysis = registry.find("analyses", name)
        wanted = {*analysis.NEEDS, *analysis.USES} - {"predictions"}
        # A study without reference probes has no analysis of them.
        if "reference_probe" not in analysis.NEEDS:
            tables[name] = tmp_path / f"{name}.csv"
            analyse(name, {table: tables[table] for table in wanted}, {}, tables[name], [folder / "block-0.json"])
    for name in registry.names("plots"):
        if tables.keys() >= set(registry.find("plots", name).ANALYSES):
            plot(name, tables, {"dpi": 50}, "demo", tmp_path / f"{name}.svg", tmp_path / f"{name}.png")
    assert "not measured" in (tmp_path / "learning_curves.svg").read_text()


def test_it_is_known_without_a_framework_which_predictions_are_current(study):
    def current(threads=1):
        folder, task = study.folder / "predict", study.folder / "classification" / "task.json"
        manifest = study.folder / "predict-finetune" / "block-0.json"
        return prediction_files.all_current(
            tiny_study.STUDY["model"], InputFiles(task), manifest, listing, folder, threads
        )

    listing = study.folder / "code.txt"
    listing.write_text("library 1\n")
    folder = study(code=files.sha256(listing))
    assert current()
    assert not current(threads=2)

    listing.write_text("library 2\n")
    assert not current()
    listing.write_text("library 1\n")
    assert current()

    table = (folder / "1.parquet").read_bytes()
    (folder / "1.parquet").write_bytes(table[:-10])
    assert not current()
    (folder / "1.parquet").unlink()
    assert not current()
    (folder / "1.parquet").write_bytes(table)
    assert current()

    manifest = study.folder / "predict-finetune" / "block-0.json"
    manifest.write_text(manifest.read_text()[:30])
    assert not current()


def test_a_job_that_finds_all_predictions_lists_them_as_predicting_does(study):
    folder = study()
    manifest = folder / "block-0.json"
    spec = copy.deepcopy(tiny_study.STUDY) | {"task": {"name": "digits", "kind": "classification"}, "threads": 1}
    job = (
        spec,
        InputFiles(study.folder / "classification" / "task.json"),
        study.folder / "predict-finetune/block-0.json",
    )
    written, before = manifest.read_text(), times(folder)
    manifest.unlink()
    list_or_predict(*job, "code", manifest, runs_per_gpu=1)
    assert manifest.read_text() == written and times(folder) == before
    (folder / "0.parquet").unlink()
    list_or_predict(*job, "code", manifest, runs_per_gpu=1)
    assert manifest.read_text() == written
    assert [name for name, time in times(folder).items() if time != before[name]] == ["0.parquet"]


def test_looking_for_predictions_imports_no_large_library():
    code = (
        "import sys; from variability import registry; import variability.stages.predict; "
        "registry.find('providers', 'torchvision'); "
        "print(*({'numpy', 'pyarrow', 'pandas', 'torch'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(prediction_files.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
