"""Inputs of recommenders: windows of item sequences, with the items that are to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from variability import seeding
from variability.data.inputs import Inputs
from variability.data.item_sequences import HIDDEN_TARGET, MASKED_ITEM, NO_ITEM, NO_TARGET, ItemSequences
from variability.data.modalities import StoredExamples


def inputs(
    task: StoredExamples, provider: Any, tokens: Path | None, device: str, augmentation: dict[str, Any]
) -> SequenceInputs:
    """Return the sequences of a task, see ``Modality.inputs``."""
    return SequenceInputs(ItemSequences.of(task.inputs, task.facts), provider.masking(task.facts), device)


@dataclass(frozen=True)
class SequenceInputs(Inputs):
    """Batches of int32 (rows, width, 2 or 3): item, target, and the bits of the rating if ratings are predicted.

    masking: share of the items that training masks and predicts from all others (Sun et al., CIKM 2019); None to
    predict each item from those before it (Kang and McAuley, ICDM 2018). In prediction only the last item has a target.
    If ratings are predicted, the last item is visible and its rating is not.
    """

    sequences: ItemSequences
    masking: float | None
    device: str

    @property
    def augmented(self) -> bool:
        return self.sequences.ratings is None

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        if self.sequences.ratings is not None:
            return self._with_ratings(rows, self.sequences.ratings)
        if self.masking is None:
            items = self._items(rows, self.sequences.max_length + 1)[:, :-1]
            targets = np.full_like(items, NO_TARGET)
        else:
            items = self._items(rows, self.sequences.max_length)
            targets = np.full_like(items, NO_TARGET)
            items[:, -1] = MASKED_ITEM
        targets[:, -1] = HIDDEN_TARGET
        return self._tensor(items, targets)

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if self.sequences.ratings is not None:
            return self._with_ratings(rows, self.sequences.ratings)
        if self.masking is None:
            items = self._items(rows, self.sequences.max_length + 1)
            visible, following = items[:, :-1], items[:, 1:]
            return self._tensor(visible, np.where(visible == NO_ITEM, NO_TARGET, following))
        items = self._items(rows, self.sequences.max_length)
        masked = self._sample_mask(items, self.masking, seed, epoch, batch)
        return self._tensor(np.where(masked, MASKED_ITEM, items), np.where(masked, items, NO_TARGET))

    def targets(self, inputs: torch.Tensor) -> torch.Tensor | None:
        if self.sequences.ratings is not None:
            return None
        targets = inputs[..., 1]
        return targets[targets != NO_TARGET].long()

    def candidates(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        if excluded := self.sequences.excluded(rows):
            positions, items = (torch.from_numpy(np.array(indices, np.int64)) for indices in excluded)
            outputs[positions.to(outputs.device), items.to(outputs.device)] = -torch.inf
        return outputs

    def _items(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Return (rows, width) the last items of each row, NO_ITEM before its first."""
        indices, exists = self.sequences.window(rows, length)
        return np.where(exists, self.sequences.items[np.maximum(indices, 0)], NO_ITEM)

    def _sample_mask(self, items: np.ndarray, masking: float, seed: int, epoch: int, batch: int) -> np.ndarray:
        """Return (rows, width) which items are masked.

        In one of ten sequences only the last item is masked, as in prediction, because random masks never are like
        that. If a sequence has no mask by chance, its last item is masked too.
        """
        generator = seeding.batch_augmentation(seed, epoch, batch).generator()
        only_last = generator.random(len(items)) < 0.1
        sampled = generator.random(items.shape)
        masked = (sampled < masking) & (items != NO_ITEM) & ~only_last[:, None]
        masked[:, -1] |= ~masked.any(axis=1)
        return masked

    def _with_ratings(self, rows: np.ndarray, all_ratings: np.ndarray) -> torch.Tensor:
        indices, exists = self.sequences.window(rows, self.sequences.max_length)
        items = np.where(exists, self.sequences.items[np.maximum(indices, 0)], NO_ITEM)
        ratings = np.where(exists, all_ratings[np.maximum(indices, 0)], 0).astype(np.float32)
        ratings[:, -1] = 0
        targets = np.full_like(items, NO_TARGET)
        targets[:, -1] = HIDDEN_TARGET
        return self._tensor(items, targets, ratings.view(np.int32))

    def _tensor(self, *channels: np.ndarray) -> torch.Tensor:
        stacked = np.stack([channel.astype(np.int32, copy=False) for channel in channels], axis=2)
        return torch.from_numpy(stacked).to(self.device)
