import copy
import csv
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import safetensors.numpy
import tiny_study
import torch

from variability import registry, seeding
from variability.config import recipe
from variability.errors import UserError
from variability.io import files, locks
from variability.models import networks
from variability.stages.finetune import finetune
from variability.training import checkpoints
from variability.training.input_files import InputFiles

pytestmark = [pytest.mark.usefixtures("tiny_provider"), pytest.mark.slow]

LIBRARY = Path(files.__file__).parents[2]
TIMES = ("seconds", "examples_per_second")


@pytest.fixture
def study(tmp_path, task_json):
    """Fine-tunes into ``tmp_path/<name>``; returns that folder. Keywords change the spec or finetune's arguments."""

    def run(name="runs", weights_sha256=None, threads=1, code="code", **changes):
        folder, weights_manifest = tmp_path / name, tmp_path / "weights.json"
        if weights_sha256:
            files.write_json(weights_manifest, {"sha256": weights_sha256})
        spec = copy.deepcopy(tiny_study.STUDY) | changes
        finetune(
            spec,
            InputFiles(task_json, weights_manifest=weights_manifest if weights_sha256 else None),
            code,
            folder / "block-0.json",
            tiny_study.workplace(threads),
        )
        return folder

    run.folder = tmp_path
    return run


def contents(folder, seed):
    """Trained tensors, history and record of a run, without measured times, memory, energy and paths."""
    with open(folder / str(seed) / "history.csv", newline="") as handle:
        rows = [{key: row[key] for key in row if key not in TIMES} for row in csv.DictReader(handle)]
    record = files.read_json(folder / str(seed) / "run.json")
    for key in ("seconds", "peak_memory_mb", "energy_j", "bytes", "settings", "checksum"):
        record.pop(key)
    record["sha256"].pop("history")
    record["sha256"].pop("checkpoint")
    tensors = safetensors.numpy.load_file(folder / str(seed) / "checkpoint.safetensors")
    return {name: tensor.tobytes() for name, tensor in tensors.items()}, rows, record


def times(folder):
    """Times at which the runs were written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/run.json")}


def test_a_run_leaves_a_checkpoint_a_history_and_a_record(study, task_json):
    folder = study()
    assert sorted(path.name for path in (folder / "0").iterdir() if path.name != ".lock") == [
        "checkpoint.safetensors",
        "history.csv",
        "run.json",
    ]
    record = files.read_json(folder / "0" / "run.json")
    assert (record["model"], record["task"], record["method"], record["seed"]) == ("small", "digits", "everything", 0)
    assert (record["status"], record["fail_reason"], record["epochs"], record["best_epoch"]) == (
        "completed",
        None,
        3,
        3,
    )
    assert (record["n_train"], record["n_validation"]) == (100, 40)
    assert record["recipe"] == tiny_study.STUDY["recipe"]
    assert record["preprocess"] == tiny_study.Tiny(None).preprocess(8)
    assert record["streams"] == {stream: seeding.stream_number(0, stream) for stream in seeding.STREAMS}
    assert record["seconds"] > 0 and record["peak_memory_mb"] > 1 and record["energy_j"] is None
    assert record["hardware"]["threads"] == 1
    with open(folder / "0" / "history.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert list(rows[0]) == [
        "epoch",
        "train_loss",
        "validation_loss",
        "validation_accuracy",
        "lr",
        "seconds",
        "examples_per_second",
    ]
    network = tiny_study.network(0)
    untrained = network.module[1].weight.clone()
    checkpoints.load_checkpoint(
        folder / "0" / "checkpoint.safetensors", network, [""], [networks.frozen_digest(network, [""])]
    )
    assert not torch.equal(network.module[1].weight, untrained)


def test_the_manifest_lists_each_run_with_its_fingerprint_and_checksums(study):
    folder = study(seeds=[1, 0])
    manifest = files.read_json(folder / "block-0.json")
    assert [run["seed"] for run in manifest["runs"]] == [0, 1]
    for run in manifest["runs"]:
        record = files.read_json(folder / str(run["seed"]) / "run.json")
        assert run == {key: record[key] for key in ("seed", "fingerprint", "status", "sha256")}
        assert run["sha256"]["checkpoint"] == files.sha256(folder / str(run["seed"]) / "checkpoint.safetensors")


def test_a_run_is_the_same_in_every_seed_chunk(study):
    together, apart = study("together", seeds=[2, 0, 1]), study("apart", seeds=[1])
    study("apart", seeds=[0])
    study("apart", seeds=[2])
    for seed in (0, 1, 2):
        assert contents(together, seed) == contents(apart, seed)
    assert contents(together, 0)[0] != contents(together, 1)[0]


def test_only_a_seed_added_to_a_chunk_is_trained(study):
    folder = study(seeds=[0, 1])
    before = times(folder)
    study(seeds=[0, 1, 2])
    after = times(folder)
    assert {seed: after[seed] for seed in before} == before
    assert set(after) == {"0", "1", "2"}
    assert [run["seed"] for run in files.read_json(folder / "block-0.json")["runs"]] == [0, 1, 2]


def test_a_seed_removed_from_a_chunk_trains_nothing(study):
    folder = study(seeds=[0, 1])
    before = times(folder)
    study(seeds=[1])
    assert times(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": recipe.resolve(tiny_study.STUDY["recipe"], {"lr": 0.04})},
        {"method": {"name": "everything", "kind": "linear_probe"}},
        {"model": tiny_study.STUDY["model"] | {"options": {"width": 2}}},
        {"weights_sha256": "0" * 64},
    ],
)
def test_a_run_of_another_spec_is_trained_again(study, change):
    folder = study(seeds=[0])
    before = files.read_json(folder / "0" / "run.json")["fingerprint"]
    study(seeds=[0], **change)
    assert files.read_json(folder / "0" / "run.json")["fingerprint"] != before


def test_a_run_that_samples_its_own_examples_is_trained_again_if_it_would_sample_others(tmp_path):
    """The prepared files stay the same: a pool from which each run samples as many examples as the split says."""
    task = tiny_study.prepare(tmp_path / "prepare")
    content, fingerprints = files.read_json(task), set()
    for train in (80, 90):
        files.write_json(task, content | {"split": content["split"] | {"train": train, "resample": True}})
        spec = copy.deepcopy(tiny_study.STUDY) | {"seeds": [0]}
        finetune(spec, InputFiles(task), "code", tmp_path / "block-0.json", tiny_study.workplace())
        fingerprints.add(files.read_json(tmp_path / "block-0.json")["runs"][0]["fingerprint"])
    assert len(fingerprints) == 2


def test_a_run_of_other_code_is_trained_again(study, caplog):
    folder = study(seeds=[0])
    before = times(folder)
    study(seeds=[0])
    assert times(folder) == before
    study(seeds=[0], code="edited")
    assert times(folder) != before
    assert "computed again:" not in caplog.text


@pytest.mark.parametrize("file", ["checkpoint.safetensors", "history.csv", "run.json"])
def test_a_run_with_a_damaged_file_is_trained_again_and_the_log_says_why(study, file, caplog):
    folder = study(seeds=[0])
    before = contents(folder, 0)
    damaged = folder / "0" / file
    damaged.write_bytes(damaged.read_bytes()[:-3])
    study(seeds=[0])
    assert contents(folder, 0) == before
    (reason,) = [record.getMessage() for record in caplog.records if "computed again" in record.getMessage()]
    assert f"seed 0 is computed again: {damaged} " in reason


def test_a_diverged_run_is_recorded_as_such_and_not_trained_again(study):
    diverging = recipe.resolve(tiny_study.STUDY["recipe"], {"lr": 1e30, "warmup": 0.0})
    folder = study(recipe=diverging)
    record = files.read_json(folder / "0" / "run.json")
    assert record["status"] == "diverged" and "epoch 1" in record["fail_reason"]
    assert [run["status"] for run in files.read_json(folder / "block-0.json")["runs"]] == ["diverged", "diverged"]
    before = times(folder)
    study(recipe=diverging)
    assert times(folder) == before


def test_a_seed_that_fails_does_not_stop_the_others_and_is_named(study, monkeypatch, caplog):
    class Broken(tiny_study.Tiny):
        def build(self, outputs, weights, seed, facts=None):
            if seed == 1:
                raise RuntimeError("a bug")
            return super().build(outputs, weights, seed, facts)

    monkeypatch.setattr(registry, "find", tiny_study.install(Broken))
    tiny_study.install(Broken)
    with pytest.raises(UserError, match=r"1 of 3 seeds failed; the others.*: RuntimeError: a bug"):
        study(seeds=[0, 1, 2])
    assert "Traceback" in caplog.text
    folder = study.folder / "runs"
    assert set(times(folder)) == {"0", "2"}
    assert not (folder / "block-0.json").exists()
    before = times(folder)
    tiny_study.install(tiny_study.Tiny)
    study(seeds=[0, 1, 2])
    assert {seed: times(folder)[seed] for seed in before} == before


def test_equal_failures_share_a_line_and_those_that_a_user_can_fix_have_no_traceback(study, monkeypatch, caplog):
    fp16 = recipe.resolve(tiny_study.STUDY["recipe"], {"precision": "fp16"})
    monkeypatch.setenv("VARIABILITY_DEVICE", "cpu")
    with pytest.raises(UserError, match=r"2 of 2 seeds failed: .*fp16 needs a CUDA device"):
        study(recipe=fp16)
    assert "seed 1 failed" in caplog.text
    assert "Traceback" not in caplog.text


def test_changed_images_are_not_mistaken_for_the_prepared_ones(study, tmp_path):
    task_json = tiny_study.prepare(tmp_path / "other")
    images = task_json.parent / "inputs.npy"
    images.write_bytes(images.read_bytes()[:-1] + b"\1")
    with pytest.raises(UserError, match=r"inputs\.npy is not the file that prepare wrote"):
        finetune(
            tiny_study.STUDY, InputFiles(task_json), "code", tmp_path / "runs" / "block-0.json", tiny_study.workplace()
        )


@pytest.mark.slow
def test_a_killed_job_keeps_finished_runs_and_resumes_to_the_same_bits(study, task_json, tmp_path):
    script = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        import tiny_study
        tiny_study.install()
        import torch
        steps, step = 0, torch.optim.SGD.step
        def count(*args, **kwargs):
            global steps
            steps += 1
            if steps == 12 + 6:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **kwargs)
        torch.optim.SGD.step = count
        from variability.training.input_files import InputFiles
        from variability.training.saving import Saving
        from variability.stages.finetune import finetune
        tiny_study.install()
        task_json, folder = map(Path, sys.argv[2:])
        inputs, workplace = InputFiles(task_json), tiny_study.workplace()
        finetune(tiny_study.STUDY, inputs, "code", folder / "block-0.json", workplace, Saving(0.0))
    """
    folder = tmp_path / "killed"
    arguments = [str(Path(tiny_study.__file__).parent), str(task_json), str(folder)]
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # 12 steps per run, 4 per epoch: seed 0 is finished, seed 1 was in its second epoch.
    assert set(times(folder)) == {"0"}
    assert (folder / "1" / ".state.safetensors").exists()
    before = times(folder)
    study("killed")
    whole = study("whole")
    assert times(folder)["0"] == before["0"]
    assert not (folder / "1" / ".state.safetensors").exists()
    assert [contents(folder, seed) for seed in (0, 1)] == [contents(whole, seed) for seed in (0, 1)]


def test_a_run_that_another_process_is_making_is_awaited_and_reused(study, tmp_path):
    made = study("made", seeds=[0])
    folder = tmp_path / "runs"
    holding, waiting = threading.Event(), threading.Event()

    class Waiting(logging.Handler):
        def emit(self, record):
            if "another process is working on seed 0" in record.getMessage():
                waiting.set()

    def other_process():
        with locks.held(folder / "0" / ".lock", ""):
            holding.set()
            assert waiting.wait(30)
            for path in sorted((made / "0").glob("[!.]*")):
                (folder / "0" / path.name).write_bytes(path.read_bytes())

    handler = Waiting()
    logging.getLogger("variability").addHandler(handler)
    thread = threading.Thread(target=other_process)
    thread.start()
    try:
        assert holding.wait(30)
        study(seeds=[0])
    finally:
        waiting.set()
        thread.join()
        logging.getLogger("variability").removeHandler(handler)
    assert files.read_json(folder / "0" / "run.json") == files.read_json(made / "0" / "run.json")


def test_a_job_whose_runs_are_all_finished_does_not_import_torch(study, task_json):
    folder = study(seeds=[0, 1])
    manifest = (folder / "block-0.json").read_bytes()
    (folder / "block-0.json").unlink()
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        import tiny_study
        from variability.training.input_files import InputFiles
        from variability.training.saving import Saving
        from variability.stages.finetune import finetune
        tiny_study.install()
        task_json, folder = map(Path, sys.argv[2:])
        finetune(tiny_study.STUDY, InputFiles(task_json), "code", folder / "block-0.json", tiny_study.workplace())
        sys.exit("torch" in sys.modules)
    """
    arguments = [str(Path(tiny_study.__file__).parent), str(task_json), str(folder)]
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(LIBRARY)}, check=True)
    assert (folder / "block-0.json").read_bytes() == manifest
