import copy
import itertools

import pytest
import torch

from variability import recipe
from variability.optimisation import learning_rate, make_optimizer


def rates(total, **changes):
    resolved = recipe.resolve({"lr": 0.1, "warmup": 0.0}, changes)
    return [learning_rate(step, total, resolved) for step in range(total)]


def torch_rates(scheduler, optimizer, total):
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def sgd(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_cosine_equals_torchs_scheduler(total):
    optimizer = sgd(0.1)
    expected = torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total), optimizer, total)
    assert rates(total, schedule="cosine") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (100, 0.3), (100, 0.25), (7, 0.5), (64, 0.1)])
def test_one_cycle_equals_torchs_scheduler(total, warmup):
    optimizer = sgd(0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total, pct_start=warmup, cycle_momentum=False)
    expected = torch_rates(scheduler, optimizer, total - 1)
    assert rates(total, schedule="one_cycle", warmup=warmup)[:-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warmup_rises_linearly_to_the_peak_and_is_followed_by_the_plain_schedule(schedule):
    found = rates(50, schedule=schedule, warmup=0.2)
    steps = [after - before for before, after in itertools.pairwise(found[:11])]
    assert found[0] > 0
    assert steps == pytest.approx([steps[0]] * 10)
    assert found[10] == pytest.approx(0.1)
    assert found[10:] == pytest.approx(rates(40, schedule=schedule))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_every_rate_of_every_schedule_is_positive_and_at_most_the_peak(schedule, warmup, total):
    found = rates(total, schedule=schedule, warmup=warmup)
    assert all(0 < rate <= 0.1 + 1e-12 for rate in found)


def test_weight_decay_spares_biases_and_normalisation():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    optimizer = make_optimizer(module.parameters(), recipe.resolve({"weight_decay": 0.5}))
    decay = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert {name: decay[id(each)] for name, each in module.named_parameters()} == {
        "0.weight": 0.5,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.5,
        "2.bias": 0.0,
    }


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_each_optimizer_is_torchs_with_the_recipes_settings(kind):
    settings = recipe.resolve({"optimizer": kind, "lr": 0.25, "momentum": 0.75, "weight_decay": 0.0})
    optimizer = make_optimizer([torch.nn.Parameter(torch.ones(2, 2))], settings)
    assert isinstance(optimizer, {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind])
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert kind != "sgd" or optimizer.param_groups[0]["momentum"] == 0.75


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_filters_in_channels_last_layout_are_stepped_as_by_torchs_own_optimizer(kind):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 1), torch.nn.Conv2d(4, 4, 3, groups=4))
    module.to(memory_format=torch.channels_last)
    twin, images = copy.deepcopy(module), torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    settings = recipe.resolve({"optimizer": kind, "lr": 0.1, "weight_decay": 0.0})
    theirs = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    optimizers = [make_optimizer(module.parameters(), settings), theirs(twin.parameters(), 0.1, weight_decay=0.0)]
    for _ in range(3):
        for each, optimizer in zip((module, twin), optimizers, strict=True):
            optimizer.zero_grad()
            each(images).square().sum().backward()
            optimizer.step()
    for ours, expected in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-6)
        assert optimizers[0].state[ours]["exp_avg"].stride() == ours.stride()
