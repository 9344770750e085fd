import itertools

import pytest
import torch

from variability.config import recipe
from variability.training.optimizers import EPS, learning_rate, make_optimizer, set_rate


def rates(total, **changes):
    resolved = recipe.resolve({"lr": 0.1, "warmup": 0.0}, changes)
    return [learning_rate(step, total, resolved) for step in range(total)]


def torch_rates(scheduler, optimizer, total):
    collected = []
    for _ in range(total):
        collected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return collected


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


@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_linear_falls_to_zero_as_torchs_scheduler_does(total):
    optimizer = sgd(0.1)
    expected = torch_rates(torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total), optimizer, total)
    assert rates(total, schedule="linear") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_warmup_rises_linearly_to_the_peak_and_is_followed_by_the_plain_schedule(schedule):
    warmed_up = rates(50, schedule=schedule, warmup=0.2)
    steps = [after - before for before, after in itertools.pairwise(warmed_up[:11])]
    assert warmed_up[0] > 0
    assert steps == pytest.approx([steps[0]] * 10)
    assert warmed_up[10] == pytest.approx(0.1)
    assert warmed_up[10:] == pytest.approx(rates(40, schedule=schedule))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_every_rate_of_every_schedule_is_positive_and_at_most_the_peak(schedule, warmup, total):
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates(total, schedule=schedule, warmup=warmup))


def test_weight_decay_does_not_apply_to_biases_and_normalisation():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    optimizer = make_optimizer(module.parameters(), recipe.resolve({"weight_decay": 0.5}))
    decay = {id(tensor): group["weight_decay"] for group in optimizer.param_groups for tensor in group["params"]}
    assert {name: decay[id(tensor)] for name, tensor in module.named_parameters()} == {
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


def steps(settings, count=12):
    """Updates a tensor with gradients of many sizes; returns its values from the first on, and the gradients."""
    generator = torch.Generator().manual_seed(0)
    tensor = torch.nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))
    optimizer, values, gradients = make_optimizer([tensor], settings), [tensor.detach().clone()], []
    for step in range(count):
        tensor.grad = torch.randn(4, 3, generator=generator, dtype=torch.float64) * 10.0 ** (step % 4 - 9)
        gradients.append(tensor.grad.clone())
        set_rate(optimizer, learning_rate(step, count, settings), step, settings)
        optimizer.step()
        values.append(tensor.detach().clone())
    return values, gradients


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_without_bias_correction_is_the_update_of_berts_optimizer(kind):
    settings = {"optimizer": kind, "lr": 0.01, "weight_decay": 0.3, "adam_bias_correction": False}
    settings = recipe.resolve(settings, {"schedule": "linear", "warmup": 0.2})
    values, gradients = steps(settings)
    tensor, first, second = values[0].clone(), torch.zeros(4, 3), torch.zeros(4, 3)
    for step, gradient in enumerate(gradients):
        lr = learning_rate(step, len(gradients), settings)
        total = gradient + (0.3 * tensor if kind == "adam" else 0)
        first, second = 0.9 * first + 0.1 * total, 0.999 * second + 0.001 * total**2
        tensor -= lr * (first / (second.sqrt() + EPS) + (0.3 * tensor if kind == "adamw" else 0))
        torch.testing.assert_close(values[step + 1], tensor, rtol=1e-9, atol=1e-12)


def test_the_first_update_without_bias_correction_is_three_times_as_large():
    plain = recipe.resolve({"weight_decay": 0.0, "warmup": 0.0})
    moved = [steps(plain | {"adam_bias_correction": corrects})[0] for corrects in (False, True)]
    ratio = (moved[0][1] - moved[0][0]) / (moved[1][1] - moved[1][0])
    # With gradients of 1e-9, eps matters: it counts less where the second moment is not scaled up.
    assert ratio.max() <= 0.1 / 0.001**0.5 + 1e-9


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_with_bias_correction_the_update_is_that_of_torchs_own_optimizer(kind):
    settings = recipe.resolve({"optimizer": kind, "schedule": "constant", "warmup": 0.0})
    values, gradients = steps(settings)
    tensor = torch.nn.Parameter(values[0].clone())
    theirs = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    options = {"momentum": settings["momentum"]} if kind == "sgd" else {}
    optimizer = theirs([tensor], settings["lr"], weight_decay=settings["weight_decay"], fused=True, **options)
    for gradient in gradients:
        tensor.grad = gradient
        optimizer.step()
    assert torch.equal(tensor, values[-1])


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_scaled_gradients_are_unscaled_and_infinite_ones_skipped(kind, clipped):
    settings = recipe.resolve({"optimizer": kind, "lr": 0.1, "weight_decay": 0.0})
    tensors = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizers = [make_optimizer([tensor], settings) for tensor in tensors]
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for gradient in ([1.0, -2.0, 3.0], [torch.inf, 1.0, 1.0], [0.5, 0.5, -4.0]):
        scaler.scale(tensors[0] @ torch.tensor(gradient)).backward()
        if clipped:
            scaler.unscale_(optimizers[0])
            torch.nn.utils.clip_grad_norm_(tensors[0], 100.0)
        scaler.step(optimizers[0])
        scaler.update()
        if torch.inf not in gradient:
            tensors[1].grad = torch.tensor(gradient)
            optimizers[1].step()
        optimizers[0].zero_grad()
    torch.testing.assert_close(*tensors)
