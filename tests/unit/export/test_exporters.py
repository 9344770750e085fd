"""Runs in the stores of other programs, read back by those programs."""

import json
import os
import shutil
import struct
import subprocess
import sys
import types

import finished_study
import pandas as pd
import pytest

from variability import extras, provenance, registry
from variability.export import command_line
from variability.export.study_runs import runs_of
from variability.interactive import own_runs

LOST = "/".join(map(str, finished_study.LOST))
NAMES = [f"{model}/digits/full/{seed}" for model in ("a", "b") for seed in (0, 1, 2)]
METRICS = {"after/test/accuracy": "accuracy", "after/validation/nll": "nll"}


@pytest.fixture(scope="module")
def study(finished):
    return finished


@pytest.fixture(scope="module")
def runs(study):
    return {run.name: run for run in runs_of(study)}


def export(name, study, folder, capsys):
    """Export the study and return the line on what was done."""
    status = command_line.main([name, str(study), "--to", str(folder)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out.splitlines()[0]


def change(study, folder):
    """Return a copy of the study in which one value of one run is another."""
    copy = folder / study.name
    shutil.copytree(study, copy)
    table = own_runs.read_runs(copy)
    chosen = (table["model"] == "a") & (table["seed"] == 1) & (table["phase"] == "after") & (table["split"] == "test")
    table.loc[chosen & (table["metric"] == "accuracy"), "value"] = 0.125
    table.to_parquet(copy / "aggregate/runs.parquet")
    (copy / "aggregate/manifest.json").unlink()
    return copy


def values_of(study):
    """Return {(run, metric): value} of the values that are imported again, and the runs that have none."""
    table = own_runs.read_runs(study)
    keys = table["model"] + "/digits/full/" + table["seed"].astype(str)
    names = table["phase"] + "/" + table["split"] + "/" + table["metric"]
    rows = zip(keys, names, table["value"], strict=True)
    return {(run, METRICS[name]): value for run, name, value in rows if name in METRICS and not pd.isna(value)}


def of_import(table):
    keys = table["model"] + "/" + table["task"] + "/" + table["method"] + "/" + table["seed"].astype(str)
    rows = zip(keys, table["metric"], table["value"], strict=True)
    return {(run, metric): value for run, metric, value in rows if not pd.isna(value)}


def test_a_run_has_its_config_curve_and_values(study, runs):
    assert list(runs) == NAMES
    run, lost = runs["a/digits/full/1"], runs[LOST]
    assert run.config["stream.init"] == 10 and run.config["provider"] == "torchvision"
    assert run.config["preprocess.size"] == 32 and "seed_pretrain" not in run.config
    assert list(run.history) == [*range(9)] and run.step == 8
    assert set(run.history[0]) == {"train_loss", "validation_loss", "validation_accuracy", "lr", "seconds",
                                   "examples_per_second"}  # fmt: skip
    assert len(run.metrics) == 8 and run.completed and run.seconds == 2.5
    assert (lost.status, lost.fail_reason, len(lost.metrics)) == ("diverged", "loss is NaN", 4)
    assert "train_loss" not in lost.history[4]  # NaN
    assert len({each.digest for each in runs.values()}) == 6


def test_recipes_are_flat_names(study, tmp_path):
    from variability.io.artefacts import write_record

    copy = tmp_path / "recipes"
    shutil.copytree(study, copy)
    path = copy / "finetune/a/digits/full/0/run.json"
    record = json.loads(path.read_text())
    record.pop("checksum")
    write_record(path, record | {"recipe": {"lr": 0.1, "augmentation": {"crop": 2, "flip": None}, "list": [1, 2]}})
    config = next(runs_of(copy)).config
    assert config["recipe.lr"] == 0.1 and config["recipe.augmentation.crop"] == 2 and config["recipe.list"] == "[1, 2]"
    assert "recipe.augmentation.flip" not in config


def test_infinite_losses_have_a_digest(runs):
    from dataclasses import replace

    run = runs["a/digits/full/0"]
    assert replace(run, history={0: {"train_loss": float("inf")}}).digest != run.digest


@pytest.mark.parametrize("name", registry.names("exporters"))
def test_a_missing_extra_is_named_with_its_command(name, study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    assert command_line.main([name, str(study), "--to", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ") and f"not installed here; `make .venv/.{name}` installs it" in message


def test_what_cannot_be_exported_is_explained(study, tmp_path, capsys):
    for arguments, message in (
        (["tensorbord", str(study)], "unknown exporter 'tensorbord'; did you mean 'tensorboard'?"),
        (["tensorboard", str(tmp_path)], "is not the folder of a finished study"),
        (["tensorboard", str(tmp_path / "gone")], "gone; run the study first (`make study STUDY="),
    ):
        assert command_line.main([*arguments, "--to", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err


def test_tensorboard_shows_curves_values_and_hyperparameters(study, runs, tmp_path, capsys, monkeypatch):
    # Its own reader would import TensorFlow, which takes seconds.
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE

    assert export("tensorboard", study, tmp_path, capsys) == "6 runs: 6 written, 0 replaced, 0 unchanged"
    read = {}
    for name, run in runs.items():
        read[name] = EventAccumulator(str(tmp_path / "my-study" / name)).Reload()
        for tag in run.metrics:
            (event,) = read[name].Scalars(tag)
            assert (event.step, event.value) == (run.step, pytest.approx(run.metrics[tag], rel=1e-6))
        curve = {event.step: event.value for event in read[name].Scalars("validation_loss")}
        assert curve == pytest.approx(
            {step: row["validation_loss"] for step, row in run.history.items() if "validation_loss" in row}, rel=1e-6
        )
    content = read["a/digits/full/1"].SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hparams["model"].string_value == "a" and hparams["stream.init"].number_value == 10
    content = read[LOST].SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    assert metadata.parse_session_end_info_plugin_data(content).status == STATUS_FAILURE


def test_tensorboard_is_exported_again_only_where_runs_changed(study, tmp_path, capsys):
    folder = tmp_path / "events"
    export("tensorboard", study, folder, capsys)
    assert export("tensorboard", study, folder, capsys) == "6 runs: 0 written, 0 replaced, 6 unchanged"
    (folder / "my-study/b/digits/full/0/exported.json").unlink()  # as after a power cut
    changed = change(study, tmp_path / "changed")
    assert export("tensorboard", changed, folder, capsys) == "6 runs: 0 written, 2 replaced, 4 unchanged"
    assert len(list(folder.rglob("*tfevents*"))) == 6


def test_tensorboard_reads_back_as_an_import(study, tmp_path, capsys):
    export("tensorboard", study, tmp_path, capsys)
    columns = {key: f"hparams.{key}" for key in ("model", "task", "method", "seed")}
    metrics = {tag: {"metric": name, "split": tag.split("/")[1]} for tag, name in METRICS.items()}
    table = own_runs.read_runs(tmp_path, format="tensorboard", columns=columns, keep="last", metrics=metrics)
    assert of_import(table) == pytest.approx(values_of(study), rel=1e-6)
    assert set(table.loc[table["status"] != "completed", "seed"]) == {2}


def test_names_of_imported_runs_are_safe_folders():
    from variability.export.exporters import _run_folders

    names = ["..", ".", "a/b", "a%2Fb", "org/model 1.10", "x\\y", "é"]
    safe = [_run_folders.name(name) for name in names]
    assert len(set(safe)) == len(names) and not any("/" in name or "\\" in name or not name.strip(".") for name in safe)
    assert safe[4] == "org%2Fmodel 1.10"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_params_curves_values_and_states(study, runs, tmp_path, capsys):
    folder = tmp_path / "store"
    assert export("mlflow", study, folder, capsys) == "6 runs: 6 written, 0 replaced, 0 unchanged"
    import mlflow
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("my-study").experiment_id
    stored = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert sorted(stored) == NAMES
    for name, run in runs.items():
        assert {key: stored[name].data.metrics[key] for key in run.metrics} == run.metrics
        assert {key: stored[name].data.params[key] for key in run.config} == {
            key: str(value) for key, value in run.config.items()
        }
        curve = client.get_metric_history(stored[name].info.run_id, "validation_loss")
        assert {point.step: point.value for point in curve} == {
            step: row["validation_loss"] for step, row in run.history.items() if "validation_loss" in row
        }
    assert stored[LOST].info.status == "FAILED" and stored[LOST].data.tags["fail_reason"] == "loss is NaN"
    assert {stored[name].info.status for name in NAMES if name != LOST} == {"FINISHED"}
    # Exported again, and after one run changed and another was interrupted.
    assert export("mlflow", study, folder, capsys) == "6 runs: 0 written, 0 replaced, 6 unchanged"
    client.delete_tag(stored["b/digits/full/0"].info.run_id, "variability.digest")
    changed = change(study, tmp_path / "changed")
    assert export("mlflow", changed, folder, capsys) == "6 runs: 0 written, 2 replaced, 4 unchanged"
    assert len(client.search_runs([experiment])) == 6
    # The table that MLflow exports is an import.
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.search_runs([experiment]).to_csv(tmp_path / "runs.csv", index=False)
    columns = {key: f"params.{key}" for key in ("model", "task", "method", "seed")}
    metrics = {f"metrics.{tag}": {"metric": name, "split": tag.split("/")[1]} for tag, name in METRICS.items()}
    table = own_runs.read_runs(tmp_path / "runs.csv", format="mlflow", columns=columns, metrics=metrics)
    assert of_import(table) == pytest.approx(values_of(changed), rel=1e-12)
    assert table.set_index("seed").loc[1, "seconds"].tolist() == pytest.approx([2.5] * 4)
    (folder / "mlflow.db").write_bytes(b"no database" * 100)
    assert command_line.main(["mlflow", str(study), "--to", str(folder)]) == 1
    assert "MLflow refuses this" in capsys.readouterr().err


@pytest.mark.slow
def test_wandb_has_offline_runs_with_their_history(study, runs, tmp_path):
    def command():
        arguments = [sys.executable, "-m", "variability.export", "wandb", str(study), "--to", str(tmp_path)]
        paths = {"PYTHONPATH": str(provenance.PACKAGE.parent)}
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=os.environ | paths)
        return done.stdout.splitlines()[0]

    assert command() == "6 runs: 6 written, 0 replaced, 0 unchanged"
    stored = {}
    for path in tmp_path.glob("wandb/offline-run-*/run-*.wandb"):
        read = wandb_run(path)
        stored[read["name"]] = read
    assert sorted(stored) == NAMES
    for name, run in runs.items():
        summary = stored[name]["summary"]
        assert {key: summary[key] for key in run.metrics} == run.metrics
        assert {key: stored[name]["config"][key] for key in run.config} == run.config
        curves = [{key: row[key] for key in of_step} for row, of_step in zip(
            stored[name]["history"], run.history.values(), strict=True)]  # fmt: skip
        assert curves == list(run.history.values())
    assert {name: read["exit_code"] for name, read in stored.items()} == {name: int(name == LOST) for name in NAMES}
    assert stored[LOST]["summary"]["fail_reason"] == "loss is NaN" and stored[LOST]["project"] == "my-study"
    next(tmp_path.glob("wandb/offline-run-*/exported.json")).unlink()
    assert command() == "6 runs: 0 written, 1 replaced, 5 unchanged"
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 6


def wandb_run(path):
    """Return what an offline run holds: messages of wandb in a log of LevelDB's format, behind a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    read = {"history": [], "summary": {}, "config": {}}
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            read |= {"name": record.run.display_name, "project": record.run.project}
            read["config"] |= values(record.run.config.update)
        elif kind == "history":
            read["history"].append(values(record.history.item))
        elif kind == "summary":
            read["summary"] |= values(record.summary.update)
        elif kind == "exit":
            read["exit_code"] = record.exit.exit_code
    return read


def values(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(content, block=2**15):
    """Yield the records of a log: pieces with checksum, length and kind (1 whole, 2 first, 3 middle, 4 last)."""
    assert content.startswith(b":W&B")
    at, parts = 7, []
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []
