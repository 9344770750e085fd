"""Jobs of fine-tuning that signals end: each is a process, and the runs end with the same bits."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import safetensors.numpy
import tiny_study
from tiny_study import assert_same

from variability.io import files
from variability.stages.finetune import finetune
from variability.training.input_files import InputFiles

pytestmark = pytest.mark.faults

LIBRARY = Path(files.__file__).parents[2]

#: A job as the rule's script starts it. It signals itself in every ``steps``-th step that it makes.
JOB = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from variability.job_log import log_job
    task_json, folder, number, steps = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    with log_job(folder / "job.log") as interruption:
        import tiny_study
        tiny_study.install()
        import torch
        made, step = 0, torch.optim.SGD.step
        def count(*args, **kwargs):
            global made
            made += 1
            if made % steps == 0:
                os.kill(os.getpid(), number)
            return step(*args, **kwargs)
        torch.optim.SGD.step = count
        from variability.stages.finetune import finetune
        from variability.training.input_files import InputFiles
        from variability.training.saving import Saving
        saving = Saving(should_stop=interruption.should_stop, postponed=interruption.postponed)
        inputs, workplace = InputFiles(task_json), tiny_study.workplace()
        finetune(tiny_study.STUDY, inputs, "code", folder / "block-0.json", workplace, saving)
"""


def attempts(task_json, folder, number, steps):
    """Run jobs until one succeeds; return the last line of each."""
    folder.mkdir()
    script = folder.with_suffix(".py")
    script.write_text(textwrap.dedent(JOB))
    tests = Path(tiny_study.__file__).parent
    command = [sys.executable, *map(str, (script, tests, task_json, folder, int(number), steps))]
    lines = []
    while True:
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True)
        lines.append(done.stderr.splitlines()[-1].partition(" ")[2])
        if done.returncode != 130:
            assert done.returncode == 0, done.stderr
            return lines
        assert "Traceback" not in done.stderr and not (folder / "block-0.json").exists()


@pytest.fixture
def whole(task_json, tmp_path, tiny_provider, one_thread):
    """The folder of the runs of a job that nothing interrupts."""
    folder = tmp_path / "whole"
    finetune(tiny_study.STUDY, InputFiles(task_json), "code", folder / "block-0.json", tiny_study.workplace())
    return folder


def compare(folder, whole):
    for seed in tiny_study.STUDY["seeds"]:
        first, second = (
            safetensors.numpy.load_file(runs / str(seed) / "checkpoint.safetensors") for runs in (folder, whole)
        )
        assert_same(first, second)
        first, second = (files.read_json(runs / str(seed) / "run.json") for runs in (folder, whole))
        assert first["fingerprint"] == second["fingerprint"] and first["epochs"] == second["epochs"]
        assert not (folder / str(seed) / ".state.safetensors").exists()


def test_epochs_longer_than_the_time_of_a_job_are_finished_over_several_attempts(task_json, tmp_path, whole):
    # Two runs of 12 steps, 4 in an epoch. Nothing is left to do after the last step of the last attempt.
    lines = attempts(task_json, tmp_path / "runs", signal.SIGTERM, 5)
    run = "interrupted by SIGTERM in small / digits / everything / seed"
    again = "state saved; run the same command again to continue"
    assert lines[:2] == [f"{run} 0 at step 1 of 4 of epoch 2; {again}", f"{run} 0 at step 2 of 4 of epoch 3; {again}"]
    assert len(lines) == 5
    compare(tmp_path / "runs", whole)


@pytest.mark.parametrize(("name", "steps"), [("SIGTERM", 1), ("SIGUSR1", 4), ("SIGHUP", 3), ("SIGINT", 6)])
def test_signals_in_every_few_steps_leave_the_same_bits(name, steps, task_json, tmp_path, whole):
    lines = attempts(task_json, tmp_path / "runs", getattr(signal, name), steps)
    assert len(lines) > 20 // steps and all(f"interrupted by {name} " in line for line in lines[:-1])
    compare(tmp_path / "runs", whole)
