import os

import torch

from variability import seeding
from variability.training import device


def test_the_generator_of_mps_is_seeded_and_left_as_it_was(monkeypatch):
    states = ["outside"]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[-1])
    monkeypatch.setattr(torch.mps, "manual_seed", states.append)
    monkeypatch.setattr(torch.mps, "set_rng_state", states.append)
    with seeding.dropout(0, 1).torch_global(device="mps"):
        assert states[-1] == seeding.dropout(0, 1).integer()
    assert states[-1] == "outside"


def test_hardware_and_versions_are_plain_values_for_a_record():
    record = device.hardware("cpu")
    assert record["device_name"] == record["cpu"]
    assert record["cores"] >= 1 and record["threads"] >= 1
    assert "cuda" in record
    assert set(device.versions(["torch", "torch"])) == {"python", "torch", "numpy"}


def test_the_meter_reads_memory_in_megabytes_and_no_energy_without_a_gpu():
    meter = device.Meter("cpu")
    before = meter.peak_memory_mb()
    held = bytearray(os.urandom(1)) * (64 * 2**20)
    grown = meter.peak_memory_mb()
    assert 1 < before <= grown < 2**20
    assert grown >= len(held) / 2**20
    assert meter.energy_j() is None
