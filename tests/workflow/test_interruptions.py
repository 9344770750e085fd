"""Signals to Snakemake, to its job, and to both at once as a terminal sends them, in the middle of a training."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from support import Checkout

pytestmark = pytest.mark.faults

CHUNK = "results/tiny/predict/scratch/digits/full/block-0.json"
RUN = Path("results/tiny/finetune/scratch/digits/full")
STATE = RUN / "0/.state.safetensors"
ENDING = "are kept (0 of 1 run finished).\nRun the same command again to continue.\n"
SAVED = "state saved; run the same command again to continue"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Checkout:
    """A study of one run with many short epochs, up to its training."""
    checkout = Checkout.of_project(tmp_path_factory.mktemp("prepared") / "project")
    checkout.edit("tiny.yaml", "epochs: 2, batch_size: 20", "epochs: 100, batch_size: 5")
    checkout.edit("tiny.yaml", "compute: {", "compute: {save_every: 1 s, ")
    checkout.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0]")
    checkout.snakemake("results/tiny/prepare/digits/task.json", "--cores", "2", "--configfile", "tiny.yaml")
    return checkout


@pytest.fixture(scope="module")
def expected(prepared, tmp_path_factory):
    """The predictions of the run when nothing interrupts it."""
    whole = prepared.copy(tmp_path_factory.mktemp("whole") / "project")
    whole.snakemake(CHUNK, "--cores", "2", "--configfile", "tiny.yaml")
    return predictions(whole)


def predictions(checkout):
    return pq.read_table((checkout.folder / CHUNK).with_name("0.parquet"))


def begin(checkout, *wrapper):
    """Start the study as the leader of a process group; return it once its run has saved a state."""
    command = [*wrapper, sys.executable, "-m", "snakemake", CHUNK, "--cores", "2", "--configfile", "tiny.yaml"]
    left_out = ("VARIABILITY_MIRROR", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    with open(checkout.folder / "output", "w") as output:
        running = subprocess.Popen(
            command, cwd=checkout.folder, env=environment, start_new_session=True, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 200
    while not (checkout.folder / STATE).is_file():
        assert running.poll() is None and time.monotonic() < deadline, (checkout.folder / "output").read_text()
        time.sleep(0.05)
    return running


def job_of(running):
    return next(child for child in psutil.Process(running.pid).children(True) if "python" in child.name())


def to_snakemake(number):
    return lambda running: running.send_signal(number)


def to_all(number, times=1):
    def send(running):
        for _ in range(times):
            os.killpg(running.pid, number)
            # Before the first has ended everything.
            time.sleep(0.05)

    return send


def to_job(number):
    return lambda running: job_of(running).send_signal(number)


@pytest.mark.parametrize(
    ("send", "cause", "message"),
    [
        (to_snakemake(signal.SIGTERM), "SIGTERM", "SIGTERM: running jobs save their state and end"),
        (to_snakemake(signal.SIGINT), "SIGTERM", "SIGINT: running jobs save their state and end"),
        (to_snakemake(signal.SIGHUP), "SIGTERM", "SIGHUP: running jobs save their state and end"),
        (to_snakemake(signal.SIGUSR1), "SIGTERM", "SIGUSR1: running jobs save their state and end"),
        (to_snakemake(signal.SIGKILL), "the end of Snakemake", ""),
        (to_all(signal.SIGTERM), "SIGTERM", "SIGTERM: running jobs save their state and end"),
        (to_all(signal.SIGINT), "SIGINT", "SIGINT: running jobs save their state and end"),
        (to_all(signal.SIGINT, times=2), "SIGINT", "SIGINT: running jobs"),
        (to_all(signal.SIGHUP), "SIGHUP", "SIGHUP: running jobs save their state and end"),
        (to_all(signal.SIGUSR1), "SIGUSR1", "SIGUSR1: running jobs save their state and end"),
        (to_job(signal.SIGTERM), "SIGTERM", ""),
        (to_job(signal.SIGUSR1), "SIGUSR1", ""),
        (to_job(signal.SIGKILL), None, ""),
    ],
    ids=[
        *(f"{name} to Snakemake" for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGKILL")),
        *(f"{name} to all" for name in ("SIGTERM", "SIGINT", "SIGINT twice", "SIGHUP", "SIGUSR1")),
        *(f"{name} to the job" for name in ("SIGTERM", "SIGUSR1", "SIGKILL")),
    ],
)
def test_nothing_is_left_running_and_the_same_command_continues(send, cause, message, prepared, expected, tmp_path):
    checkout = prepared.copy(tmp_path / "project")
    running = begin(checkout)
    job = job_of(running)
    send(running)
    assert running.wait(60) != 0
    psutil.wait_procs([job], 20)
    assert not job.is_running(), "an orphan"
    output, log = (checkout.folder / "output").read_text(), (checkout.folder / RUN / "block-0.log").read_text()
    assert message in output and "Traceback" not in output
    if cause and cause != "the end of Snakemake":
        assert output.endswith(ENDING)
    if message:
        assert "Error in rule" not in output and "RuleException" not in output
    if cause:
        assert f"interrupted by {cause}" in log
    assert (checkout.folder / STATE).is_file()
    if cause and message != "SIGINT: running jobs":
        assert SAVED in log
    if cause == "the end of Snakemake":
        checkout.snakemake("--unlock", "--configfile", "tiny.yaml")
    checkout.snakemake(CHUNK, "--cores", "2", "--configfile", "tiny.yaml")
    assert predictions(checkout).equals(expected) and not (checkout.folder / STATE).is_file()
    shutil.rmtree(checkout.folder)


def test_a_study_started_by_nohup_survives_the_end_of_its_terminal(prepared, expected, tmp_path):
    checkout = prepared.copy(tmp_path / "project")
    running = begin(checkout, "nohup")
    to_all(signal.SIGHUP)(running)
    assert running.wait(200) == 0
    assert predictions(checkout).equals(expected)
