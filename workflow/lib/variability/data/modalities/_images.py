"""Stored images, cut into batches, augmented and made ready for a network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from variability.data.augmentation import Views, augment, choose_views
from variability.data.augmentation_spec import augments
from variability.data.inputs import Inputs, resident, take
from variability.data.preprocessing import Preprocess


def inputs(task, provider, tokens, device: str, augmentation: dict[str, Any]) -> "Images":
    """See ``Modality.inputs``."""
    preprocess = Preprocess.from_dict(provider.preprocess(task.facts["size"]))
    return Images(task.inputs, preprocess, device, augmentation)


@dataclass(frozen=True)
class Images(Inputs):
    """Images for a whole network. images: (n, channels, size, size) uint8."""

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
        return self._ready(rows, lambda images: images)

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if self.views:
            return self.view(rows, choose_views(self.views, len(rows), seed, epoch, batch))
        return self._ready(rows, lambda images: augment(images, self.augmentation, seed, epoch, batch))

    def view(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        """(rows, ...) one of the views of each, on the device."""
        return self._ready(rows, lambda images: self._views.of(images, rows, views))

    @cached_property
    def _views(self) -> Views:
        return Views(self.augmentation, len(self.images))

    @cached_property
    def _pixels(self) -> np.ndarray | torch.Tensor:
        # When it is asked for: whoever trains on stored activations needs no images on a GPU.
        return resident(self.images, self.device)

    def _ready(self, rows: np.ndarray, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        # Whoever computes in half precision does not mean the images by it.
        with torch.autocast(torch.device(self.device).type, enabled=False):
            images = self.preprocess(change(take(self._pixels, rows, self.device)))
            # The layout that convolutions compute fastest in, on GPUs and with AVX-512 alike.
            return images.contiguous(memory_format=torch.channels_last)
