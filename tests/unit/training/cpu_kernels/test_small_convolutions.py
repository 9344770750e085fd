import copy

import numpy as np
import pytest
import torch
from torch import nn

from variability.config import recipe
from variability.data import kinds
from variability.models.networks import Network
from variability.training import inference, stored_features
from variability.training.activations import Activations, Feed
from variability.training.cpu_kernels import small_convolutions
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.cpu_kernels.small_convolutions import SmallConvolution
from variability.training.fit_loop import FitData, FitSpec
from variability.training.torch_fit import TorchFitLoop

#: Of a convolution: channels in and out, kernel, stride, padding, bias; and the images' sides.
SHAPES = [
    ((8, 6, 3, 1, 1, False), (2, 2)),
    ((8, 6, 3, 1, 1, True), (1, 1)),
    ((8, 6, 3, 2, 1, False), (4, 4)),
    ((8, 6, 3, 2, 1, False), (5, 2)),
    ((8, 6, (3, 5), (2, 1), (0, 2), True), (5, 3)),
    ((8, 6, 7, 2, 3, False), (4, 4)),
    ((8, 6, 2, 3, 1, False), (4, 6)),
    ((8, 6, 3, 1, 2, False), (1, 1)),
    ((8, 6, 1, 1, 0, True), (7, 7)),
    ((8, 6, 1, 2, 0, False), (4, 3)),
]


@pytest.fixture(autouse=True)
def any_number_of_weights_and_images(monkeypatch):
    monkeypatch.setattr(small_convolutions, "WEIGHTS", 0)
    monkeypatch.setattr(small_convolutions, "IMAGES", 0)


def made(shape, sides, form=torch.float32):
    """A convolution, in channels-last layout, and images for it; the usual way is forbidden to it."""
    torch.manual_seed(0)
    into, out, kernel, stride, padding, bias = shape
    layer = nn.Conv2d(into, out, kernel, stride, padding, bias=bias).to(memory_format=torch.channels_last)
    images = torch.rand(5, into, *sides).contiguous(memory_format=torch.channels_last).to(form)
    return layer, images.requires_grad_()


def gradients(layer, images, weights):
    said = layer(images)
    parameters = [images, *layer.parameters()]
    return said, torch.autograd.grad((said.double() * weights).sum(), parameters)


@pytest.mark.parametrize(("shape", "sides"), SHAPES)
def test_outputs_and_gradients_are_those_of_the_convolution(shape, sides):
    layer, images = made(shape, sides)
    exact = copy.deepcopy(layer).double()
    weights = torch.rand(exact(images.double()).shape, dtype=torch.float64)
    expected, expected_gradients = gradients(exact, images.detach().double().requires_grad_(), weights)
    assert quick(layer, images)
    with QuickLayers(layer, "cpu", "fp32"):
        found, found_gradients = gradients(layer, images, weights)
    with QuickLayers(layer, "cpu", "fp32", training=False), torch.no_grad():
        again = [layer(images), layer(images)]
    for each in [found, *again]:
        assert torch.allclose(each.double(), expected, atol=1e-6)
        assert each.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        assert torch.allclose(one.double(), other, atol=1e-5)


def quick(layer, images):
    """Whether a layer takes the quick way."""
    way = SmallConvolution(layer)
    way.stock_forward = lambda images: None
    return SmallConvolution.supports(layer) and way(images) is not None


@pytest.mark.parametrize(("shape", "sides"), SHAPES)
def test_in_bf16_they_are_no_further_from_it_than_bf16_is(shape, sides):
    layer, images = made(shape, sides)
    weights = torch.rand(layer(images).shape)
    said, expected = gradients(layer, images, weights)
    for with_gradients in (True, False):
        with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16", with_gradients):
            half = layer(images)
        found = torch.autograd.grad((half.float() * weights).sum(), [images, *layer.parameters()])
        assert half.dtype == torch.bfloat16
        assert all(each.dtype == torch.float32 for each in found)
        for one, other in zip([half, *found], [said, *expected], strict=True):
            assert (one.float() - other).norm() < 0.01 * other.norm()


def test_weights_are_arranged_once_inside_a_context_without_gradients_and_forgotten_after_it():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    quick = QuickLayers(layer, "cpu", "fp32", training=False)
    with quick, torch.no_grad():
        before = layer(images)
        way = layer.forward
        ((_, matrices),) = way.cache.items()
        layer(images)
        assert list(way.cache.values()) == [matrices]
        layer.weight.mul_(2)
    with quick, torch.no_grad():
        assert torch.allclose(layer(images), 2 * before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_in_training_weights_are_read_at_each_step(kernel):
    layer, images = made((8, 6, kernel, 1, kernel // 2, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"):
        before = layer(images)
        with torch.no_grad():
            layer.weight.mul_(2)
        assert torch.allclose(layer(images), 2 * before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_what_is_kept_is_kept_by_size_and_number_format(kernel):
    layer, large = made((8, 6, kernel, 1, kernel // 2, False), (2, 2))
    small = large[:, :, :1, :1]
    with torch.no_grad():
        expected = [layer(large), layer(small)]
        with QuickLayers(layer, "cpu", "fp32", training=False):
            for _ in range(2):
                for images, exact in zip((large, small), expected, strict=True):
                    assert torch.allclose(layer(images), exact, atol=1e-6)
                    with torch.autocast("cpu", torch.bfloat16):
                        half = layer(images)
                    assert half.dtype == torch.bfloat16
                    assert (half.float() - exact).norm() < 0.01 * exact.norm()


def test_in_bf16_a_pixels_gradient_is_summed_in_fp32(monkeypatch):
    layer, images = made((64, 64, 3, 1, 1, False), (3, 3))

    def error():
        with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16"):
            said = layer(images)
        found = torch.autograd.grad(said.float().sum(), images)[0]
        return float((found - exact).norm())

    exact = torch.autograd.grad(layer(images).sum(), images)[0]
    ours = error()
    monkeypatch.setattr(torch, "promote_types", lambda one, other: one)
    assert ours < 0.95 * error()


class Small(nn.Module):
    """A convolution of few pixels and a head."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 2)

    def forward(self, images):
        return self.head(self.convolution(images).mean((2, 3)))


@pytest.fixture
def seen(monkeypatch):
    """Numbers of images that took the quick way."""
    found, usual = [], SmallConvolution.__call__

    def watched(self, images):
        found.append(len(images))
        return usual(self, images)

    monkeypatch.setattr(SmallConvolution, "__call__", watched)
    return found


def test_trainings_predictions_and_features_take_the_quick_way(seen):
    module, rows = Small(), np.arange(20)
    images = Activations(torch.rand(20, 3, 2, 2), rows, "cpu")
    inference.outputs(module.eval(), images, rows)
    assert seen == [20]
    list(
        stored_features.compute(
            module.convolution, stored_features.plain_batches(images, rows, [rows[:8], rows[8:]]), "cpu", "fp32"
        )
    )
    assert seen == [20, 8, 12]
    data = FitData(rows % 2, rows, rows[:0], kinds.find("classification"))
    chosen = recipe.resolve({"epochs": 1, "batch_size": 10}, {})
    TorchFitLoop(FitSpec(data, chosen, 0), Network(module, "head", []), [""], Feed(module, images)).run()
    assert seen == [20, 8, 12, 10, 10]


def test_a_layer_may_be_in_a_context_inside_another():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"):
        with QuickLayers(layer, "cpu", "fp32"):
            layer(images)
        assert isinstance(vars(layer)["forward"], SmallConvolution)
    assert "forward" not in vars(layer)


def test_a_kernel_larger_than_the_images_is_torchs_error():
    layer, images = made((8, 6, 3, 1, 0, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"), pytest.raises(RuntimeError, match="Kernel size"):
        layer(images)


def test_few_images_are_computed_as_ever(monkeypatch):
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    monkeypatch.setattr(small_convolutions, "IMAGES", len(images) + 1)
    assert not quick(layer, images)
    assert quick(layer, images[:, :, :1, :1])


def test_number_format_of_doubles_is_kept():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    layer.double()
    with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16"):
        assert layer(images.double()).dtype == torch.float64


@pytest.mark.parametrize("frozen", ["weight", "images"])
def test_what_is_frozen_gets_no_gradient(frozen):
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    (layer.weight if frozen == "weight" else images).requires_grad_(False)
    with QuickLayers(layer, "cpu", "fp32"):
        layer(images).sum().backward()
    assert (layer.weight.grad is None) == (frozen == "weight")
    assert (images.grad is None) == (frozen == "images")


class Padded(nn.Conv2d):
    """As timm's, which pads by the size of the images."""

    def forward(self, images):
        return super().forward(nn.functional.pad(images, (1, 1, 1, 1)))


class Standardised(nn.Conv2d):
    """With weights of its own making."""

    def _conv_forward(self, images, weight, bias):
        return super()._conv_forward(images, weight - weight.mean(), bias)


@pytest.mark.parametrize(
    "layer",
    [
        Padded(8, 6, 3),
        Standardised(8, 6, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 6, 3)),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 6, 3, padding=1, dilation=2),
        nn.Conv2d(8, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 6, 3, padding="same"),
        nn.Conv2d(8, 6, 3, padding=3),
        nn.Conv1d(8, 6, 3),
        nn.Linear(8, 6),
    ],
    ids=repr,
)
def test_other_layers_are_left_alone(layer):
    assert not SmallConvolution.supports(layer)


@pytest.mark.parametrize(
    ("shape", "side"), [((8, 6, 3, 1, 1, False), 4), ((8, 6, 1, 1, 0, False), 8), ((8, 6, 3, 1, 0, False), 8)]
)
def test_outputs_of_more_pixels_are_computed_as_ever(shape, side):
    layer, images = made(shape, (side, side))
    assert not quick(layer, images)


def test_small_kernels_are_computed_as_ever(monkeypatch):
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    monkeypatch.setattr(small_convolutions, "WEIGHTS", 8 * 6 * 9 // 4 + 1)
    assert not quick(layer, images)
    assert quick(layer, images[:, :, :1, :1])


def test_one_image_without_a_batch_is_computed_as_ever():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    assert not quick(layer, images[0])
