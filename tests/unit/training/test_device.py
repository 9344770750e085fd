import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from variability import seeding
from variability.errors import UserError
from variability.training import device

HOLDER = """
import sys
from pathlib import Path
from variability.training.device import lease_from
with lease_from({"cuda:0": "GPU-a", "cuda:1": "GPU-b"}, Path(sys.argv[1])) as leased:
    print(leased, flush=True)
    sys.stdin.read()
"""
LIBRARY = Path(device.__file__).parents[2]
CANDIDATES = {"cuda:0": "GPU-a", "cuda:1": "GPU-b"}


@pytest.fixture
def holder(tmp_path):
    """Starts processes that lease a device from ``tmp_path`` until their stdin closes; gives (process, device)."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(LIBRARY)},
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_leaseholders_in_several_processes_get_devices_of_their_own(tmp_path, holder):
    (_, first), (_, second) = holder(), holder()
    assert {first, second} == {"cuda:0", "cuda:1"}


def test_the_device_of_a_killed_process_is_free_again(tmp_path, holder):
    killed, first = holder()
    holder()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with device.lease_from(CANDIDATES, tmp_path) as leased:
        assert leased == first


def test_a_lease_waits_until_a_device_is_free_and_says_so(tmp_path, holder):
    (first, freed), _ = holder(), holder()

    class EndsTheHolder(logging.Handler):
        def emit(self, record):
            assert "waiting for a free GPU among cuda:0, cuda:1" in record.getMessage()
            first.kill()

    handler = EndsTheHolder(level=logging.WARNING)
    logging.getLogger("variability").addHandler(handler)
    try:
        with device.lease_from(CANDIDATES, tmp_path) as leased:
            assert first.wait() == -signal.SIGKILL
            assert leased == freed
    finally:
        logging.getLogger("variability").removeHandler(handler)


def test_one_device_under_two_names_is_leased_once(tmp_path, holder):
    holder()
    with device.lease_from({"cuda:3": "GPU-a", "cuda:4": "GPU-c"}, tmp_path) as leased:
        assert leased == "cuda:4"


@pytest.mark.parametrize(
    ("visible", "count", "expected"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("", 2, []),
        ("-1", 2, []),
        ("1", 2, ["1"]),
        ("1, 0", 2, ["1", "0"]),
        ("0,7,1", 2, ["0"]),
        ("0,0", 2, ["0"]),
        ("GPU-5,MIG-6", 2, ["GPU-5", "MIG-6"]),
        ("0", 0, []),
        ("NoDevFiles", 2, []),
    ],
)
def test_visible_devices_reads_the_variable_as_cuda_does(visible, count, expected):
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert device.visible_devices(environ, count) == expected


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a program named nvidia-smi in the place of any other, and forgets what was counted."""

    def install(body):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(device.OVERRIDE, raising=False)
    device.gpu_count.cache_clear()
    yield install
    device.gpu_count.cache_clear()


def test_gpus_are_counted_within_what_is_visible(nvidia_smi, monkeypatch):
    nvidia_smi("echo 'GPU 0: H200 (UUID: GPU-a)'; echo '  MIG 1g.18gb Device 0:'; echo 'GPU 1: H200 (UUID: GPU-b)'")
    assert device.gpu_count() == 2
    device.gpu_count.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert device.gpu_count() == 1
    device.gpu_count.cache_clear()
    monkeypatch.setenv(device.OVERRIDE, "cpu")
    assert device.gpu_count() == 0


def test_a_driver_in_trouble_counts_as_no_gpu(nvidia_smi, caplog):
    nvidia_smi("exit 9")
    assert device.gpu_count() == 0
    assert "GPUs are not counted" in caplog.text


def test_counting_gpus_does_not_import_torch():
    script = "import sys; from variability.training import device; device.gpu_count(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(LIBRARY)}, check=True)


def test_the_environment_names_the_device_outright(monkeypatch):
    monkeypatch.setenv(device.OVERRIDE, "cpu")
    with device.lease() as leased:
        assert leased == "cpu"


def test_mps_is_used_where_it_is_asked_for_and_not_because_it_is_there(monkeypatch):
    monkeypatch.delenv(device.OVERRIDE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with device.lease() as leased:
        assert leased == "cpu"
    monkeypatch.setattr(device, "_usable", lambda name: name)
    monkeypatch.setenv(device.OVERRIDE, "mps")
    with device.lease() as leased:
        assert leased == "mps"


def test_the_generator_of_mps_is_seeded_and_left_as_it_was(monkeypatch):
    states = ["outside"]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[-1])
    monkeypatch.setattr(torch.mps, "manual_seed", states.append)
    monkeypatch.setattr(torch.mps, "set_rng_state", states.append)
    with seeding.dropout(0, 1).torch_global(device="mps"):
        assert states[-1] == seeding.dropout(0, 1).integer()
    assert states[-1] == "outside"


def test_a_device_that_is_not_there_is_named_with_the_variable(monkeypatch):
    monkeypatch.setenv(device.OVERRIDE, "cuda:99")
    with pytest.raises(UserError, match="VARIABILITY_DEVICE=cuda:99 is no device of this machine"), device.lease():
        pass


def test_hardware_and_versions_are_plain_values_for_a_record():
    found = device.hardware("cpu")
    assert found["device_name"] == found["cpu"]
    assert found["cores"] >= 1 and found["threads"] >= 1
    assert "cuda" in found
    assert set(device.versions(["torch", "torch"])) == {"python", "torch", "numpy"}


def test_the_meter_reads_memory_in_megabytes_and_no_energy_without_a_gpu():
    meter = device.Meter("cpu")
    before = meter.peak_memory_mb()
    held = bytearray(os.urandom(1)) * (64 * 2**20)
    grown = meter.peak_memory_mb()
    assert 1 < before <= grown < 2**20
    assert grown >= len(held) / 2**20
    assert meter.energy_j() is None
