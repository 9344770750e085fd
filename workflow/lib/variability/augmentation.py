"""Random changes to training images, drawn per image from a place in the ``augment`` stream."""

from typing import Any

import torch
from torch.nn import functional

from variability import seeding

# Each kind of change has a place of its own, so that switching one on does not alter what the others draw.
_FLIP, _CROP, _RANDAUGMENT = range(3)


def augment(images: torch.Tensor, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> torch.Tensor:
    """A batch of stored images, randomly changed; itself where nothing is switched on.

    images: (B, 1 or 3, S, S) uint8 on any device; so is the result.
    augmentation: ``flip`` (mirror left and right with probability 1/2), ``crop`` (pixels of black border added before
    an S x S window is cut out at random; 0 for none), ``randaugment`` (None, or num_ops and magnitude; Cubuk 2020).
    seed, epoch, batch: the place in the stream, which alone decides what is drawn.
    """
    if augmentation["flip"]:
        images = _flip(images, seeding.torch_generator(seed, "augment", epoch, batch, _FLIP))
    if augmentation["crop"]:
        images = _crop(images, augmentation["crop"], seeding.torch_generator(seed, "augment", epoch, batch, _CROP))
    if augmentation["randaugment"]:
        with seeding.torch_global(seed, "augment", epoch, batch, _RANDAUGMENT):
            images = _randaugment(images, augmentation["randaugment"])
    return images


def _flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def _crop(images: torch.Tensor, padding: int, generator: torch.Generator) -> torch.Tensor:
    count, _, height, width = images.shape
    corners = torch.randint(2 * padding + 1, (2, count, 1), generator=generator)
    rows = (corners[0] + torch.arange(height)).to(images.device)
    columns = (corners[1] + torch.arange(width)).to(images.device)
    padded = functional.pad(images, (padding,) * 4)
    each = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Index tensors around the channel slice put the channels last.
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _randaugment(images: torch.Tensor, options: dict[str, int]) -> torch.Tensor:
    from torchvision.transforms import v2

    transform = v2.RandAugment(num_ops=options["num_ops"], magnitude=options["magnitude"])
    # On a whole batch torchvision would draw once and do the same to every image.
    return torch.stack([transform(image) for image in images])
