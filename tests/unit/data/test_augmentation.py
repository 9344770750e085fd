"""Augmentation is sampled per image from a position of the seed's streams, and from nothing else."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from variability.data.augmentation import Views, augment

OFF = {"flip": False, "crop": 0, "randaugment": None}
KINDS = {
    "flip": OFF | {"flip": True},
    "crop": OFF | {"crop": 3},
    "randaugment": OFF | {"randaugment": {"num_ops": 2, "magnitude": 9}},
}


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_augmentation_the_batch_itself_is_returned():
    images = pixels(2, 3, 8, 8)
    assert augment(images, OFF, 0, 0, 0) is images


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_type_do_not_change(kind, channels):
    out = augment(pixels(6, channels, 12, 12), KINDS[kind], 0, 0, 0)
    assert out.shape == (6, channels, 12, 12)
    assert out.dtype == torch.uint8


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_depends_on_the_position_in_the_stream_only(kind):
    images = pixels(16, 3, 12, 12)
    torch.manual_seed(1)
    first = augment(images, KINDS[kind], 5, 2, 3)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert torch.equal(augment(images, KINDS[kind], 5, 2, 3), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    for position in ((6, 2, 3), (5, 3, 3), (5, 2, 4)):
        assert not torch.equal(augment(images, KINDS[kind], *position), first)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_a_batch_are_changed_differently(kind):
    images = pixels(1, 3, 12, 12).expand(32, -1, -1, -1)
    assert len(torch.unique(augment(images, KINDS[kind], 0, 0, 0), dim=0)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_stored_images_are_not_changed(kind):
    images = pixels(8, 3, 12, 12)
    before = images.clone()
    augment(images, KINDS[kind], 0, 0, 0)
    assert torch.equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_of_an_image_does_not_depend_on_the_batch(kind):
    images, options = pixels(20, 3, 12, 12), KINDS[kind] | {"views": 3}
    rows, chosen = np.array([4, 17, 4, 0]), np.array([0, 2, 1, 2])
    together = Views(options, 20).of(images[rows], rows, chosen)
    torch.manual_seed(3)
    for one in (slice(start, start + 1) for start in range(4)):
        assert torch.equal(Views(options, 20).of(images[rows[one]], rows[one], chosen[one]), together[one])
    views = [Views(options, 20).of(images, np.arange(20), np.full(20, view)) for view in range(2)]
    assert not torch.equal(*views), "two views of the same images"


def test_more_views_do_not_change_the_first_ones():
    images, rows = pixels(8, 3, 12, 12), np.arange(8)
    few, many = (Views(OFF | {"flip": True, "crop": 2, "views": count}, 8) for count in (2, 5))
    for view in range(2):
        assert torch.equal(few.of(images, rows, np.full(8, view)), many.of(images, rows, np.full(8, view)))


def test_a_flip_gives_the_image_or_its_mirror_about_equally_often():
    images = pixels(400, 1, 4, 4)
    out = augment(images, KINDS["flip"], 0, 0, 0)
    unchanged = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(-1)).flatten(1).all(1)
    assert (unchanged | mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_a_crop_is_a_window_of_the_image_with_a_black_border():
    images = pixels(64, 3, 6, 6)
    padded = functional.pad(images, (2, 2, 2, 2))
    corners = set()
    for image, out in zip(padded, augment(images, OFF | {"crop": 2}, 0, 0, 0), strict=True):
        windows = {
            (row, column): image[:, row : row + 6, column : column + 6] for row in range(5) for column in range(5)
        }
        (corner,) = [corner for corner, window in windows.items() if torch.equal(window, out)]
        corners.add(corner)
    assert {row for row, _ in corners} == {column for _, column in corners} == set(range(5))


def test_one_augmentation_does_not_change_the_samples_of_another():
    half = pixels(16, 3, 12, 6)
    symmetric = torch.cat([half, half.flip(-1)], dim=-1)
    both = augment(symmetric, OFF | {"flip": True, "crop": 3}, 0, 0, 0)
    assert torch.equal(both, augment(symmetric, OFF | {"crop": 3}, 0, 0, 0))
