"""Inputs of networks that take texts: stored tokens, in batches of texts of similar length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from variability import seeding
from variability.data.batching import batches_of_similar_length, cut_batches, padded_positions
from variability.data.inputs import Inputs
from variability.data.modalities import StoredExamples
from variability.data.padding import PADDING
from variability.io import artefacts

#: Name of the tokens' file, in the folder of the manifest of ``tokenize``.
FILE = "tokens.npy"
#: Number of batches whose texts are sorted by length together: the more, the less padding, and the less random batches.
_SORTED_BATCHES = 50


def inputs(task: StoredExamples, provider: Any, tokens: Path, device: str, augmentation: dict[str, Any]) -> Tokens:
    """Return the tokens of a task, see ``Modality.inputs``."""
    return Tokens.opened(tokens, device)


@dataclass(frozen=True)
class Tokens(Inputs):
    """Batches of texts, int64 (rows, length), padded to the longest of them with PADDING.

    tokens: (m,) int32, those of all texts one after another; PADDING ends a text.
    """

    tokens: np.ndarray
    device: str

    @classmethod
    def opened(cls, manifest: Path, device: str) -> Tokens:
        """Open the array that ``tokenize`` wrote. Raises UserError if it is missing or does not match the manifest."""
        file = manifest.parent / FILE
        artefacts.require(file, artefacts.read_record(manifest, artefacts.TOKENS)["sha256"], "tokenize")
        return cls(np.load(file, allow_pickle=False), device)

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        positions, is_token = padded_positions(self._starts[rows], self.lengths[rows])
        batch = np.full(is_token.shape, PADDING, np.int64)
        batch[is_token] = self.tokens[positions[is_token]]
        return torch.from_numpy(batch).to(self.device)

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Return batches of texts of similar length, in random order; otherwise half of the tokens would be padding.

        Chunks of the epoch's order are sorted by length, without changing the order of texts of one length, and cut
        into batches. The batches are shuffled, so that training does not go from short texts to long ones.
        """
        batches = [
            batch
            for chunk in cut_batches(order, _SORTED_BATCHES * size)
            for batch in cut_batches(chunk[np.argsort(self.lengths[chunk], kind="stable")], size)
        ]
        return [batches[index] for index in seeding.batch_order(seed, epoch).generator().permutation(len(batches))]

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        return batches_of_similar_length(self.lengths[rows], size)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(n,) number of tokens of each text."""
        return np.diff(self._ends, prepend=-1) - 1

    @cached_property
    def _starts(self) -> np.ndarray:
        return self._ends - self.lengths

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.flatnonzero(self.tokens == PADDING)
