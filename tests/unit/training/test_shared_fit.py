"""Two processes train a run as one process with micro-batches does, and none of them outlives the job."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
import tiny_study
import torch
from tiny_study import timeless
from torch import nn

from variability.config import recipe
from variability.errors import Interrupted, UserError
from variability.models.networks import Network
from variability.training import frameworks, gpu_lease
from variability.training.activations import Feed
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.micro_batches import MicroBatches, SharedMicroBatches, used
from variability.training.ranks import Ranks
from variability.training.saving import Saving
from variability.training.shared_fit import SharedFitLoop
from variability.training.workplace import Workplace

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

LIBRARY = Path(frameworks.__file__).parents[3]
# Without BatchNorm. Memory runs out in the process that the job starts, for more images than fit.
NETWORK = """
import sys
from torch import nn

class Limited(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, inputs):
        if self.training and len(inputs) > self.limit and sys.flags.safe_path:
            raise MemoryError
        return inputs

def build(limit=1000):
    parts = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Dropout2d(0.2), Limited(limit), nn.Flatten(), nn.Dropout(0.2)
    return nn.Sequential(*parts, nn.Linear(216, 10))
"""
METHOD = {"name": "full", "kind": "full"}
RECIPES = {
    "adamw, best of augmented": {
        **{"optimizer": "adamw", "checkpoint": "best", "schedule": "constant", "clip_norm": 0.5},
        "augmentation": {"flip": True, "crop": 1},
    },
    # Of 100 images the last batch has one too few for two processes.
    "sgd, bf16": {"optimizer": "sgd", "precision": "bf16", "label_smoothing": 0.1, "batch_size": 33},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    (folder / "networks.py").write_text(NETWORK)
    tiny_study.prepare(folder / "digits")
    return folder


class Job:
    """A job that trains with one or more processes. options: of the network."""

    def __init__(self, folder, processes, **options):
        preprocess = {"size": 8, "resize": 8, "mean": [0.5] * 3, "std": [0.5] * 3}
        model = {"name": "net", "provider": "python_file", "architecture": f"{folder}/networks.py:build"}
        model |= {"weights": "none", "preprocess": preprocess, "options": options}
        self.folder, self.processes = folder, processes
        self.workplace = Workplace(model, gpus_per_run=processes)
        self.framework = self.workplace.framework(model, METHOD, InputFiles(folder / "digits/task.json"))

    def followers(self):
        return [process.popen for process in self.framework.shared.__self__._processes]

    def fit(self, settings, seed=3, state=None, on_epoch=lambda row: None, **saving):
        """Return the result and the checkpoint."""
        defaults = {"epochs": 2, "batch_size": 32, "lr": 0.01, "gpus_per_run": self.processes}
        chosen = recipe.resolve(defaults, settings)
        data = self.framework.data(seed)
        spec = FitSpec(data, chosen, seed, state, "fingerprint", on_epoch, Saving(math.inf, **saving))
        result = self.framework.fit(spec)
        self.framework.save_trained(self.folder / "checkpoint", "fingerprint")
        return result, (self.folder / "checkpoint").read_bytes()


@pytest.fixture(scope="module")
def pair(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(gpu_lease.OVERRIDE, "cpu")
        job = Job(folder, 2)
        with job.workplace:
            yield job


@pytest.fixture(scope="module")
def single(folder):
    return Job(folder, 1)


def ends(pid, seconds=30):
    """Return whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.05)
                continue
        return True
    return False


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_compute_the_bits_of_one_with_micro_batches(name, pair, single):
    share = {"micro_batch": 17 if "batch_size" in RECIPES[name] else 16}
    expected, checkpoint = single.fit(RECIPES[name] | share)
    result, shared = pair.fit(RECIPES[name])
    assert shared == checkpoint
    assert timeless(result.history) == timeless(expected.history)
    assert result.best_epoch == expected.best_epoch and result.status == "completed"
    # And those of whole batches up to rounding.
    whole, _ = single.fit(RECIPES[name])
    for row, other in zip(result.history, whole.history, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
        assert row["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-3)


def test_shares_are_cut_into_micro_batches(pair, single):
    result, shared = pair.fit({"micro_batch": 4})
    expected, _ = single.fit({"micro_batch": 4})
    assert result.history[-1]["train_loss"] == pytest.approx(expected.history[-1]["train_loss"], rel=1e-5)
    assert shared == pair.fit({"micro_batch": 4})[1]


def test_signals_to_the_other_processes_change_nothing(pair):
    def interrupt(row):
        for process in pair.followers():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                process.send_signal(number)

    assert pair.fit({}, on_epoch=interrupt)[1] == pair.fit({})[1]


@pytest.mark.parametrize("steps", [2, 5])
def test_a_fit_that_stops_resumes_with_the_same_bits(steps, pair, tmp_path):
    expected, checkpoint = pair.fit({})
    asked = []
    with pytest.raises(Interrupted, match="state saved"):
        pair.fit({}, state=tmp_path / "state", should_stop=lambda: asked.append(0) or len(asked) > steps)
    assert pair.followers() == []
    result, resumed = pair.fit({}, state=tmp_path / "state")
    assert result.resumed and resumed == checkpoint
    assert timeless(result.history) == timeless(expected.history)


def test_a_process_that_dies_ends_the_run_with_one_sentence_and_all_others(pair):
    killed = []

    def kill(row):
        if row["epoch"] == 1:
            killed.extend(pair.followers())
            killed[0].kill()

    sentence = r"process 2 of the 2 processes of the run ended \(by SIGKILL.*run the same command again"
    with pytest.raises(UserError, match=sentence) as error:
        pair.fit({}, on_epoch=kill)
    assert "\n" not in str(error.value)
    assert killed[0].returncode == -signal.SIGKILL and pair.followers() == []


def test_memory_that_runs_out_in_one_process_makes_the_micro_batches_of_all_smaller(folder, single):
    job = Job(folder, 2, limit=8)
    with job.workplace:
        result, _ = job.fit({})
        process = job.followers()[0]
    assert result.reductions == [{"epoch": 1, "batch": 0, "micro_batch": 8}]
    expected, _ = single.fit({})
    assert result.history[-1]["train_loss"] == pytest.approx(expected.history[-1]["train_loss"], rel=1e-5)
    assert process.returncode == 0, "processes end with the job, by themselves"


def test_an_error_of_another_process_is_the_error_of_the_run(folder, tmp_path):
    """Here of a network that cannot be built there, before any fit."""
    (tmp_path / "networks.py").write_text(NETWORK.replace("def build", "if sys.flags.safe_path:\n    1 / 0\ndef build"))
    (tmp_path / "digits").symlink_to(folder / "digits")
    job = Job(tmp_path, 2)
    with job.workplace, pytest.raises(UserError, match=r"process 2 of the 2 processes .*division by zero"):
        job.fit({})


def test_the_other_processes_end_when_that_of_the_job_is_killed():
    script = """
        import os, time
        from pathlib import Path
        from variability.training.followers import _Process

        # Without a request, it would wait for one for ever.
        _Process.send = lambda *_: None
        print(_Process.start({}, Path(os.devnull)).popen.pid, flush=True)
        time.sleep(600)
    """
    command, environ = [sys.executable, "-c", textwrap.dedent(script)], os.environ | {"PYTHONPATH": str(LIBRARY)}
    job = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    follower = int(job.stdout.readline())
    time.sleep(0.5)
    assert Path(f"/proc/{follower}").exists()
    job.kill()
    job.communicate()
    assert ends(follower)


@pytest.mark.parametrize(
    ("rows", "expected"), [(32, [11, 11, 10]), (33, [11, 11, 11]), (12, [12, 0, 0]), (5, [5, 0, 0])]
)
def test_shares_are_the_micro_batches_of_their_size(rows, expected):
    settings = recipe.resolve({"batch_size": 32, "gpus_per_run": 3})
    parts = [SharedMicroBatches(settings, rank).cut(rows) for rank in range(3)]
    assert [sum(stop - start for start, stop in of_rank) for of_rank in parts] == expected
    assert [part for of_rank in parts for part in of_rank] == MicroBatches(settings | {"micro_batch": 11}).cut(rows)
    assert {SharedMicroBatches(settings, rank).longest(rows) for rank in range(3)} == {max(expected)}
    assert used(settings, []) == 11 and used(settings | {"micro_batch": 4}, []) == 4


@pytest.fixture
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    ranks = Ranks(tmp_path / "meeting", 0, 1, "cpu")
    yield ranks
    ranks.leave()


def test_batchnorm_that_trains_is_refused(alone, folder, single):
    layers = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 10))
    inputs = single.framework._examples(recipe.DEFAULTS["augmentation"])
    spec = FitSpec(single.framework.data(0), recipe.resolve({"gpus_per_run": 2}), 0)
    loop = SharedFitLoop(alone, spec, Network(layers, "3", ["0"]), [""], Feed(layers, inputs))
    with pytest.raises(UserError, match=r"recipe\.gpus_per_run: 1 of Sequential is a BatchNorm that trains"):
        loop.run()


def test_sums_keep_the_type_and_the_layout_of_tensors(alone):
    images = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    tensors = [images, torch.tensor(2.5), torch.rand(5, dtype=torch.bfloat16)]
    expected = [tensor.clone() for tensor in tensors]
    alone.sum_in_order(tensors, [0])
    for tensor, before in zip(tensors, expected, strict=True):
        assert torch.equal(tensor, before) and tensor.stride() == before.stride()
