"""Random changes to training images, drawn per image from a place in the ``augment`` stream."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from variability import seeding

# Each kind of change has a place of its own, so that switching one on does not alter what the others draw.
_FLIP, _CROP, _RANDAUGMENT = range(3)
#: The seed of views, which all runs share: a run's own seed chooses among them.
VIEWS_SEED = 0


def augment(images: torch.Tensor, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> torch.Tensor:
    """A batch of stored images, randomly changed; itself where nothing is switched on.

    images: (B, 1 or 3, S, S) uint8 on any device; so is the result.
    augmentation: ``flip`` (mirror left and right with probability 1/2), ``crop`` (pixels of black border added before
    an S x S window is cut out at random; 0 for none), ``randaugment`` (None, or num_ops and magnitude; Cubuk 2020).
    seed, epoch, batch: the place in the stream, which alone decides what is drawn.
    """
    if augmentation["flip"]:
        generator = seeding.torch_generator(seed, "augment", epoch, batch, _FLIP)
        images = _flip(images, torch.rand(len(images), generator=generator) < 0.5)
    if augmentation["crop"]:
        generator, padding = seeding.torch_generator(seed, "augment", epoch, batch, _CROP), augmentation["crop"]
        images = _crop(images, padding, torch.randint(2 * padding + 1, (2, len(images)), generator=generator))
    if augmentation["randaugment"]:
        with seeding.torch_global(seed, "augment", epoch, batch, _RANDAUGMENT):
            images = torch.stack([_randaugment(image, augmentation["randaugment"]) for image in images])
    return images


class Views:
    """A number of augmented views of each image of a task: a view of an image is the same whoever asks for it.

    augmentation: as of ``augment``, and ``views``, how many. rows: images of the task.
    """

    def __init__(self, augmentation: dict[str, Any], rows: int):
        self._augmentation = augmentation
        places = [(view, kind) for view in range(augmentation["views"]) for kind in (_FLIP, _CROP)]
        draws = {place: seeding.generator(VIEWS_SEED, "augment", *place) for place in places}
        numbers = range(augmentation["views"])
        self._mirrored = np.stack([draws[view, _FLIP].random(rows) < 0.5 for view in numbers])
        span = 2 * augmentation["crop"] + 1
        self._corners = np.stack([draws[view, _CROP].integers(span, size=(2, rows)) for view in numbers])

    def of(self, images: torch.Tensor, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        """images: (B, 1 or 3, S, S) uint8, those of ``rows`` (B,); views: (B,) which view of each."""
        if self._augmentation["flip"]:
            images = _flip(images, torch.from_numpy(self._mirrored[views, rows]))
        if self._augmentation["crop"]:
            images = _crop(images, self._augmentation["crop"], torch.from_numpy(self._corners[views, :, rows].T))
        if self._augmentation["randaugment"]:
            changed = []
            for image, row, view in zip(images, rows.tolist(), views.tolist(), strict=True):
                with seeding.torch_global(VIEWS_SEED, "augment", view, row, _RANDAUGMENT):
                    changed.append(_randaugment(image, self._augmentation["randaugment"]))
            images = torch.stack(changed)
        return images


def choose_views(views: int, count: int, seed: int, epoch: int, batch: int) -> np.ndarray:
    """(count,) which view of each image of a batch a run trains on, from its own ``augment`` stream."""
    return seeding.generator(seed, "augment", epoch, batch).integers(views, size=count)


def _flip(images: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def _crop(images: torch.Tensor, padding: int, corners: torch.Tensor) -> torch.Tensor:
    count, _, height, width = images.shape
    rows = (corners[0][:, None] + torch.arange(height)).to(images.device)
    columns = (corners[1][:, None] + torch.arange(width)).to(images.device)
    padded = functional.pad(images, (padding,) * 4)
    each = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Index tensors around the channel slice put the channels last.
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _randaugment(image: torch.Tensor, options: dict[str, int]) -> torch.Tensor:
    """One image: on a batch torchvision would draw once and do the same to every image."""
    from torchvision.transforms import v2

    return v2.RandAugment(num_ops=options["num_ops"], magnitude=options["magnitude"])(image)
