import copy

import pytest
import torch
from torch import nn

from variability import few_pixels
from variability.few_pixels import FewPixels
from variability.kernels import Quick

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
def any_number_of_weights(monkeypatch):
    monkeypatch.setattr(few_pixels, "WEIGHTS", 0)


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
    with Quick(layer, "cpu", "fp32"):
        found, found_gradients = gradients(layer, images, weights)
    with Quick(layer, "cpu", "fp32", training=False), torch.no_grad():
        again = [layer(images), layer(images)]
    for each in [found, *again]:
        assert torch.allclose(each.double(), expected, atol=1e-6)
        assert each.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        assert torch.allclose(one.double(), other, atol=1e-5)


def quick(layer, images):
    """Whether a layer takes the quick way."""
    way = FewPixels(layer)
    way.usual = lambda images: None
    return FewPixels.fits(layer) and way(images) is not None


@pytest.mark.parametrize(("shape", "sides"), SHAPES)
def test_in_bf16_they_are_no_further_from_it_than_bf16_is(shape, sides):
    layer, images = made(shape, sides)
    weights = torch.rand(layer(images).shape)
    expected = [
        each for part in gradients(layer, images, weights) for each in (part if isinstance(part, tuple) else [part])
    ]
    for training in (True, False):
        with torch.autocast("cpu", torch.bfloat16), Quick(layer, "cpu", "bf16", training):
            said = layer(images)
        assert said.dtype == torch.bfloat16
        found = [said, *torch.autograd.grad((said.float() * weights).sum(), [images, *layer.parameters()])]
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == (torch.bfloat16 if one is said else torch.float32)
            assert (one.float() - other).norm() < 0.01 * other.norm()


def test_weights_are_arranged_once_inside_a_context_without_gradients_and_forgotten_after_it():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    quick = Quick(layer, "cpu", "fp32", training=False)
    with quick, torch.no_grad():
        before = layer(images)
        (way,) = [way for _, way in quick.forwards]
        ((_, matrices),) = way.kept.items()
        layer(images)
        assert list(way.kept.values()) == [matrices]
        layer.weight.mul_(2)
    assert not way.kept
    with quick, torch.no_grad():
        assert torch.allclose(layer(images), 2 * before)


def test_in_training_weights_are_read_at_each_step():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    with Quick(layer, "cpu", "fp32"):
        before = layer(images)
        with torch.no_grad():
            layer.weight.mul_(2)
        assert torch.allclose(layer(images), 2 * before)


@pytest.mark.parametrize("frozen", ["weight", "images"])
def test_what_is_frozen_gets_no_gradient(frozen):
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    (layer.weight if frozen == "weight" else images).requires_grad_(False)
    with Quick(layer, "cpu", "fp32"):
        layer(images).sum().backward()
    assert (layer.weight.grad is None) == (frozen == "weight")
    assert (images.grad is None) == (frozen == "images")


class Padded(nn.Conv2d):
    """As timm's, which pads by the size of the images."""

    def forward(self, images):
        return super().forward(nn.functional.pad(images, (1, 1, 1, 1)))


@pytest.mark.parametrize(
    "layer",
    [
        Padded(8, 6, 3),
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
    assert not FewPixels.fits(layer)


@pytest.mark.parametrize(
    ("shape", "side"), [((8, 6, 3, 1, 1, False), 4), ((8, 6, 1, 1, 0, False), 8), ((8, 6, 3, 1, 0, False), 8)]
)
def test_outputs_of_more_pixels_are_computed_as_ever(shape, side):
    layer, images = made(shape, (side, side))
    assert not quick(layer, images)


def test_small_kernels_are_computed_as_ever(monkeypatch):
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    monkeypatch.setattr(few_pixels, "WEIGHTS", 8 * 6 * 9 // 4 + 1)
    assert not quick(layer, images)
    assert quick(layer, images[:, :, :1, :1])


def test_one_image_without_a_batch_is_computed_as_ever():
    layer, images = made((8, 6, 3, 1, 1, False), (2, 2))
    assert not quick(layer, images[0])
