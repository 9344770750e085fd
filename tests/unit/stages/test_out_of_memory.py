"""Runs for which memory ran out: what is recorded, and what later jobs reuse."""

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from torch import nn

from variability import registry
from variability.data.inputs import Inputs
from variability.errors import UserError
from variability.io import artefacts, files
from variability.models.networks import Network
from variability.results import runs_table
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.pretrain import pretrain
from variability.stages.verify import _environment_differences
from variability.training import stored_features
from variability.training.input_files import InputFiles

pytestmark = [pytest.mark.usefixtures("tiny_provider"), pytest.mark.slow]


class Limit(nn.Module):
    """Runs out of memory for more examples than fit, in training."""

    fits = 1000

    def forward(self, inputs):
        if self.training and len(inputs) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return inputs


class TinyWithLimit(tiny_study.Tiny):
    def build(self, outputs, weights, seed, facts=None):
        network = super().build(outputs, weights, seed, facts)
        return Network(nn.Sequential(*network.module, Limit()), network.head, network.blocks)


@pytest.fixture
def study(tmp_path, task_json, monkeypatch):
    """Fine-tunes and predicts seed 0 with memory for a number of examples; returns the folder."""
    monkeypatch.setattr(registry, "find", tiny_study.install(TinyWithLimit))
    tiny_study.install(TinyWithLimit)

    def run(name, fits, **recipe):
        monkeypatch.setattr(Limit, "fits", fits)
        folder, spec = tmp_path / name, tiny_study.STUDY | {"seeds": [0]}
        spec = spec | {"recipe": spec["recipe"] | recipe}
        manifest, predictions = folder / "block-0.json", folder / "predictions"
        finetune(spec, InputFiles(task_json), "code", manifest, tiny_study.workplace())
        listed = predictions / "block-0.json"
        predict(spec, InputFiles(task_json), manifest, "code", predictions, listed, tiny_study.workplace())
        return folder

    return run


def record(folder):
    return files.read_json(folder / "0" / "run.json")


def test_a_reduced_run_is_recorded_and_has_the_bits_and_not_the_fingerprint_of_its_recipe(study):
    whole, reduced, stated = study("whole", 1000), study("reduced", 8), study("stated", 1000, micro_batch=8)
    assert [record(each)["micro_batch"] for each in (whole, reduced, stated)] == [32, 8, 8]
    assert [step["micro_batch"] for step in record(reduced)["reductions"]] == [16, 8]
    assert record(whole)["reductions"] == record(stated)["reductions"] == []
    assert len({record(each)["fingerprint"] for each in (whole, reduced, stated)}) == 3
    tables = [pd.read_parquet(each / "predictions" / "0.parquet") for each in (whole, reduced, stated)]
    pd.testing.assert_frame_equal(tables[1], tables[2])
    assert not tables[0].equals(tables[1])


@pytest.mark.parametrize("fits", [8, 1000])
def test_a_reduced_run_and_its_predictions_are_reused_whatever_the_memory(study, fits):
    folder = study("runs", 8)
    paths = [folder / "0" / "run.json", folder / "predictions" / "0.parquet"]
    before = [path.stat().st_mtime_ns for path in paths]
    manifest = files.read_json(folder / "block-0.json")
    study("runs", fits)
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert files.read_json(folder / "block-0.json") == manifest
    # Another recipe is another run.
    study("runs", fits, lr=0.04)
    assert [path.stat().st_mtime_ns for path in paths] != before


def test_a_changed_list_of_reductions_is_not_the_run_that_was_trained(study):
    folder = study("runs", 8)
    path = folder / "0" / "run.json"
    content = {key: value for key, value in record(folder).items() if key != artefacts.CHECKSUM}
    artefacts.write_record(path, content | {"reductions": []})
    study("runs", 8)
    assert len(record(folder)["reductions"]) == 2


def test_verification_names_memory_as_the_reason_of_a_difference(study):
    notes = _environment_differences(record(study("reduced", 8)), record(study("whole", 1000)))
    assert notes == ["memory ran out at other steps, so that micro-batches had 8 examples and have 32 at the end"]


def test_the_runs_table_has_the_micro_batch(study):
    described = runs_table._describe(
        record(study("runs", 8)),
        {"small": tiny_study.STUDY["model"] | dict.fromkeys(("backbone", "family", "framework", "seed_pretrain"))},
        {"everything": {"kind": "full", "options": {}, "repeats": None}},
    )
    assert described["micro_batch"] == 8 and "micro_batch" in runs_table.COLUMNS


def test_a_run_that_does_not_fit_at_all_fails_with_one_sentence(study):
    with pytest.raises(UserError, match=r"1 of 1 seed failed: out of memory on cpu .*even one example"):
        study("runs", 0)


def test_a_pretraining_is_reduced_and_reused_too(tmp_path, study, task_json, monkeypatch):
    monkeypatch.setattr(Limit, "fits", 10)
    spec = {"model": tiny_study.STUDY["model"], "recipe": tiny_study.STUDY["recipe"], "seed": 0}
    outputs = [tmp_path / name for name in ("weights.safetensors", "weights.json", "history.csv")]
    times = []
    for fits in (10, 1000):
        monkeypatch.setattr(Limit, "fits", fits)
        pretrain(spec, InputFiles(task_json), "code", *outputs)
        times.append([path.stat().st_mtime_ns for path in outputs])
    assert times[0] == times[1] and files.read_json(outputs[1])["micro_batch"] == 8


@pytest.mark.parametrize("views", [0, 2])
def test_activations_are_stored_in_smaller_batches(tmp_path, views):
    class Rows(Inputs):
        device = "cpu"

        def __init__(self):
            self.views = views

        def plain(self, rows):
            return torch.from_numpy(rows).float()[:, None]

        def view(self, rows, chosen):
            return torch.from_numpy(rows * 1000 + chosen).float()[:, None]

    sizes = []

    class Prefix(nn.Module):
        def forward(self, inputs):
            if len(inputs) > 70:
                raise MemoryError
            sizes.append(len(inputs))
            return inputs + 0.5

    may_train = np.arange(300) % 3 > 0
    prefix = stored_features.FrozenPrefix(Prefix(), Rows(), "fp32")
    prefix.store(may_train, tmp_path / "activations.npy")
    stored, training = np.load(tmp_path / "activations.npy")[:, 0], np.flatnonzero(may_train)
    expected = [np.arange(300), *(training * 1000 + view for view in range(views))]
    assert np.array_equal(stored, np.concatenate(expected) + 0.5)
    assert max(sizes) == 64
