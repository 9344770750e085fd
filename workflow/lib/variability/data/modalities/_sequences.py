"""Stored sequences of items, cut into batches of one width, with what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from variability import seeding
from variability.data.inputs import Inputs
from variability.data.item_sequences import HIDDEN, NONE, NOT_ASKED, UNTOLD, Histories

if TYPE_CHECKING:
    from variability.data.modalities import StoredExamples


def inputs(task: StoredExamples, provider, tokens, device: str, augmentation) -> Sequences:
    """See ``Modality.inputs``."""
    return Sequences(Histories.of(task.inputs, task.facts), provider.masking(task.facts), device)


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
        if seen := self.histories.seen(rows):
            users, items = (torch.from_numpy(np.array(each, np.int64)) for each in seen)
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
        generator = seeding.batch_augmentation(seed, epoch, batch).generator()
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
