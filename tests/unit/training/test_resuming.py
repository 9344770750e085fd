"""Fits that stop after every single step, each attempt in a framework of its own as in a new process."""

import importlib.util
import math

import pytest
import tiny_study
import torch
from torch import nn

from variability import registry, seeding
from variability.config import recipe
from variability.errors import Interrupted
from variability.models.networks import Network, sample_head
from variability.training import frameworks
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.saving import Saving

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

MODEL = tiny_study.STUDY["model"]
METHODS = {
    "linear_probe": {},
    "partial": {"blocks": 1},
    "full": {},
    "bitfit": {},
    "lora": {"r": 2, "alpha": 4, "dropout": 0.3, "targets": ["hidden"]},
}
RECIPES = {
    "fp32, best of augmented": {
        **{"checkpoint": "best", "optimizer": "adamw", "clip_norm": 1.0, "lr": 0.03, "schedule": "constant"},
        "augmentation": {"flip": True, "crop": 1},
    },
    "bf16, momentum": {"precision": "bf16", "optimizer": "sgd", "label_smoothing": 0.1},
    "micro-batches, uncorrected": {"micro_batch": 16, "optimizer": "adamw", "adam_bias_correction": False},
}


class Deep(tiny_study.Tiny):
    """Two blocks with BatchNorm, LayerNorm and dropout, and a linear layer for adapters and biases."""

    def build(self, outputs, weights, seed, facts=None):
        with seeding.backbone(seed).torch_global():
            first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2))
            second = nn.Sequential()
            second.add_module("hidden", nn.Linear(144, 12))
            second.add_module("norm", nn.LayerNorm(12))
            second.add_module("drop", nn.Dropout(0.2))
            made = Network(nn.Sequential(first, second, nn.Linear(12, outputs)), "2", ["0", "1"], ["0", "1", "2"])
        sample_head(made, seed)
        return made


@pytest.fixture(autouse=True)
def deep(monkeypatch):
    monkeypatch.setattr(registry, "find", registry.find)
    tiny_study.install(Deep)


def fit(task_json, method, settings, state, **saving):
    """Return the result of a fit, and the checkpoint of what it trained."""
    entry = {"name": method, "kind": method} | METHODS[method]
    framework = frameworks.of(MODEL)(MODEL, entry, InputFiles(task_json), "cpu")
    chosen = recipe.resolve({"epochs": 3, "batch_size": 32}, settings)
    spec = FitSpec(framework.data(4), chosen, 4, state, "fingerprint", saving=Saving(math.inf, **saving))
    result = framework.fit(spec)
    checkpoint = state.with_name("checkpoint")
    framework.save_trained(checkpoint, "fingerprint")
    return result, checkpoint.read_bytes()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("method", METHODS)
def test_a_fit_that_stops_after_every_step_ends_with_the_same_bits(method, name, task_json, tmp_path):
    if method == "lora" and not importlib.util.find_spec("peft"):
        pytest.skip("peft is an extra: make .venv/.transformers")
    settings = RECIPES[name]
    expected, checkpoint = fit(task_json, method, settings, tmp_path / "whole")
    assert not expected.resumed and not (tmp_path / "whole").exists()
    position, positions = "", []
    while True:
        # Questions are asked before an epoch and after a step: each attempt makes one step, or ends an epoch.
        questions = iter([False] * (not position.startswith("at")))
        stop = {"should_stop": lambda questions=questions: next(questions, True)}
        # The generator of a new process is in another state.
        torch.manual_seed(len(positions))
        try:
            result, resumed = fit(task_json, method, settings, tmp_path / "state", **stop)
            break
        except Interrupted as interrupted:
            position = str(interrupted).removesuffix("; state saved")
            positions.append(position)
    steps = [f"at step {step} of 4 of epoch {epoch}" for epoch in (1, 2, 3) for step in (1, 2, 3, 4)]
    assert sorted(positions) == sorted(["before epoch 2", "before epoch 3", *steps])
    assert result.resumed and result.best_epoch == expected.best_epoch
    assert tiny_study.timeless(result.history) == tiny_study.timeless(expected.history)
    assert resumed == checkpoint
