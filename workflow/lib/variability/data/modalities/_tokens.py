"""Stored tokens, cut into batches of texts of like length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from variability import advice, seeding
from variability.data.batching import batches_of_similar_length, cut_batches, padded_positions
from variability.data.inputs import Inputs
from variability.data.padding import NOTHING
from variability.errors import UserError
from variability.io import files

#: Beside the manifest of ``tokenize``.
FILE = "tokens.npy"
#: How many batches' texts are sorted by length together: the more, the less is filled up, and the less random they are.
_CHUNK = 50


def inputs(task, provider, tokens: Path, device: str, augmentation) -> Tokens:
    """See ``Modality.inputs``."""
    return Tokens.opened(tokens, device)


@dataclass(frozen=True)
class Tokens(Inputs):
    """Texts for a whole network: batches are int64 (rows, length), filled up with -1 to the longest of them.

    tokens: (m,) int32, those of all texts one after another; -1 ends a text.
    """

    tokens: np.ndarray
    device: str

    @classmethod
    def opened(cls, manifest: Path, device: str) -> Tokens:
        """What ``tokenize`` wrote. Raises UserError if it is gone, or is not the file that the manifest is of."""
        file = manifest.parent / FILE
        if not file.is_file() or files.sha256(file) != files.read_json(manifest)["sha256"]:
            raise UserError(f"{file} is gone or is not the file that was made; {advice.rerun('tokenize')}")
        return cls(np.load(file, allow_pickle=False), device)

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        places, there = padded_positions(self._starts[rows], self.lengths[rows])
        batch = np.full(there.shape, NOTHING, np.int64)
        batch[there] = self.tokens[places[there]]
        return torch.from_numpy(batch).to(self.device)

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Batches of texts of like length, in random order: half of what is computed would be filling up otherwise.

        Chunks of the epoch's order are sorted by length, texts of one length staying in their order; then batches are
        put in random order, so that training does not go from short texts to long ones.
        """
        cut = [
            batch
            for chunk in cut_batches(order, _CHUNK * size)
            for batch in cut_batches(chunk[np.argsort(self.lengths[chunk], kind="stable")], size)
        ]
        return [cut[at] for at in seeding.batch_order(seed, epoch).generator().permutation(len(cut))]

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        return batches_of_similar_length(self.lengths[rows], size)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(n,) tokens of each text."""
        return np.diff(self._ends, prepend=-1) - 1

    @cached_property
    def _starts(self) -> np.ndarray:
        return self._ends - self.lengths

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.flatnonzero(self.tokens == NOTHING)
