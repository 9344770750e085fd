"""One environment variable turns all kernels off, and runs without them are not mistaken for the others."""

import copy

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from torch import nn

from variability.config import recipe
from variability.errors import UserError
from variability.io import files
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.pretrain import pretrain
from variability.training.cpu_kernels import fused_adam, linear_head, quick, small_convolutions, switch
from variability.training.input_files import InputFiles
from variability.training.optimizers import make_optimizer

pytestmark = pytest.mark.usefixtures("tiny_provider", "one_thread")

KERNELS = {"small convolution", "linear step", "direct optimizer"}


@pytest.fixture
def used(monkeypatch):
    """The kernels that computed something since the set was last cleared; the tiny network is large enough for them."""
    kernels = set()

    def watch(owner, name, kernel):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **named: kernels.add(kernel) or original(*given, **named))

    for limit, value in (("PIXELS", 64), ("WEIGHTS", 0), ("IMAGES", 0)):
        monkeypatch.setattr(small_convolutions, limit, value)
    watch(small_convolutions, "_products", "small convolution")
    watch(linear_head.LinearStep, "loss", "linear step")
    watch(fused_adam, "direct", "direct optimizer")
    return kernels


@pytest.fixture
def study(tmp_path):
    """Fine-tunes and predicts with a method; returns the records of the runs and the tables of predictions, by seed."""
    task = tiny_study.prepare(tmp_path / "task")

    def run(name, method, precision="fp32"):
        settings = recipe.resolve({"epochs": 3, "lr": 0.005, "optimizer": "adam", "precision": precision})
        changes = {"method": {"name": method, "kind": method}, "recipe": settings}
        spec = copy.deepcopy(tiny_study.STUDY) | changes
        fitted, folder = tmp_path / name / "finetune", tmp_path / name / "predict"
        manifest = fitted / "block-0.json"
        finetune(spec, InputFiles(task), "code", manifest, tiny_study.workplace())
        predict(spec, InputFiles(task), manifest, "code", folder, folder / "block-0.json", tiny_study.workplace())
        records = {seed: files.read_json(fitted / str(seed) / "run.json") for seed in spec["seeds"]}
        return records, {seed: pd.read_parquet(folder / f"{seed}.parquet") for seed in spec["seeds"]}

    return run


@pytest.mark.parametrize(
    ("method", "precision", "kernels", "tolerance"),
    [
        ("full", "fp32", {"small convolution", "direct optimizer"}, 1e-2),
        ("full", "bf16", {"small convolution", "direct optimizer"}, 0.1),
        ("linear_probe", "fp32", KERNELS, 1e-4),
    ],
)
def test_a_study_with_stock_kernels_uses_none_of_ours_and_agrees_with_one_that_does(
    study, used, monkeypatch, method, precision, kernels, tolerance
):
    monkeypatch.delenv(switch.VARIABLE, raising=False)
    ours, predictions = study("ours", method, precision)
    assert used == kernels
    used.clear()
    monkeypatch.setenv(switch.VARIABLE, "1")
    stock, expected = study("stock", method, precision)
    assert used == set()
    for seed, table in predictions.items():
        assert ours[seed]["fingerprint"] != stock[seed]["fingerprint"]
        assert ("kernels" in ours[seed], stock[seed]["kernels"]) == (False, "stock")
        probabilities, others = (np.stack(each.pop("probabilities")) for each in (table, expected[seed]))
        differences = np.abs(probabilities - others).max(1)
        # Adam divides by the size of small gradients, which enlarges the differences of rounding in training.
        assert differences[table.phase == "before"].max() < 1e-6
        assert differences.max() < tolerance
        assert (table.y_pred == expected[seed].y_pred).mean() > 0.95
        pd.testing.assert_frame_equal(table.drop(columns="y_pred"), expected[seed].drop(columns="y_pred"))


def test_runs_of_the_other_kernels_are_trained_and_predicted_again(study, monkeypatch):
    monkeypatch.delenv(switch.VARIABLE, raising=False)
    first, _ = study("runs", "full")
    monkeypatch.setenv(switch.VARIABLE, "0")
    again, _ = study("runs", "full")
    assert again == first, "0 is the default"
    monkeypatch.setenv(switch.VARIABLE, "1")
    stock, _ = study("runs", "full")
    assert all(stock[seed]["fingerprint"] != first[seed]["fingerprint"] for seed in first)


def test_a_pretraining_with_stock_kernels_has_another_fingerprint(tmp_path, monkeypatch):
    task, records = tiny_study.prepare(tmp_path / "task"), []
    spec = {"model": tiny_study.STUDY["model"], "recipe": tiny_study.STUDY["recipe"], "seed": 0}
    for value in ("", "1"):
        monkeypatch.setenv(switch.VARIABLE, value)
        folder = tmp_path / f"pretrain{value}"
        folder.mkdir()
        targets = folder / "weights.safetensors", folder / "weights.json", folder / "history.csv"
        pretrain(spec, InputFiles(task), "code", *targets)
        records.append(files.read_json(targets[1]))
    assert records[0]["fingerprint"] != records[1]["fingerprint"]
    assert ("kernels" in records[0], records[1]["kernels"]) == (False, "stock")


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.MultiheadAttention(8, 2)],
    ids=repr,
)
def test_every_kind_of_layer_keeps_its_own_forward_pass(module, monkeypatch):
    monkeypatch.delenv(switch.VARIABLE, raising=False)
    assert quick.QuickLayers(module, "cpu", "bf16").replacements
    monkeypatch.setenv(switch.VARIABLE, "1")
    assert not quick.QuickLayers(module, "cpu", "bf16").replacements


@pytest.mark.parametrize(("name", "stock"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_torchs_own_class(name, stock, monkeypatch):
    settings = recipe.resolve({"optimizer": name})
    monkeypatch.setenv(switch.VARIABLE, "1")
    assert type(make_optimizer([nn.Parameter(torch.ones(2))], settings)) is stock
    monkeypatch.delenv(switch.VARIABLE)
    assert type(make_optimizer([nn.Parameter(torch.ones(2))], settings)) is not stock


def test_a_value_that_is_neither_on_nor_off_is_an_error(monkeypatch):
    monkeypatch.setenv(switch.VARIABLE, "yes")
    with pytest.raises(UserError, match="VARIABILITY_STOCK_KERNELS=yes is neither 1"):
        switch.enabled()
