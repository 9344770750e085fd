"""Activations of a network's frozen prefix as inputs of the rest of the network."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from variability.data.augmentation import choose_views
from variability.data.batching import batches_of_similar_length, padded_positions
from variability.data.inputs import Inputs, take


@dataclass(frozen=True)
class Feed:
    """What is computed of a network, all of it or the rest after its frozen prefix, and from what.

    examples: what the inputs are activations of; None where they are the examples themselves.
    """

    module: nn.Module
    inputs: Inputs
    examples: Inputs | None = None

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """An epoch's rows cut into batches, the same whether activations or examples are fed."""
        return (self.inputs if self.examples is None else self.examples).batches(order, size, seed, epoch)


@dataclass(frozen=True)
class Activations(Inputs):
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
        return take(self.stored, places, self.device).contiguous(memory_format=self.layout)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """How many rows stand there as they are, and how many in each view."""
        first = int(self.places.max()) + 1
        return first, (len(self.stored) - first) // self.views


@dataclass(frozen=True)
class TokenActivations(Inputs):
    """Activations of a frozen prefix that are a vector of each token: (rows, length, width), NaN where there is none.

    stored: (m, width), those of all tokens one after another. starts, counts: (n,) where those of a row begin, and how
    many there are.
    """

    stored: torch.Tensor
    starts: np.ndarray
    counts: np.ndarray
    device: str

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        places, there = padded_positions(self.starts[rows], self.counts[rows])
        taken = take(self.stored, places[there], self.device)
        batch = taken.new_full((there.size, taken.shape[1]), torch.nan)
        # Not by a mask: a GPU would make the host wait until it has counted.
        batch[torch.from_numpy(np.flatnonzero(there)).to(batch.device)] = taken
        return batch.view(*there.shape, -1)

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        return batches_of_similar_length(self.counts[rows], size)
