"""Sequences of items as they are stored, which networks are fed with and other recommenders count; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: In place of an item: nobody took one, since the sequence begins later; it is hidden.
NONE, HIDDEN = -1, -2
#: In place of an answer: none is asked for; one is, and is not told.
NOT_ASKED, UNTOLD = -1, -2


@dataclass(frozen=True)
class Histories:
    """What ``modalities.interactions`` stored.

    bounds: (n, 2) into items and ratings, (m,); the last of an example's items is the one asked for. ratings: float32
    or None.
    """

    bounds: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    max_length: int
    exclude_seen: bool

    @classmethod
    def of(cls, stored: np.ndarray, facts: Mapping[str, Any]) -> Histories:
        """Unpack the array of a task, and the facts, that ``modalities.interactions`` wrote."""
        rows, count = facts["rows"], facts["interactions"]
        bounds, items = stored[: 2 * rows].reshape(rows, 2), stored[2 * rows : 2 * rows + count]
        ratings = stored[2 * rows + count :].view(np.float32) if facts["target"] == "rating" else None
        return cls(bounds, items, ratings, facts["max_length"], facts["exclude_seen"])

    def before(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k,) position within ``rows`` and item, of each interaction before the one asked for."""
        return self._flat(self.bounds[rows] - [0, 1])

    def whole(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As ``before``, with the one asked for."""
        return self._flat(self.bounds[rows])

    def _flat(self, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = bounds[:, 1] - bounds[:, 0]
        begins = np.repeat(bounds[:, 0] - np.cumsum(lengths) + lengths, lengths)
        return np.repeat(np.arange(len(bounds)), lengths), self.items[begins + np.arange(lengths.sum())]

    def window(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows, width) where in ``items`` the last ``length`` of each row stand, and which of them there are.

        Aligned at the end; as wide as the longest row asks for.
        """
        bounds = self.bounds[rows].astype(np.int64)
        width = min(length, int((bounds[:, 1] - bounds[:, 0]).max()))
        places = bounds[:, 1:] - width + np.arange(width)
        return places, places >= bounds[:, :1]

    def seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """What of ``before`` cannot be the answer; None where anything can."""
        return self.before(rows) if self.ratings is None and self.exclude_seen else None
