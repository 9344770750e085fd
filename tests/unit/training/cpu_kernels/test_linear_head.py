import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from variability.config import recipe
from variability.data import kinds
from variability.models.networks import Network
from variability.training.activations import Activations, Feed
from variability.training.cpu_kernels import linear_head
from variability.training.cpu_kernels.linear_head import LinearStep
from variability.training.fit_loop import FitData, FitSpec
from variability.training.torch_fit import TorchFitLoop

WIDTH, CLASSES, ROWS = 16, 3, 50


pytestmark = pytest.mark.usefixtures("one_thread")


def layer(bias=True):
    torch.manual_seed(0)
    return nn.Linear(WIDTH, CLASSES, bias=bias)


@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_are_those_of_autograd_bit_by_bit(bias):
    ours, inputs, targets = layer(bias), torch.rand(8, WIDTH), torch.randint(CLASSES, (8,))
    theirs = copy.deepcopy(ours)

    def loss_of(outputs):
        return functional.cross_entropy(outputs, targets, label_smoothing=0.1)

    # The second time, gradients are added to those of the first.
    for _ in range(2):
        expected = loss_of(theirs(inputs))
        expected.backward()
        assert torch.equal(LinearStep.of(ours).loss(inputs, loss_of), expected)
        for parameter, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(parameter.grad, reference.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_step_is_in_fp32_for_activations_in_half_precision(dtype):
    ours, inputs = layer(), torch.rand(8, WIDTH).to(dtype)
    theirs = copy.deepcopy(ours)
    theirs(inputs.float()).square().mean().backward()
    LinearStep.of(ours).loss(inputs, lambda outputs: outputs.square().mean())
    assert torch.equal(ours.weight.grad, theirs.weight.grad)


class Scaled(nn.Linear):
    """A subclass, which may compute something else."""


@pytest.mark.parametrize("module", [nn.Sequential(layer()), Scaled(WIDTH, CLASSES), nn.Conv2d(1, 1, 1)], ids=repr)
def test_other_modules_have_no_linear_step(module):
    assert LinearStep.of(module) is None


def test_a_layer_of_which_only_a_part_trains_has_no_linear_step():
    part = layer()
    part.weight.requires_grad_(False)
    assert LinearStep.of(part) is None


def fitted(monkeypatch, closed, precision="fp32", **settings):
    """Return the tensors and the history of a head's fit, in closed form or by autograd."""
    if not closed:
        monkeypatch.setattr(linear_head.LinearStep, "of", classmethod(lambda cls, module: None))
    rng = np.random.default_rng(0)
    stored = torch.from_numpy(rng.normal(size=(ROWS, WIDTH)).astype(np.float32))
    data = FitData(rng.integers(CLASSES, size=ROWS), np.arange(40), np.arange(40, ROWS), kinds.find("classification"))
    module = nn.Sequential(nn.Identity(), layer())
    network = Network(module, "1", [])
    chosen = recipe.resolve({"epochs": 4, "batch_size": 8, "precision": precision, **settings}, {})
    feed = Feed(module[1], Activations(stored, np.arange(ROWS), "cpu"))
    result = TorchFitLoop(FitSpec(data, chosen, 0), network, ["1"], feed).run()
    monkeypatch.undo()
    return module.state_dict(), [{**row, "seconds": 0, "examples_per_second": 0} for row in result.history]


@pytest.mark.parametrize("settings", [{}, {"optimizer": "sgd", "lr": 0.1, "clip_norm": 0.1, "label_smoothing": 0.1}])
def test_a_fit_is_bit_by_bit_that_of_autograd(monkeypatch, settings):
    (ours, history), (theirs, expected) = fitted(monkeypatch, True, **settings), fitted(monkeypatch, False, **settings)
    assert history == expected
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_fit_in_bf16_is_close_to_that_of_autograd_and_as_exact_as_fp32(monkeypatch):
    (half, _), (single, _) = fitted(monkeypatch, True, "bf16"), fitted(monkeypatch, True)
    assert all(torch.equal(half[name], single[name]) for name in single)
    mixed, _ = fitted(monkeypatch, False, "bf16")
    assert all(torch.allclose(half[name], mixed[name], atol=0.02) for name in mixed)
