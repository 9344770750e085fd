"""What enters a network, in training and in prediction: stored images, or the activations of its frozen prefix.

Both kinds are cut into batches as whole tensors on the device; nothing is done image by image in Python.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from variability.augmentation import Views, augment, choose_views
from variability.recipe import augments

#: Share of a GPU's free memory that a task's images or activations may take to stay there.
_RESIDENT = 0.4
_PART = 4096


class Inputs(Protocol):
    """A task's examples as one part of a network takes them; rows are indices into the task's stored examples."""

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """(rows, ...) as they are, on the device."""

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        """(rows, ...) augmented as a place in the seed's ``augment`` stream says, on the device."""


@dataclass(frozen=True)
class Feed:
    """What is computed of a network, all of it or the rest after its frozen prefix, and from what."""

    module: nn.Module
    inputs: Inputs


@dataclass(frozen=True)
class Images:
    """Images for a whole network. images: (n, channels, size, size) uint8, an array or a tensor on the device."""

    images: np.ndarray | torch.Tensor
    preprocess: Callable[[torch.Tensor], torch.Tensor]
    device: str
    augmentation: dict[str, Any]

    @property
    def augmented(self) -> bool:
        return augments(self.augmentation)

    @property
    def views(self) -> int:
        """Augmented views of each image that training chooses among; 0 where each epoch has new ones, or none."""
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

    def _ready(self, rows: np.ndarray, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        # Whoever computes in half precision does not mean the images by it.
        with torch.autocast(torch.device(self.device).type, enabled=False):
            images = self.preprocess(change(_take(self.images, rows, self.device)))
            # The layout that convolutions compute fastest in, on GPUs and with AVX-512 alike.
            return images.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Activations:
    """Activations of a frozen prefix, for the rest of the network.

    stored: (m, ...): first those of the images as they are, then ``views`` times those of the rows that may train,
    augmented. places: (n,) where a row stands among the first. layout: of a batch in memory, as the prefix gives it.
    trains: (n,) where a row stands within a view.
    """

    stored: torch.Tensor
    places: np.ndarray
    device: str
    layout: torch.memory_format = torch.contiguous_format
    views: int = 0
    trains: np.ndarray | None = None

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        return self._take(self.places[rows])

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if not self.views:
            return self.plain(rows)
        first, size = self._sizes
        view = choose_views(self.views, len(rows), seed, epoch, batch)
        return self._take(first + view * size + self.trains[rows])

    def _take(self, places: np.ndarray) -> torch.Tensor:
        return _take(self.stored, places, self.device).contiguous(memory_format=self.layout)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """How many rows stand there as they are, and how many in each view."""
        first = int(self.places.max()) + 1
        return first, (len(self.stored) - first) // self.views


def resident(array: np.ndarray | torch.Tensor, device: str) -> np.ndarray | torch.Tensor:
    """The array on a GPU that has room for it, so that batches are cut there; elsewhere itself."""
    if not device.startswith("cuda"):
        return array
    free, _ = torch.cuda.mem_get_info(device)
    if array.nbytes > _RESIDENT * free:
        return array
    first = array[:1] if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array[:1]))
    there = torch.empty(array.shape, dtype=first.dtype, device=device)
    # A part at a time: the whole of a memory map would have to fit into memory beside the GPU's.
    for at in range(0, len(array), _PART):
        part = array[at : at + _PART]
        there[at : at + _PART] = part if isinstance(part, torch.Tensor) else torch.from_numpy(np.array(part))
    return there


def _take(array: np.ndarray | torch.Tensor, rows: np.ndarray, device: str) -> torch.Tensor:
    if isinstance(array, torch.Tensor):
        # Twice as fast as indexing, whose kernel copes with any shape of index.
        return array.index_select(0, torch.from_numpy(rows).to(array.device)).to(device)
    return torch.from_numpy(np.asarray(array[rows])).to(device)
