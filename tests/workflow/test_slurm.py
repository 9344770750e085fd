"""The tiny study on a SLURM cluster; any cluster that this machine can submit to, whose nodes see the tests' files."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support import Checkout

from variability.config import slurm
from variability.io import files

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

PROFILE = ("--workflow-profile", "profiles/slurm", "--configfile", "tiny.yaml")
ENDLESS = ("recipe: {epochs: 1, batch_size: 20}", "recipe: {epochs: 1000000, batch_size: 20}")
PRETRAINED = "results/tiny/pretrain/pretrained/weights.json"


@pytest.fixture(autouse=True)
def cluster():
    if shutil.which("sbatch") is None:
        pytest.skip("needs SLURM: there is no sbatch")
    if slurm.job_records() is None:
        pytest.skip("needs SLURM: its controller does not answer")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("needs the executor for SLURM: uv pip install --require-hashes -r envs/slurm.lock")


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout.of_project(tmp_path / "project")


@pytest.fixture
def started(checkout):
    """Starts Snakemake in the background; what still runs at the end is ended."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen:
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with open(checkout.folder / "output.txt", "w") as output:
            command = [sys.executable, "-m", "snakemake", *arguments, *PROFILE]
            processes.append(subprocess.Popen(command, cwd=checkout.folder, stdout=output, stderr=output, env=environ))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def output(checkout) -> str:
    return (checkout.folder / "output.txt").read_text()


def submitted(text: str, name: str = "") -> list[str]:
    """Return the numbers of the jobs of a rule or group that an output reports as submitted."""
    return re.findall(rf"submitted with SLURM jobid (\d+) \(log: \S*/slurm_logs/\S*{name}\S*\)", text)


def described(job: str, column: str) -> str:
    command = ["squeue", "--states=all", "--noheader", f"--jobs={job}", f"--format={column}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def requests_gpu(job: str) -> bool:
    command = ["scontrol", "show", "job", job]
    return "gpu" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_for(condition, what: str, seconds: int = 300):
    """Return the first true value of a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def predictions(folder) -> dict[str, str]:
    tables = sorted(folder.glob("results/tiny/predict/*/*/*/*.parquet"))
    return {str(path.relative_to(folder)): files.sha256(path) for path in tables}


def test_a_cancelled_study_resumes_with_the_bits_of_a_local_run(checkout, started, finished):
    run = started("--retries", "0")
    training = wait_for(lambda: submitted(output(checkout), "group_train"), "submitting a training job")[0]
    wait_for(lambda: described(training, "%T") == "RUNNING", "starting the training job")
    subprocess.run(["scancel", training], check=True)
    assert run.wait(timeout=600) != 0
    assert re.search(rf"SLURM job {training} \(.*was cancelled.*\(CANCELLED; ", output(checkout))

    resumed = checkout.snakemake(*PROFILE, forks="none")
    assert predictions(checkout.folder) == predictions(finished.folder)
    assert len(predictions(checkout.folder)) == 6
    assert (checkout.folder / "results/tiny/report/report.html").is_file()
    text = output(checkout) + resumed.stderr
    # Two data sets, a pretraining, its features, three cells of which one was cancelled, and all that follows.
    assert len(submitted(text)) <= 10
    assert len(submitted(resumed.stderr, "group_present")) == 1
    assert requests_gpu(training) is slurm.has_gpus()

    # Predictions that are there already: no GPU.
    (checkout.folder / "results/tiny/predict/scratch/digits/full/block-0.json").unlink()
    again = checkout.snakemake("runs", *PROFILE, forks="none")
    [predicting] = submitted(again.stderr)
    assert not requests_gpu(predicting)
    assert predictions(checkout.folder) == predictions(finished.folder)


def test_a_job_out_of_time_gets_more_and_the_last_error_names_the_limit(checkout, started):
    checkout.edit("tiny.yaml", *ENDLESS)
    checkout.edit("tiny.yaml", "seeds_per_job: 2", "seeds_per_job: 2, runtime: 1, mem_mb: 1000")
    run = started(PRETRAINED, "--retries", "1")
    assert run.wait(timeout=900) != 0
    first, second = submitted(output(checkout), "rule_pretrain")
    assert [described(job, "%l %m") for job in (first, second)] == ["1:00 1000M", "2:00 2000M"]
    explained = output(checkout)[-2000:]
    assert f"SLURM job {second} (pretrain pretrained) reached its time limit, 2:00, and was stopped" in explained
    assert "`compute: runtime`" in explained and "TIMEOUT" in explained
    assert f"SLURM job {first} " not in explained


def test_a_job_out_of_memory_is_reported_as_such(checkout, started):
    config = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"OverMemoryKill|task/cgroup", config):
        pytest.skip("this cluster does not end jobs that use more memory than they requested")
    checkout.edit("tiny.yaml", *ENDLESS)
    checkout.edit("tiny.yaml", "seeds_per_job: 2", "seeds_per_job: 2, mem_mb: 100")
    assert started(PRETRAINED, "--retries", "0").wait(timeout=600) != 0
    explained = output(checkout)[-2000:]
    assert "needed more memory than it requested, 100M, and was stopped" in explained
    assert "`compute: mem_mb`" in explained and "OUT_OF_MEMORY" in explained


def test_a_job_that_slurm_puts_back_into_the_queue_is_waited_for(checkout, started):
    run = started(PRETRAINED)
    job = wait_for(lambda: submitted(output(checkout), "rule_pretrain"), "submitting the pretraining")[0]
    wait_for(lambda: described(job, "%T") == "RUNNING", "starting the pretraining")
    subprocess.run(["scontrol", "requeue", job], check=True)
    assert run.wait(timeout=900) == 0
    assert len(submitted(output(checkout), "rule_pretrain")) == 1
