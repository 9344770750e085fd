"""Adam's fused kernel, called directly, updates as torch's own optimizers do."""

import copy

import pytest
import torch

from variability.config import recipe
from variability.training.optimizers import make_optimizer


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_group_without_gradients_does_not_change(kind):
    weight, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([weight, bias], recipe.resolve({"optimizer": kind, "weight_decay": 0.1}))
    weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(bias, torch.ones(2)) and not torch.equal(weight, torch.ones(2, 2))


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_step_makes_no_record_for_the_profiler(kind):
    tensor = torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([tensor], recipe.resolve({"optimizer": kind}))
    tensor.grad = torch.ones(2)
    with torch.autograd.profiler.profile() as profile:
        optimizer.step()
    names = [event.name for event in profile.function_events]
    assert any("_fused_adam" in name for name in names)
    assert not any("Optimizer.step" in name for name in names)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_closure_is_called(kind):
    tensor = torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([tensor], recipe.resolve({"optimizer": kind}))

    def closure():
        loss = tensor.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 2.0
    assert not torch.equal(tensor, torch.ones(2))


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_filters_in_channels_last_layout_are_updated_as_by_torchs_own_optimizer(kind):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 1), torch.nn.Conv2d(4, 4, 3, groups=4))
    module.to(memory_format=torch.channels_last)
    reference, images = copy.deepcopy(module), torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    settings = recipe.resolve({"optimizer": kind, "lr": 0.1, "weight_decay": 0.0})
    theirs = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    optimizers = [make_optimizer(module.parameters(), settings), theirs(reference.parameters(), 0.1, weight_decay=0.0)]
    for _ in range(3):
        for network, optimizer in zip((module, reference), optimizers, strict=True):
            optimizer.zero_grad()
            network(images).square().sum().backward()
            optimizer.step()
    for ours, expected in zip(module.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-6)
        assert optimizers[0].state[ours]["exp_avg"].stride() == ours.stride()
