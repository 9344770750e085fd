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
    """A module that is computed, all of a network or the part after its frozen prefix, with its inputs.

    examples: the task's examples if ``inputs`` are activations, None if ``inputs`` are the examples themselves.
    """

    module: nn.Module
    inputs: Inputs
    examples: Inputs | None = None

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Cut the rows of an epoch into batches, the same ones for activations as for examples."""
        return (self.inputs if self.examples is None else self.examples).batches(order, size, seed, epoch)


@dataclass(frozen=True)
class Activations(Inputs):
    """Activations of a frozen prefix, one entry per example.

    stored: (m, ...): first the entries of the examples without augmentation, then ``views`` times those of the rows
    that may train. index: (n,) index of a row among the first entries. layout: memory layout of a batch, as the prefix
    returns it. index_in_view: (n,) index of a row among the entries of a view.
    """

    stored: torch.Tensor
    index: np.ndarray
    device: str
    layout: torch.memory_format = torch.contiguous_format
    views: int = 0
    index_in_view: np.ndarray | None = None

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        return self._take(self.index[rows])

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if self.index_in_view is None or not self.views:
            return self.plain(rows)
        views = choose_views(self.views, len(rows), seed, epoch, batch)
        return self._take(self._without_views + views * self._view_size + self.index_in_view[rows])

    def _take(self, indices: np.ndarray) -> torch.Tensor:
        return take(self.stored, indices, self.device).contiguous(memory_format=self.layout)

    @cached_property
    def _without_views(self) -> int:
        """Number of entries before those of the views."""
        return int(self.index.max()) + 1

    @cached_property
    def _view_size(self) -> int:
        """Number of entries of a view."""
        return (len(self.stored) - self._without_views) // self.views


@dataclass(frozen=True)
class TokenActivations(Inputs):
    """Activations of a frozen prefix, one entry per token: batches are (rows, length, width), padded with NaN.

    stored: (m, width), the entries of all tokens, one row's after another's. starts: (n,) index of a row's first entry.
    counts: (n,) number of a row's entries.
    """

    stored: torch.Tensor
    starts: np.ndarray
    counts: np.ndarray
    device: str

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        positions, is_token = padded_positions(self.starts[rows], self.counts[rows])
        tokens = take(self.stored, positions[is_token], self.device)
        batch = tokens.new_full((is_token.size, tokens.shape[1]), torch.nan)
        # By indices and not by a mask, for which a GPU would make the host wait for the number of tokens.
        batch[torch.from_numpy(np.flatnonzero(is_token)).to(batch.device)] = tokens
        return batch.view(*is_token.shape, -1)

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        return batches_of_similar_length(self.counts[rows], size)
