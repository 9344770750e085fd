"""Preprocessing of whole batches equals that of torchvision."""

import pytest
import torch
from torchvision import models

from variability.data.preprocessing import Preprocess
from variability.errors import UserError

PLAIN = {"size": 32, "resize": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def of_release(weights) -> Preprocess:
    transforms = weights.transforms()
    return Preprocess.from_dict(
        {
            "size": transforms.crop_size[0],
            "resize": transforms.resize_size[0],
            "mean": transforms.mean,
            "std": transforms.std,
            "interpolation": transforms.interpolation.value,
        }
    )


@pytest.mark.parametrize("side", [28, 100, 300])
@pytest.mark.parametrize(
    "weights",
    [
        models.ResNet18_Weights.IMAGENET1K_V1,
        models.EfficientNet_B0_Weights.IMAGENET1K_V1,
        models.EfficientNet_B1_Weights.IMAGENET1K_V2,
    ],
    ids=["bilinear", "bicubic", "odd border"],
)
def test_a_release_is_preprocessed_as_torchvision_does(weights, side):
    images = pixels(3, 3, side, side)
    torch.testing.assert_close(of_release(weights)(images), weights.transforms()(images), rtol=0, atol=1e-6)


def test_grey_is_repeated_in_three_channels():
    grey = pixels(2, 1, 20, 20)
    spec = PLAIN | {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    out = Preprocess.from_dict(spec)(grey)
    assert out.shape == (2, 3, 32, 32)
    assert torch.equal(out, Preprocess.from_dict(spec)(grey.expand(-1, 3, -1, -1)))


def test_images_of_the_right_size_are_only_normalised():
    images = pixels(2, 3, 32, 32)
    torch.testing.assert_close(Preprocess.from_dict(PLAIN)(images), images / 255 * 2 - 1)


def test_an_image_does_not_depend_on_its_batch():
    images = pixels(4, 3, 28, 28)
    preprocess = Preprocess.from_dict(PLAIN | {"interpolation": "bicubic"})
    assert torch.equal(preprocess(images)[2:3], preprocess(images[2:3]))


def test_stored_images_are_not_changed():
    images = pixels(2, 3, 32, 32)
    before = images.clone()
    Preprocess.from_dict(PLAIN)(images)
    assert torch.equal(images, before)


def test_nearest_copies_pixels_unchanged():
    images = pixels(1, 3, 16, 16)
    out = Preprocess.from_dict(PLAIN | {"interpolation": "nearest", "mean": [0.0] * 3, "std": [1.0] * 3})(images)
    assert torch.equal(out, (images / 255).repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(UserError, match=r"size 64 .* resize 32"):
        Preprocess.from_dict(PLAIN | {"size": 64})


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(UserError, match="'lanczos' is not one of bilinear, bicubic, nearest"):
        Preprocess.from_dict(PLAIN | {"interpolation": "lanczos"})
