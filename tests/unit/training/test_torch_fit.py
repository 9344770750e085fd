import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tiny_study
import torch
from tiny_study import assert_same, timeless
from torch import nn

from variability.config import recipe
from variability.data import kinds
from variability.data.modalities._images import Images
from variability.errors import Interrupted, UserError
from variability.models.networks import Network
from variability.training import fit_loop, torch_fit
from variability.training.activations import Feed
from variability.training.fit_loop import FitData, FitSpec
from variability.training.saving import Saving
from variability.training.torch_fit import TorchFitLoop

LIBRARY = Path(torch_fit.__file__).parents[2]


pytestmark = pytest.mark.usefixtures("one_thread")


def scale(images):
    return images.float().expand(-1, 3, -1, -1) / 255


def digits(kind="classification", train=100, validation=40):
    _, labels = tiny_study.images_and_labels()
    rows = np.arange(200)
    return FitData(labels, rows[:train], rows[train : train + validation], kinds.find(kind, {"mean": 4.5, "sd": 2.8}))


def fit(seed=0, trainable=("",), data=None, network=None, **settings):
    """Fits the tiny network; returns it and the result. settings: of the recipe, and some of ``FitSpec``."""
    options = {key: settings.pop(key) for key in ("state", "fingerprint", "on_epoch", "saving") if key in settings}
    chosen = recipe.resolve({"epochs": 3, "batch_size": 32, "optimizer": "sgd", "lr": 0.05}, settings)
    data = data or digits()
    network = network or tiny_study.network(seed, data.kind.outputs(range(10)))
    images, _ = tiny_study.images_and_labels()
    feed = Feed(network.module, Images(images, scale, "cpu", chosen["augmentation"]))
    return network, TorchFitLoop(FitSpec(data, chosen, seed, **options), network, list(trainable), feed).run()


def tensors(network):
    return {name: tensor.clone() for name, tensor in network.module.state_dict().items()}


def test_a_network_learns_the_digits():
    _, result = fit(epochs=8)
    assert result.status == "completed"
    assert [row["epoch"] for row in result.history] == list(range(9))
    assert result.history[0]["validation_accuracy"] < 0.4
    assert result.history[-1]["validation_accuracy"] > 0.7
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"] / 2


@pytest.mark.parametrize(("train", "batch_size", "fails"), [(1, 32, True), (4, 1, True), (5, 4, False)])
def test_batches_that_leave_batchnorm_one_value_are_an_error_that_names_the_remedy(train, batch_size, fails):
    module = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 10)
    )
    network, data = Network(module, "4", ["0"]), digits(train=train)
    if fails:
        with pytest.raises(UserError, match=r"recipe\.batch_size: 1 example leaves a layer of Sequential, a BatchNorm"):
            fit(network=network, data=data, batch_size=batch_size)
    else:
        fit(network=network, data=data, batch_size=batch_size)
    # The statistics of a frozen layer are not computed from the batch.
    fit(network=network, data=data, batch_size=batch_size, trainable=["4"])


def test_equal_seeds_give_equal_bits_and_other_seeds_other_bits():
    (first, result), (second, again), (other, _) = fit(seed=1), fit(seed=1), fit(seed=2)
    assert_same(tensors(first), tensors(second))
    assert timeless(result.history) == timeless(again.history)
    assert not torch.equal(tensors(first)["1.weight"], tensors(other)["1.weight"])


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd"},
        {"checkpoint": "best", "epochs": 6, "lr": 0.3, "schedule": "constant", "warmup": 0.0},
        {"optimizer": "adamw", "schedule": "one_cycle", "augmentation": {"flip": True, "crop": 1}, "clip_norm": 1.0},
        {"optimizer": "adam", "precision": "bf16", "label_smoothing": 0.1},
    ],
)
def test_a_fit_stopped_at_every_step_resumes_to_the_same_bits(tmp_path, settings):
    whole, expected = fit(**settings)
    positions = [""]
    while True:
        # Stops at the first question, between two epochs at the second: each attempt makes one step, or ends an epoch.
        questions = iter([False] * (not positions[-1].startswith("at")))
        try:
            resumed, result = fit(
                state=tmp_path / "state",
                saving=Saving(math.inf, should_stop=lambda questions=questions: next(questions, True)),
                **settings,
            )
            break
        except Interrupted as interrupted:
            positions.append(str(interrupted).removesuffix("; state saved"))
    ends = [f"before epoch {epoch}" for epoch in range(2, expected.epochs + 1)]
    steps = [
        f"at step {step} of 4 of epoch {epoch}" for epoch in range(1, expected.epochs + 1) for step in (1, 2, 3, 4)
    ]
    assert sorted(positions[1:]) == sorted(ends + steps)
    assert result.resumed and not expected.resumed
    assert_same(tensors(whole), tensors(resumed))
    assert timeless(result.history) == timeless(expected.history)
    assert result.best_epoch == expected.best_epoch
    if settings.get("checkpoint") == "best":
        assert result.best_epoch < result.epochs - 1, "this case needs a best epoch that only the state holds"


@pytest.mark.slow
def test_a_fit_killed_in_the_middle_of_an_epoch_resumes_to_the_same_bits(tmp_path):
    script = """
        import os, signal, sys
        sys.path[:0] = sys.argv[2:]
        import torch
        from pathlib import Path
        import test_torch_fit
        from variability.training.saving import Saving
        torch.set_num_threads(1)
        steps, step = 0, torch.optim.SGD.step
        def count(*args, **kwargs):
            global steps
            steps += 1
            if steps == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **kwargs)
        torch.optim.SGD.step = count
        saving = Saving(0.0)
        test_torch_fit.fit(state=Path(sys.argv[1]), epochs=5, saving=saving)
    """
    state = tmp_path / "state"
    folders = [str(Path(file).parent) for file in (__file__, tiny_study.__file__)]
    command = [sys.executable, "-c", textwrap.dedent(script), str(state), *folders]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    epochs = []
    resumed, result = fit(state=state, epochs=5, on_epoch=lambda row: epochs.append(row["epoch"]))
    whole, expected = fit(epochs=5)
    # Saved after each step, 4 per epoch: the tenth is in the third epoch.
    assert epochs == [3, 4, 5]
    assert_same(tensors(whole), tensors(resumed))
    assert timeless(result.history) == timeless(expected.history)


def test_a_state_that_is_damaged_or_of_other_settings_is_ignored(tmp_path):
    state = tmp_path / "state"
    whole, _ = fit(state=state, fingerprint="a", epochs=2, saving=Saving(0.0))
    _, other = fit(state=state, fingerprint="b", epochs=2, saving=Saving(0.0))
    assert not other.resumed
    state.write_bytes(state.read_bytes()[:-10])
    network, damaged = fit(state=state, fingerprint="b", epochs=2)
    assert not damaged.resumed
    assert_same(tensors(whole), tensors(network))


def test_frozen_parts_do_not_change_not_even_batchnorm_statistics():
    network = tiny_study.network()
    before = tensors(network)
    fit(network=network, trainable=["1"])
    after = tensors(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"1.weight", "1.bias"}


def test_dropout_and_augmentation_do_not_depend_on_earlier_random_numbers():
    first, _ = fit()
    torch.rand(17)
    np.random.default_rng().normal()
    second, _ = fit()
    assert_same(tensors(first), tensors(second))


def test_training_does_not_change_the_state_of_the_global_generator():
    before = torch.get_rng_state()
    fit(epochs=1)
    assert torch.equal(before, torch.get_rng_state())


def test_best_retains_the_weights_of_the_lowest_validation_loss_and_last_the_final_ones():
    settings = {"epochs": 6, "lr": 0.5, "schedule": "constant", "warmup": 0.0}
    by_epoch = []
    network = tiny_study.network()
    _, last = fit(
        network=network, on_epoch=lambda row: by_epoch.append(tensors(network)), checkpoint="last", **settings
    )
    best_network, best = fit(checkpoint="best", **settings)
    lowest = min(last.history[1:], key=lambda row: row["validation_loss"])["epoch"]
    assert lowest < 6, "this case needs a validation loss that rises again"
    assert (best.best_epoch, last.best_epoch) == (lowest, 6)
    assert_same(tensors(best_network), by_epoch[lowest])
    assert_same(tensors(network), by_epoch[6])


def test_training_stops_early_once_patience_is_spent():
    settings = {"epochs": 30, "lr": 0.5, "schedule": "constant", "warmup": 0.0, "early_stopping": 2}
    _, result = fit(**settings)
    best = fit_loop.best_epoch(result.history)
    assert result.status == "completed"
    assert result.epochs == best + 2 < 30


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("lr", [math.nan, 1e30])
def test_a_fit_that_diverges_is_recorded_as_diverged_and_restores_finite_weights(lr, checkpoint):
    untrained = tensors(tiny_study.network())
    network, result = fit(lr=lr, warmup=0.0, checkpoint=checkpoint)
    assert result.status == "diverged"
    assert "of epoch 1" in result.fail_reason or "after epoch 1" in result.fail_reason
    assert (result.epochs, result.best_epoch) == (1, 0)
    assert_same(tensors(network), untrained)


def test_a_loss_that_grows_a_hundredfold_is_a_divergence_though_finite():
    _, result = fit(lr=500.0, warmup=0.0, schedule="constant", epochs=10)
    assert result.status == "diverged"
    assert "over 100 times the untrained network's" in result.fail_reason


def test_a_fit_that_diverges_late_restores_the_epoch_before(monkeypatch):
    network, by_epoch = tiny_study.network(), []
    rate = fit_loop.learning_rate
    monkeypatch.setattr(
        fit_loop, "learning_rate", lambda step, total, recipe: math.nan if step >= 8 else rate(step, total, recipe)
    )
    _, result = fit(network=network, epochs=5, on_epoch=lambda row: by_epoch.append(tensors(network)))
    assert (result.status, result.epochs, result.best_epoch) == ("diverged", 3, 2)
    assert_same(tensors(network), by_epoch[2])


def test_regression_fits_values_by_their_squared_error():
    _, result = fit(data=digits("regression"), epochs=20, lr=0.01)
    first, last = result.history[0], result.history[-1]
    assert last["validation_rmse"] == pytest.approx(2.8 * math.sqrt(last["validation_loss"]))
    assert last["validation_rmse"] < 0.75 * first["validation_rmse"]


def test_losses_are_converted_to_float64_on_the_host_because_mps_lacks_it(monkeypatch):
    class OnMps(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if function is torch.Tensor.double:
                raise TypeError("MPS has no float64")
            returned = super().__torch_function__(function, types, args, kwargs or {})
            return returned.as_subclass(torch.Tensor) if function is torch.Tensor.cpu else returned

    step = TorchFitLoop.step
    monkeypatch.setattr(TorchFitLoop, "step", lambda *args: step(*args).as_subclass(OnMps))
    _, result = fit(epochs=1)
    assert result.status == "completed"


def test_without_validation_examples_the_last_epoch_is_retained_and_best_is_refused():
    data = digits(validation=0)
    _, result = fit(data=data)
    assert result.best_epoch == 3
    assert result.history[-1]["validation_loss"] is None
    for settings in ({"checkpoint": "best"}, {"early_stopping": 2}):
        with pytest.raises(UserError, match="need validation examples"):
            fit(data=data, **settings)


def test_batchnorm_over_a_vector_survives_a_last_batch_of_one():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    _, result = fit(network=Network(module, "3", ["1"]), data=digits(train=33))
    assert result.status == "completed"


def test_gradients_are_clipped_to_the_norm(monkeypatch):
    norms, step = [], torch.optim.SGD.step

    def watch(optimizer, *args, **kwargs):
        gradients = [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
        norms.append(torch.linalg.vector_norm(torch.cat([gradient.flatten() for gradient in gradients])).item())
        return step(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", watch)
    fit(epochs=1)
    assert max(norms) > 0.5
    norms.clear()
    fit(epochs=1, clip_norm=0.1)
    assert max(norms) <= 0.1 + 1e-6


def test_bf16_computes_in_half_precision_and_keeps_the_weights_in_fp32():
    (half, _), (single, _) = fit(precision="bf16"), fit()
    assert half.module[1].weight.dtype == torch.float32
    assert not torch.equal(half.module[1].weight, single.module[1].weight)
    assert torch.allclose(half.module[1].weight, single.module[1].weight, atol=0.1)


def test_fp16_without_cuda_is_refused():
    with pytest.raises(UserError, match="precision: fp16 needs a CUDA device, this run is on cpu"):
        fit(precision="fp16")
