"""Micro-batches: the parts of a training batch whose gradients are computed one after another and added up."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from variability.data.batching import cut_batches
from variability.errors import UserError
from variability.training import memory

#: One halving: the epoch and the batch (from 0) whose step started again, and the size from then on.
Reduction = dict[str, int]

_log = logging.getLogger(__name__)


class MicroBatches:
    """Number of examples per micro-batch of a fit: that of its recipe, halved each time memory runs out.

    reductions: all halvings, in order. The bits of a result depend on the recipe and on them.
    """

    def __init__(self, recipe: Mapping[str, Any]):
        self.size: int | None = recipe["micro_batch"]
        self.reductions: list[Reduction] = []

    def cut(self, rows: int) -> list[tuple[int, int]]:
        """Return the (start, stop) of the micro-batches of a batch."""
        return _cut(rows, self.size)

    def longest(self, rows: int) -> int:
        """Return the number of examples in the longest micro-batch of a batch."""
        return max(stop - start for start, stop in self.cut(rows))

    def halve(self, epoch: int, batch: int, rows: int, device: str, reason: str, normalised: bool) -> None:
        """Halve the micro-batches, because those of this batch do not fit into memory, and log it.

        rows: number of examples in the batch. normalised: whether results depend on the size by more than rounding.
        Raises UserError if single examples do not fit.
        """
        longest = self.longest(rows)
        if longest == 1:
            raise UserError(memory.message("even one example at a time does not fit", device, reason))
        # A last micro-batch of one example joins the one before, which is then longer than the others.
        self.size = longest // 2 if self.size is None or longest <= self.size else max(1, self.size // 2)
        self.reductions.append({"epoch": epoch, "batch": batch, "micro_batch": self.size})
        normalisation = "; BatchNorm normalises each micro-batch by itself, so results depend on its size"
        _log.warning(
            "out of memory on %s in epoch %d, batch %d (%s): the step starts again with micro-batches of %d, whose "
            "gradients are added up to those of the whole batch of %d%s",
            *(device, epoch, batch + 1, reason, self.size, rows, normalisation if normalised else ""),
        )

    def repeat(self, reductions: list[Reduction]) -> None:
        """Continue after reductions that an earlier process made."""
        self.reductions = list(reductions)
        if reductions:
            self.size = reductions[-1]["micro_batch"]

    def single_example_message(self, message: str, device: str) -> str:
        """Return the message for a network that cannot train on one example, because of its smallest micro-batch.

        message: what the network requires.
        """
        if self.reductions:
            return memory.message("micro-batches of two examples do not fit", device, f"with one, {message}")
        return f"recipe.{'micro_batch' if self.size == 1 else 'batch_size'}: {message}"


class SharedMicroBatches(MicroBatches):
    """Micro-batches of a fit that several processes make together; ``cut`` returns those of one of them.

    rank: of the process, from 0. Batches are cut as if ``share`` was the size of the recipe's micro-batches, and each
    process computes one of these shares, in micro-batches if the recipe's are smaller. Of a short batch, the last
    processes may have no share.
    """

    def __init__(self, recipe: Mapping[str, Any], rank: int):
        super().__init__(recipe)
        self._share, self._rank = share(recipe), rank

    def cut(self, rows: int) -> list[tuple[int, int]]:
        return self._cut_share(rows, self._rank)

    def longest(self, rows: int) -> int:
        # The same in all processes.
        shares = range(len(_cut(rows, self._share)))
        return max(stop - start for rank in shares for start, stop in self._cut_share(rows, rank))

    def _cut_share(self, rows: int, rank: int) -> list[tuple[int, int]]:
        shares = _cut(rows, self._share)
        if rank >= len(shares):
            return []
        first, last = shares[rank]
        return [(first + start, first + stop) for start, stop in _cut(last - first, self.size)]


def share(recipe: Mapping[str, Any]) -> int:
    """Return the number of examples of a batch that each process of a run computes, the last one at most."""
    return -(-recipe["batch_size"] // recipe["gpus_per_run"])


def used(recipe: Mapping[str, Any], reductions: list[Reduction]) -> int:
    """Return the number of examples per micro-batch at the end of a fit; that of a share if none was cut."""
    return reductions[-1]["micro_batch"] if reductions else min(recipe["micro_batch"] or share(recipe), share(recipe))


def _cut(rows: int, size: int | None) -> list[tuple[int, int]]:
    """Return the (start, stop) of the parts of rows."""
    if size is None or rows <= size:
        return [(0, rows)]
    parts = cut_batches(np.arange(rows), size)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]
