"""Inputs of networks that take images: stored images, augmented and preprocessed batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from variability.data.augmentation import Views, augment, choose_views
from variability.data.augmentation_spec import augments
from variability.data.inputs import Inputs, resident, take
from variability.data.modalities import StoredExamples
from variability.data.preprocessing import Preprocess


def inputs(
    task: StoredExamples, provider: Any, tokens: Path | None, device: str, augmentation: dict[str, Any]
) -> "Images":
    """Return the images of a task, see ``Modality.inputs``."""
    preprocess = Preprocess.from_dict(provider.preprocess(task.facts["size"]))
    return Images(task.inputs, preprocess, device, augmentation)


@dataclass(frozen=True)
class Images(Inputs):
    """Batches of images, float32 (rows, 3, size, size).

    images: uint8 (n, channels, size, size). preprocess: maps a batch of uint8 images to inputs of the network.
    """

    images: np.ndarray
    preprocess: Callable[[torch.Tensor], torch.Tensor]
    device: str
    augmentation: dict[str, Any]

    @property
    def augmented(self) -> bool:
        return augments(self.augmentation)

    @property
    def views(self) -> int:
        return self.augmentation["views"] if self.augmented else 0

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        return self._batch(rows, lambda images: images)

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if self.views:
            return self.view(rows, choose_views(self.views, len(rows), seed, epoch, batch))
        return self._batch(rows, lambda images: augment(images, self.augmentation, seed, epoch, batch))

    def view(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        return self._batch(rows, lambda images: self._views.of(images, rows, views))

    @cached_property
    def _views(self) -> Views:
        return Views(self.augmentation, len(self.images))

    @cached_property
    def _pixels(self) -> np.ndarray | torch.Tensor:
        # On first use, because training on stored activations needs no images on the GPU.
        return resident(self.images, self.device)

    def _batch(self, rows: np.ndarray, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        # Preprocessing is in full precision also for networks in half precision.
        with torch.autocast(torch.device(self.device).type, enabled=False):
            images = self.preprocess(change(take(self._pixels, rows, self.device)))
            # The memory layout in which convolutions are fastest, on GPUs and with AVX-512.
            return images.contiguous(memory_format=torch.channels_last)
