"""Gradients of micro-batches add up to those of the whole batch, and memory that runs out leads to the same bits."""

import errno
import json
import logging
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest
import tiny_study
import torch
from tiny_study import assert_same, timeless
from torch import nn

from variability.config import recipe
from variability.data import kinds
from variability.data.inputs import Inputs
from variability.data.modalities._images import Images
from variability.errors import Interrupted, UserError
from variability.models.networks import Network
from variability.training import inference, memory
from variability.training.activations import Feed
from variability.training.fit_loop import FitData, FitSpec
from variability.training.micro_batches import MicroBatches
from variability.training.saving import Saving
from variability.training.torch_fit import TorchFitLoop

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

LIBRARY = Path(memory.__file__).parents[2]
ROWS = np.arange(100)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


def scale(images):
    return images.float().expand(-1, 3, -1, -1) / 255


def plain_network(outputs):
    """Without BatchNorm: results differ only by the rounding of sums."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(216, outputs)]
    return Network(nn.Sequential(*layers), "5", ["0"])


class Limited(nn.Module):
    """Runs out of memory after the other layers have computed, for more examples than fit, from some call on."""

    def __init__(self, limit, error=None, after=0, training=True):
        super().__init__()
        self.limit, self.error, self.after, self.of_training = limit, error, after, training
        self.sizes, self.failed = [], []

    def forward(self, inputs):
        if self.training is self.of_training:
            if len(inputs) > self.limit and len(self.sizes) >= self.after:
                self.failed.append(len(inputs))
                # Another object each time, which holds the traceback.
                raise type(self.error)(*self.error.args) if self.error else MemoryError
            self.sizes.append(len(inputs))
        return inputs


def limited(network, *arguments, **options):
    """Returns the network with a layer that runs out of memory at the end, and this layer."""
    layer = Limited(*arguments, **options)
    return Network(nn.Sequential(*network.module, layer), network.head, network.blocks), layer


def data(kind="classification"):
    _, labels = tiny_study.images_and_labels()
    return FitData(labels, ROWS, np.arange(100, 140), kinds.find(kind, {"mean": 4.5, "sd": 2.8}))


def fit(network=None, kind="classification", state=None, saving=None, **settings):
    of_task = data(kind)
    chosen = recipe.resolve({"epochs": 2, "batch_size": 32, "optimizer": "sgd", "lr": 0.05}, settings)
    network = network or tiny_study.network(0, of_task.kind.outputs(range(10), {"items": 10}))
    images, _ = tiny_study.images_and_labels()
    feed = Feed(network.module, Images(images, scale, "cpu", chosen["augmentation"]))
    spec = FitSpec(of_task, chosen, 0, state=state, fingerprint="f", saving=saving or Saving())
    return network, TorchFitLoop(spec, network, [""], feed).run()


def tensors(network):
    return {name: tensor.clone() for name, tensor in network.module.state_dict().items()}


@pytest.mark.parametrize(
    ("size", "rows", "expected"),
    [
        (None, 5, [(0, 5)]),
        (5, 5, [(0, 5)]),
        (8, 5, [(0, 5)]),
        (2, 6, [(0, 2), (2, 4), (4, 6)]),
        (4, 7, [(0, 4), (4, 7)]),
        (4, 9, [(0, 4), (4, 9)]),
        (1, 3, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_batches_are_cut_without_a_last_part_of_one(size, rows, expected):
    assert MicroBatches({"micro_batch": size}).cut(rows) == expected


@pytest.mark.parametrize(("micro_batch", "rows"), [(None, 33), (32, 33), (7, 3), (None, 1000), (2, 3)])
def test_halving_makes_the_longest_part_shorter_until_one_example_is_left(micro_batch, rows):
    sizes = MicroBatches({"micro_batch": micro_batch})
    longest = max(stop - start for start, stop in sizes.cut(rows))
    while longest > 1:
        sizes.halve(1, 0, rows, "cpu", "no memory", False)
        shorter = max(stop - start for start, stop in sizes.cut(rows))
        assert shorter < longest
        longest = shorter
    with pytest.raises(UserError, match=r"out of memory on cpu \(none left\): even one example at a time does not fit"):
        sizes.halve(1, 0, rows, "cpu", "none left", False)
    assert sizes.reductions[-1]["micro_batch"] == 1


@pytest.mark.parametrize("micro_batch", [1, 5, 16])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("classification", {"label_smoothing": 0.1, "augmentation": {"flip": True, "crop": 1}}),
        ("regression", {"clip_norm": 0.5}),
        ("ranking", {"optimizer": "adamw", "lr": 1e-3}),
    ],
)
def test_micro_batches_train_as_whole_batches_up_to_rounding(kind, settings, micro_batch):
    outputs = data(kind).kind.outputs(range(10), {"items": 10})
    whole, expected = fit(plain_network(outputs), kind, **settings)
    cut, result = fit(plain_network(outputs), kind, micro_batch=micro_batch, **settings)
    torch.testing.assert_close(tensors(cut), tensors(whole), rtol=1e-4, atol=1e-5)
    for row, other in zip(result.history, expected.history, strict=True):
        for key in ("train_loss", "validation_loss"):
            assert row[key] == pytest.approx(other[key], rel=1e-4, abs=1e-6)


def test_a_linear_head_on_stored_activations_is_cut_too():
    chosen = recipe.resolve({"epochs": 1, "batch_size": 30, "lr": 0.1, "optimizer": "sgd"}, {})
    images, _ = tiny_study.images_and_labels()
    flat = torch.from_numpy(images.reshape(200, 64)).float() / 255

    class Flat(Inputs):
        device = "cpu"

        def plain(self, rows):
            return flat[torch.from_numpy(rows)]

    weights = []
    for micro_batch in (None, 7):
        torch.manual_seed(0)
        head = nn.Linear(64, 10)
        spec = FitSpec(data(), chosen | {"micro_batch": micro_batch}, 0)
        TorchFitLoop(spec, Network(nn.Sequential(head), "0", []), [""], Feed(head, Flat())).run()
        weights.append(head.weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-6)


def test_parts_count_by_their_targets_where_examples_have_several():
    class Sequences(Inputs):
        """Rows have 0 to 3 targets, which are a class each."""

        device = "cpu"

        def plain(self, rows):
            values = torch.from_numpy(np.stack([rows, rows + 1, rows + 2], axis=1) % 10)
            return torch.where(torch.arange(3) < torch.from_numpy(rows % 4)[:, None], values, -1)

        def targets(self, inputs):
            return inputs[inputs >= 0]

    class Scores(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.table = nn.Linear(1, 10)

        def forward(self, inputs):
            return self.table(inputs[inputs >= 0][:, None].float())

    chosen = recipe.resolve({"epochs": 1, "batch_size": 10, "lr": 0.1, "optimizer": "sgd", "schedule": "constant"}, {})
    rows, found = np.arange(40), []
    for micro_batch in (None, 3, 1):
        network = Network(Scores(), "table", [])
        of_task = FitData(rows % 10, rows, rows[:0], kinds.find("classification"))
        spec = FitSpec(of_task, chosen | {"micro_batch": micro_batch}, 0)
        result = TorchFitLoop(spec, network, [""], Feed(network.module, Sequences())).run()
        found.append((network.module.table.weight.detach().clone(), result.history[-1]["train_loss"]))
    for weight, loss in found[1:]:
        torch.testing.assert_close(weight, found[0][0], rtol=1e-4, atol=1e-6)
        assert loss == pytest.approx(found[0][1], rel=1e-4)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_leads_to_the_bits_of_that_micro_batch(error, caplog):
    expected_network, expected = fit(limited(tiny_study.network(0), 1000)[0], micro_batch=8)
    network, layer = limited(tiny_study.network(0), 8, error)
    network, result = fit(network)
    assert layer.failed == [32, 16] and max(layer.sizes) == 8
    # Statistics of BatchNorm and masks of dropout among them.
    assert_same(tensors(network), tensors(expected_network))
    assert timeless(result.history) == timeless(expected.history)
    assert result.reductions == [
        {"epoch": 1, "batch": 0, "micro_batch": 16},
        {"epoch": 1, "batch": 0, "micro_batch": 8},
    ]
    assert "out of memory on cpu in epoch 1, batch 1" in caplog.text
    assert "micro-batches of 8, whose gradients are added up to those of the whole batch of 32" in caplog.text
    assert "BatchNorm normalises each micro-batch by itself" in caplog.text


def test_memory_may_run_out_at_any_micro_batch_of_any_step():
    # Of the 16 micro-batches of the first epoch, the first 5 fit.
    network, layer = limited(plain_network(10), 4, after=5)
    network, result = fit(network, micro_batch=8)
    assert layer.failed == [8] and result.reductions == [{"epoch": 1, "batch": 1, "micro_batch": 4}]
    whole, expected = fit(plain_network(10))
    torch.testing.assert_close(tensors(network)["0.weight"], tensors(whole)["0.weight"], rtol=1e-4, atol=1e-6)
    assert result.history[-1]["train_loss"] == pytest.approx(expected.history[-1]["train_loss"], rel=1e-4)


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_a_resumed_fit_continues_with_the_reduced_micro_batch(tmp_path, steps):
    expected_network, expected = fit(limited(tiny_study.network(0), 8)[0])
    state, asked = tmp_path / "state", []
    saving = Saving(should_stop=lambda: asked.append(0) or len(asked) > steps)
    with pytest.raises(Interrupted):
        fit(limited(tiny_study.network(0), 8)[0], state=state, saving=saving)
    # Now there would be memory for whole batches.
    network, result = fit(limited(tiny_study.network(0), 1000)[0], state=state)
    assert result.resumed and result.reductions == expected.reductions
    assert_same(tensors(network), tensors(expected_network))
    assert timeless(result.history) == timeless(expected.history)


def test_one_example_that_does_not_fit_is_an_error_that_says_what_to_change():
    with pytest.raises(UserError, match=r"even one example at a time does not fit; choose a smaller network.*mem_mb"):
        fit(limited(plain_network(10), 0)[0])


def test_batchnorm_that_needs_two_examples_is_named_when_only_one_fits():
    layers = [nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 10)]
    network = Network(nn.Sequential(*layers), "4", ["0"])
    with pytest.raises(UserError, match=r"out of memory on cpu .*two examples do not fit"):
        fit(limited(network, 1)[0])
    with pytest.raises(UserError, match=r"recipe\.micro_batch: 1 example leaves a layer of Sequential, a BatchNorm"):
        fit(network, micro_batch=1)


def test_an_update_that_does_not_fit_is_not_repeated(monkeypatch):
    def step(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(UserError, match="the network, its gradients and the state of the optimizer do not fit"):
        fit()


def test_other_errors_are_not_mistaken_for_memory():
    with pytest.raises(RuntimeError, match="a bug"):
        fit(limited(plain_network(10), 4, RuntimeError("a bug"))[0])


def test_memory_is_freed_before_the_step_starts_again(monkeypatch):
    network, layer = limited(plain_network(10), 16)
    inputs, gradients = [], []
    network.module[0].register_forward_pre_hook(lambda _, args: inputs.append(weakref.ref(args[0])))

    def release(device):
        gradients.append([parameter.grad for parameter in network.module.parameters()])
        assert inputs[-1]() is None

    monkeypatch.setattr(memory, "release", release)
    fit(network)
    assert layer.failed == [32] and set(gradients[0]) == {None}


def test_predictions_are_computed_in_smaller_batches(caplog):
    rows, images = np.arange(200), tiny_study.images_and_labels()[0]
    inputs = Images(images, scale, "cpu", recipe.DEFAULTS["augmentation"])
    network, layer = limited(plain_network(10), 60, training=False)
    expected = inference.outputs(plain_network(10).module.eval(), inputs, rows)
    with caplog.at_level(logging.WARNING):
        outputs = inference.outputs(network.module.eval(), inputs, rows)
    assert max(layer.sizes) == 50 and sum(layer.sizes) == 200 and layer.failed == [200, 100]
    torch.testing.assert_close(outputs, expected)
    assert "continues with batches of 50 examples" in caplog.text


def test_a_process_with_too_little_memory_trains_in_micro_batches():
    script = """
        import resource, sys
        import numpy as np, torch
        from torch import nn
        from variability.config import recipe
        from variability.data import kinds
        from variability.data.inputs import Inputs
        from variability.models.networks import Network
        from variability.training.activations import Feed
        from variability.training.fit_loop import FitData, FitSpec
        from variability.training.torch_fit import TorchFitLoop

        class Pictures(Inputs):
            device = "cpu"

            def plain(self, rows):
                return torch.ones(len(rows), 3, 32, 32)

        torch.set_num_threads(1)
        rows = np.arange(512)
        network = Network(nn.Sequential(nn.Conv2d(3, 256, 3), nn.Flatten(), nn.Linear(230400, 2)), "2", ["0"])

        def fit(count):
            chosen = recipe.resolve({"epochs": 1, "batch_size": count, "optimizer": "sgd"}, {})
            data = FitData(rows[:count] % 2, rows[:count], rows[:0], kinds.find("classification"))
            loop = TorchFitLoop(FitSpec(data, chosen, 0), network, [""], Feed(network.module, Pictures()))
            return [each["micro_batch"] for each in loop.run().reductions]

        # Whatever libraries load and allocate once is not part of the limit.
        assert fit(4) == []
        # The activations of the whole batch take 470 MB, and their gradients as much.
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 350_000_000, resource.RLIM_INFINITY))
        print(fit(512))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environ = os.environ | {"PYTHONPATH": str(LIBRARY), "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reductions = json.loads(done.stdout)
    assert reductions in ([256], [256, 128], [256, 128, 64], [256, 128, 64, 32])
