"""Random changes to training images, sampled for each image from a position of ``seeding``."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from variability import seeding


def augment(images: torch.Tensor, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> torch.Tensor:
    """Return a batch of images, randomly changed; the batch itself if no augmentation is switched on.

    images: (B, 1 or 3, S, S) uint8 on any device; the result too. augmentation: ``flip`` (mirror left and right with
    probability 1/2), ``crop`` (pixels of black border added before an S x S window is cut out at random; 0 for none),
    ``randaugment`` (None, or num_ops and magnitude; Cubuk 2020). seed, epoch, batch: the only sources of randomness.
    """
    if augmentation["flip"]:
        generator = seeding.flips(seed, epoch, batch).torch_generator()
        images = _flip(images, torch.rand(len(images), generator=generator) < 0.5)
    if augmentation["crop"]:
        generator, padding = seeding.crops(seed, epoch, batch).torch_generator(), augmentation["crop"]
        images = _crop(images, padding, torch.randint(2 * padding + 1, (2, len(images)), generator=generator))
    if augmentation["randaugment"]:
        with seeding.randaugment(seed, epoch, batch).torch_global():
            images = torch.stack([_randaugment(image, augmentation["randaugment"]) for image in images])
    return images


class Views:
    """A fixed number of augmented versions (views) of each image of a task.

    All runs share the views; a run's seed chooses among them. augmentation: as for ``augment``, and ``views``, their
    number. rows: number of images of the task.
    """

    def __init__(self, augmentation: dict[str, Any], rows: int):
        self._augmentation = augmentation
        views, span = range(augmentation["views"]), 2 * augmentation["crop"] + 1
        self._mirrored = np.stack([seeding.view_flips(view).generator().random(rows) < 0.5 for view in views])
        self._corners = np.stack(
            [seeding.view_crops(view).generator().integers(span, size=(2, rows)) for view in views]
        )

    def of(self, images: torch.Tensor, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        """Return one view of each image.

        images: (B, 1 or 3, S, S) uint8, those of ``rows`` (B,); the result too. views: (B,) index of each view.
        """
        if self._augmentation["flip"]:
            images = _flip(images, torch.from_numpy(self._mirrored[views, rows]))
        if self._augmentation["crop"]:
            images = _crop(images, self._augmentation["crop"], torch.from_numpy(self._corners[views, :, rows].T))
        if self._augmentation["randaugment"]:
            changed = []
            for image, row, view in zip(images, rows.tolist(), views.tolist(), strict=True):
                with seeding.view_randaugment(view, row).torch_global():
                    changed.append(_randaugment(image, self._augmentation["randaugment"]))
            images = torch.stack(changed)
        return images


def choose_views(views: int, count: int, seed: int, epoch: int, batch: int) -> np.ndarray:
    """Return (count,) the index of the view on which a run trains, for each image of a batch."""
    return seeding.batch_augmentation(seed, epoch, batch).generator().integers(views, size=count)


def _flip(images: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def _crop(images: torch.Tensor, padding: int, corners: torch.Tensor) -> torch.Tensor:
    count, _, height, width = images.shape
    rows = (corners[0][:, None] + torch.arange(height)).to(images.device)
    columns = (corners[1][:, None] + torch.arange(width)).to(images.device)
    padded = functional.pad(images, (padding,) * 4)
    index = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Index tensors on both sides of the channel slice put the channels last.
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _randaugment(image: torch.Tensor, options: dict[str, int]) -> torch.Tensor:
    """Apply RandAugment to one image: for a batch torchvision would sample once and change all images alike."""
    from torchvision.transforms import v2

    return v2.RandAugment(num_ops=options["num_ops"], magnitude=options["magnitude"])(image)
