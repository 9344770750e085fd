"""Stored sequences of items, cut into batches of one width, with what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from variability import seeding
from variability.inputs import Inputs

if TYPE_CHECKING:
    from variability.tasks import PreparedTask

#: In place of an item: nobody took one, since the sequence begins later; it is hidden.
NONE, HIDDEN = -1, -2
#: In place of an answer: none is asked for; one is, and is not told.
NOT_ASKED, UNTOLD = -1, -2


def inputs(task: PreparedTask, provider, tokens, device: str, augmentation) -> Sequences:
    """See ``Modality.inputs``."""
    return Sequences(Histories.of(task), provider.masking(task.facts), device)


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
    def of(cls, task: PreparedTask) -> Histories:
        stored, facts = task.inputs, task.facts
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


@dataclass(frozen=True)
class Sequences(Inputs):
    """Batches of int32 (B, width, 2 or 3): item, answer and, where there are ratings, the bits of the rating.

    masking: share of the items that training hides, each to be told from all others (Sun et al., CIKM 2019); None:
    each is to be told from those before it (Kang and McAuley, ICDM 2018). In prediction the last item alone is asked
    for. Where ratings are asked for the last item is shown, and its rating is not.
    """

    histories: Histories
    masking: float | None
    device: str

    @property
    def augmented(self) -> bool:
        return self.histories.ratings is None

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        if self.histories.ratings is not None:
            return self._rated(rows)
        if self.masking is None:
            items = self._items(rows, self.histories.max_length + 1)[:, :-1]
            answers = np.full_like(items, NOT_ASKED)
        else:
            items = self._items(rows, self.histories.max_length)
            answers = np.full_like(items, NOT_ASKED)
            items[:, -1] = HIDDEN
        answers[:, -1] = UNTOLD
        return self._tensor(items, answers)

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if self.histories.ratings is not None:
            return self._rated(rows)
        if self.masking is None:
            items = self._items(rows, self.histories.max_length + 1)
            shown, answers = items[:, :-1], items[:, 1:]
            return self._tensor(shown, np.where(shown == NONE, NOT_ASKED, answers))
        items = self._items(rows, self.histories.max_length)
        hidden = self._hidden(items, seed, epoch, batch)
        return self._tensor(np.where(hidden, HIDDEN, items), np.where(hidden, items, NOT_ASKED))

    def targets(self, inputs: torch.Tensor) -> torch.Tensor | None:
        if self.histories.ratings is not None:
            return None
        answers = inputs[..., 1]
        return answers[answers != NOT_ASKED].long()

    def candidates(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        if self.histories.ratings is None and self.histories.exclude_seen:
            users, items = (torch.from_numpy(np.array(each, np.int64)) for each in self.histories.before(rows))
            outputs[users.to(outputs.device), items.to(outputs.device)] = -torch.inf
        return outputs

    def _items(self, rows: np.ndarray, length: int) -> np.ndarray:
        """(rows, width) the last items of each row, NONE before its first."""
        places, there = self.histories.window(rows, length)
        return np.where(there, self.histories.items[np.maximum(places, 0)], NONE)

    def _hidden(self, items: np.ndarray, seed: int, epoch: int, batch: int) -> np.ndarray:
        """(rows, width) which items are hidden.

        In some sequences, one in ten, the last one alone: that is what prediction will ask for, which no other mask
        shows. A sequence of which chance hides none has its last one hidden, too.
        """
        generator = seeding.generator(seed, "augment", epoch, batch)
        alone = generator.random(len(items)) < 0.1
        drawn = generator.random(items.shape)
        hidden = (drawn < self.masking) & (items != NONE) & ~alone[:, None]
        hidden[:, -1] |= ~hidden.any(axis=1)
        return hidden

    def _rated(self, rows: np.ndarray) -> torch.Tensor:
        places, there = self.histories.window(rows, self.histories.max_length)
        items = np.where(there, self.histories.items[np.maximum(places, 0)], NONE)
        ratings = np.where(there, self.histories.ratings[np.maximum(places, 0)], 0).astype(np.float32)
        ratings[:, -1] = 0
        answers = np.full_like(items, NOT_ASKED)
        answers[:, -1] = UNTOLD
        return self._tensor(items, answers, ratings.view(np.int32))

    def _tensor(self, *channels: np.ndarray) -> torch.Tensor:
        stacked = np.stack([channel.astype(np.int32, copy=False) for channel in channels], axis=2)
        return torch.from_numpy(stacked).to(self.device)
