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

#: Convolutions (channels in and out, kernel, stride, padding, bias), each with the sides of its images.
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


def convolution(shape, sides, dtype=torch.float32):
    """Return a convolution and images for it, both in channels-last layout."""
    torch.manual_seed(0)
    channels, out, kernel, stride, padding, bias = shape
    layer = nn.Conv2d(channels, out, kernel, stride, padding, bias=bias).to(memory_format=torch.channels_last)
    images = torch.rand(5, channels, *sides).contiguous(memory_format=torch.channels_last).to(dtype)
    return layer, images.requires_grad_()


def gradients(layer, images, weights):
    outputs = layer(images)
    parameters = [images, *layer.parameters()]
    return outputs, torch.autograd.grad((outputs.double() * weights).sum(), parameters)


@pytest.mark.parametrize(("shape", "sides"), SHAPES)
def test_outputs_and_gradients_are_those_of_the_convolution(shape, sides):
    layer, images = convolution(shape, sides)
    exact = copy.deepcopy(layer).double()
    weights = torch.rand(exact(images.double()).shape, dtype=torch.float64)
    expected, expected_gradients = gradients(exact, images.detach().double().requires_grad_(), weights)
    assert uses_products(layer, images)
    with QuickLayers(layer, "cpu", "fp32"):
        outputs, computed_gradients = gradients(layer, images, weights)
    with QuickLayers(layer, "cpu", "fp32", training=False), torch.no_grad():
        without_gradients = [layer(images), layer(images)]
    for computed in [outputs, *without_gradients]:
        assert torch.allclose(computed.double(), expected, atol=1e-6)
        assert computed.is_contiguous(memory_format=torch.channels_last)
    for gradient, exact_gradient in zip(computed_gradients, expected_gradients, strict=True):
        assert torch.allclose(gradient.double(), exact_gradient, atol=1e-5)


def uses_products(layer, images):
    """Return whether a layer is computed by matrix products."""
    forward = SmallConvolution(layer)
    forward.stock_forward = lambda images: None
    return SmallConvolution.supports(layer) and forward(images) is not None


@pytest.mark.parametrize(("shape", "sides"), SHAPES)
def test_in_bf16_outputs_and_gradients_are_as_exact_as_bf16(shape, sides):
    layer, images = convolution(shape, sides)
    weights = torch.rand(layer(images).shape)
    outputs, expected = gradients(layer, images, weights)
    for with_gradients in (True, False):
        with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16", with_gradients):
            half = layer(images)
        computed = torch.autograd.grad((half.float() * weights).sum(), [images, *layer.parameters()])
        assert half.dtype == torch.bfloat16
        assert all(gradient.dtype == torch.float32 for gradient in computed)
        for tensor, exact in zip([half, *computed], [outputs, *expected], strict=True):
            assert (tensor.float() - exact).norm() < 0.01 * exact.norm()


def test_without_gradients_weights_are_arranged_once_per_context():
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    context = QuickLayers(layer, "cpu", "fp32", training=False)
    with context, torch.no_grad():
        before = layer(images)
        forward = layer.forward
        ((_, matrices),) = forward.cache.items()
        layer(images)
        assert list(forward.cache.values()) == [matrices]
        layer.weight.mul_(2)
    with context, torch.no_grad():
        assert torch.allclose(layer(images), 2 * before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_in_training_weights_are_read_at_each_step(kernel):
    layer, images = convolution((8, 6, kernel, 1, kernel // 2, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"):
        before = layer(images)
        with torch.no_grad():
            layer.weight.mul_(2)
        assert torch.allclose(layer(images), 2 * before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_arranged_weights_are_cached_by_size_and_number_format(kernel):
    layer, large = convolution((8, 6, kernel, 1, kernel // 2, False), (2, 2))
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
    layer, images = convolution((64, 64, 3, 1, 1, False), (3, 3))

    def error():
        with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16"):
            outputs = layer(images)
        gradient = torch.autograd.grad(outputs.float().sum(), images)[0]
        return float((gradient - exact).norm())

    exact = torch.autograd.grad(layer(images).sum(), images)[0]
    in_fp32 = error()
    monkeypatch.setattr(torch, "promote_types", lambda dtype, other: dtype)
    assert in_fp32 < 0.95 * error()


class Small(nn.Module):
    """A convolution with few output pixels, and a head."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 2)

    def forward(self, images):
        return self.head(self.convolution(images).mean((2, 3)))


@pytest.fixture
def batches(monkeypatch):
    """Numbers of images in the batches that matrix products were computed for."""
    sizes, call = [], SmallConvolution.__call__

    def watched(self, images):
        sizes.append(len(images))
        return call(self, images)

    monkeypatch.setattr(SmallConvolution, "__call__", watched)
    return sizes


def test_training_predictions_and_features_use_products(batches):
    module, rows = Small(), np.arange(20)
    images = Activations(torch.rand(20, 3, 2, 2), rows, "cpu")
    inference.outputs(module.eval(), images, rows)
    assert batches == [20]
    list(stored_features.compute(module.convolution, [rows[:8], rows[8:]], images.plain, "cpu", "fp32"))
    assert batches == [20, 8, 12]
    data = FitData(rows % 2, rows, rows[:0], kinds.find("classification"))
    chosen = recipe.resolve({"epochs": 1, "batch_size": 10}, {})
    TorchFitLoop(FitSpec(data, chosen, 0), Network(module, "head", []), [""], Feed(module, images)).run()
    assert batches == [20, 8, 12, 10, 10]


def test_contexts_can_be_nested():
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"):
        with QuickLayers(layer, "cpu", "fp32"):
            layer(images)
        assert isinstance(vars(layer)["forward"], SmallConvolution)
    assert "forward" not in vars(layer)


def test_a_kernel_larger_than_the_images_raises_torchs_error():
    layer, images = convolution((8, 6, 3, 1, 0, False), (2, 2))
    with QuickLayers(layer, "cpu", "fp32"), pytest.raises(RuntimeError, match="Kernel size"):
        layer(images)


def test_few_images_use_torchs_convolution(monkeypatch):
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    monkeypatch.setattr(small_convolutions, "IMAGES", len(images) + 1)
    assert not uses_products(layer, images)
    assert uses_products(layer, images[:, :, :1, :1])


def test_float64_remains_float64():
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    layer.double()
    with torch.autocast("cpu", torch.bfloat16), QuickLayers(layer, "cpu", "bf16"):
        assert layer(images.double()).dtype == torch.float64


@pytest.mark.parametrize("frozen", ["weight", "images"])
def test_frozen_tensors_get_no_gradient(frozen):
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    (layer.weight if frozen == "weight" else images).requires_grad_(False)
    with QuickLayers(layer, "cpu", "fp32"):
        layer(images).sum().backward()
    assert (layer.weight.grad is None) == (frozen == "weight")
    assert (images.grad is None) == (frozen == "images")


class Padded(nn.Conv2d):
    """A convolution that pads by itself, as timm's do."""

    def forward(self, images):
        return super().forward(nn.functional.pad(images, (1, 1, 1, 1)))


class Standardised(nn.Conv2d):
    """A convolution that standardises its weights."""

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
def test_other_layers_are_not_supported(layer):
    assert not SmallConvolution.supports(layer)


@pytest.mark.parametrize(
    ("shape", "side"), [((8, 6, 3, 1, 1, False), 4), ((8, 6, 1, 1, 0, False), 8), ((8, 6, 3, 1, 0, False), 8)]
)
def test_outputs_with_more_pixels_use_torchs_convolution(shape, side):
    layer, images = convolution(shape, (side, side))
    assert not uses_products(layer, images)


def test_small_kernels_use_torchs_convolution(monkeypatch):
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    monkeypatch.setattr(small_convolutions, "WEIGHTS", 8 * 6 * 9 // 4 + 1)
    assert not uses_products(layer, images)
    assert uses_products(layer, images[:, :, :1, :1])


def test_one_image_without_a_batch_uses_torchs_convolution():
    layer, images = convolution((8, 6, 3, 1, 1, False), (2, 2))
    assert not uses_products(layer, images[0])
