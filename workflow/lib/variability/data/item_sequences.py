"""Sequences of items that users interacted with, as ``modalities.interactions`` stores them; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: In place of an item of a batch: there is none, because the sequence begins later; it is masked.
NO_ITEM, MASKED_ITEM = -1, -2
#: In place of a target of a batch: the position has none; it has one, which is not part of the input.
NO_TARGET, HIDDEN_TARGET = -1, -2


@dataclass(frozen=True)
class ItemSequences:
    """The sequences of a task's examples. The last item of a sequence is the target, those before it are the history.

    bounds: (n, 2) begin and end of each sequence within items and ratings. items: (m,) item of each interaction.
    ratings: (m,) float32, or None. max_length: number of items that a network sees. exclude_seen: whether items of the
    history are excluded from the ranking.
    """

    bounds: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    max_length: int
    exclude_seen: bool

    @classmethod
    def of(cls, stored: np.ndarray, facts: Mapping[str, Any]) -> ItemSequences:
        """Unpack the array that ``modalities.interactions`` wrote, and the facts that it returned."""
        rows, count = facts["rows"], facts["interactions"]
        bounds, items = stored[: 2 * rows].reshape(rows, 2), stored[2 * rows : 2 * rows + count]
        ratings = stored[2 * rows + count :].view(np.float32) if facts["target"] == "rating" else None
        return cls(bounds, items, ratings, facts["max_length"], facts["exclude_seen"])

    def histories(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (k,) the position within ``rows`` and (k,) the item of all interactions before the targets."""
        return self._flat(self.bounds[rows] - [0, 1])

    def sequences(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same as ``histories``, including the targets."""
        return self._flat(self.bounds[rows])

    def _flat(self, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = bounds[:, 1] - bounds[:, 0]
        begins = np.repeat(bounds[:, 0] - np.cumsum(lengths) + lengths, lengths)
        return np.repeat(np.arange(len(bounds)), lengths), self.items[begins + np.arange(lengths.sum())]

    def window(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the last ``length`` items of each row, and a mask of those that exist.

        Both: (rows, width), aligned at the end. The width is that of the longest row, at most ``length``. Where the
        mask is False, the index is not one of the row and may be negative.
        """
        bounds = self.bounds[rows].astype(np.int64)
        width = min(length, int((bounds[:, 1] - bounds[:, 0]).max()))
        indices = bounds[:, 1:] - width + np.arange(width)
        return indices, indices >= bounds[:, :1]

    def excluded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return ``histories`` if their items cannot be the target, otherwise None."""
        return self.histories(rows) if self.ratings is None and self.exclude_seen else None
