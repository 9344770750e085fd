import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from variability.training import gpu_lease, gpu_slots

HOLDER = """
import os, sys
from pathlib import Path
from variability.training.gpu_lease import lease_from
folder, runs_per_gpu, user = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
os.getuid = lambda: user
with lease_from({"cuda:0": "GPU-a", "cuda:1": "GPU-b"}, folder, runs_per_gpu) as leased:
    print(leased, flush=True)
    sys.stdin.read()
"""
LIBRARY = Path(gpu_lease.__file__).parents[2]
USER = os.getuid()


class Busy(Exception):
    """Raised instead of waiting for a GPU."""


@pytest.fixture
def take(tmp_path, monkeypatch):
    """Takes a share of one of two GPUs, until the test ends, and returns the device; raises Busy if none is free."""

    def busy(_):
        raise Busy

    monkeypatch.setattr(gpu_slots.time, "sleep", busy)
    with ExitStack() as stack:

        def acquire(runs_per_gpu, user=USER, identities=("GPU-a", "GPU-b")):
            monkeypatch.setattr(os, "getuid", lambda: user)
            candidates = {f"cuda:{index}": name for index, name in enumerate(identities)}
            return stack.enter_context(gpu_lease.lease_from(candidates, tmp_path, runs_per_gpu))

        acquire.stack = stack
        yield acquire


def test_two_gpus_with_three_runs_each_take_six_and_are_filled_evenly(take):
    assert [take(3) for _ in range(6)] == ["cuda:0", "cuda:1"] * 3
    with pytest.raises(Busy):
        take(3)


def test_a_gpu_is_shared_only_by_runs_of_one_user_with_one_number_of_runs(take):
    assert take(2, user=1) == "cuda:0"
    # Neither another user nor another number of runs may join.
    assert take(2, user=2) == "cuda:1"
    for runs_per_gpu, user in ((2, 3), (3, 1), (1, 1), (1, 2), (20, 1)):
        with pytest.raises(Busy):
            take(runs_per_gpu, user=user)
    assert take(2, user=1) == "cuda:0"
    assert take(2, user=2) == "cuda:1"
    with pytest.raises(Busy):
        take(2, user=1)


def test_a_gpu_that_one_run_has_alone_is_not_shared(take):
    assert take(1) == "cuda:0"
    assert [take(3), take(3), take(3)] == ["cuda:1"] * 3
    with pytest.raises(Busy):
        take(3)
    take.stack.close()
    assert [take(1), take(1)] == ["cuda:0", "cuda:1"]


def test_names_that_begin_alike_are_different_gpus(take):
    assert take(2, identities=["GPU-a"]) == "cuda:0"
    assert take(1, identities=["GPU-aa"]) == "cuda:0"
    assert take(1, identities=["MIG-[a]"]) == "cuda:0"
    assert take(2, identities=["MIG-GPU-a/1/0"]) == take(2, identities=["MIG-GPU-a/1/0"]) == "cuda:0"
    with pytest.raises(Busy):
        take(2, identities=["MIG-[a]"])


def test_a_slot_of_a_killed_process_is_free_again(tmp_path, take):
    started = []
    try:
        for user in (USER, USER, USER, USER):
            command = [sys.executable, "-c", HOLDER, str(tmp_path), "2", str(user)]
            environ = os.environ | {"PYTHONPATH": str(LIBRARY)}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = subprocess.Popen(command, text=True, env=environ, **pipes)
            started.append((process, process.stdout.readline().strip()))
        assert sorted(device for _, device in started) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
        with pytest.raises(Busy):
            take(2)
        killed, device = started[1]
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert take(2) == device
    finally:
        for process, _ in started:
            process.kill()
            process.communicate()


def test_slots_can_be_locked_by_all_members_of_the_folders_group(tmp_path, take):
    tmp_path.chmod(0o2770)
    umask = os.umask(0o077)
    try:
        take(2)
    finally:
        os.umask(umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.lock")} == {0o660}


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, []),
        ("", []),
        ("0,1", []),
        ("GPU-5,MIG-6", []),
        ("MIG-6", ["MIG-6"]),
        ("MIG-6, MIG-7,MIG-6", ["MIG-6", "MIG-7"]),
    ],
)
def test_slices_are_read_from_the_variable(visible, expected):
    assert gpu_lease.mig_slices({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_each_process_gets_another_slice_and_sees_only_that_one(tmp_path, monkeypatch):
    monkeypatch.delenv(gpu_lease.OVERRIDE, raising=False)
    monkeypatch.setattr(gpu_lease, "locks_folder", lambda: tmp_path)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    seen = []
    with ExitStack() as stack:
        for _ in range(2):
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-6,MIG-7")
            assert stack.enter_context(gpu_lease.lease()) == "cuda:0"
            seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["MIG-6", "MIG-7"]


@pytest.fixture
def several(tmp_path, monkeypatch):
    """Takes several whole GPUs until the test ends, and returns their indices; raises Busy if there are too few."""

    def busy(_):
        raise Busy

    monkeypatch.setattr(gpu_slots.time, "sleep", busy)
    with ExitStack() as stack:

        def acquire(count, identities=("GPU-a", "GPU-b", "GPU-c")):
            return stack.enter_context(gpu_slots.several_free(identities, count, tmp_path, "waiting"))

        acquire.stack = stack
        yield acquire


def test_a_run_on_several_gpus_has_them_alone(several, take):
    assert several(2) == [0, 1]
    for runs_per_gpu in (1, 2):
        with pytest.raises(Busy):
            take(runs_per_gpu)
    with pytest.raises(Busy):
        several(2)
    # One that gave up holds none.
    assert several(1) == [2]
    several.stack.close()
    assert several(3) == [0, 1, 2]


def test_a_gpu_that_runs_share_is_none_of_several(several, take):
    assert take(2) == "cuda:0"
    assert several(2) == [1, 2]


def test_runs_that_need_each_others_gpus_do_not_wait_for_ever(tmp_path, monkeypatch):
    """Eight runs on two of three GPUs each, and eight on one, at the same time."""
    monkeypatch.setattr(gpu_slots.locks, "POLL_SECONDS", 0.002)
    names, holders, most = ["GPU-a", "GPU-b", "GPU-c"], dict.fromkeys(range(3), 0), []

    def run(count):
        with gpu_slots.several_free(names, count, tmp_path, "waiting") as indices:
            for index in indices:
                holders[index] += 1
            most.append(max(holders.values()))
            time.sleep(0.003)
            for index in indices:
                holders[index] -= 1

    threads = [threading.Thread(target=run, args=(count,), daemon=True) for count in (2, 1) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 16


def test_several_gpus_of_a_killed_process_are_free_again(tmp_path, several):
    script = """
import sys
from pathlib import Path
from variability.training.gpu_slots import several_free
with several_free(["GPU-a", "GPU-b", "GPU-c"], 3, Path(sys.argv[1]), "waiting"):
    print("held", flush=True)
    sys.stdin.read()
"""
    environ = os.environ | {"PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", script, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Busy):
        several(1)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert several(3) == [0, 1, 2]
