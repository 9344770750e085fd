"""Sequences of items that users interacted with, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import agree, plural
from variability.data.modalities import Modality
from variability.errors import UserError
from variability.io.files import replacing

if TYPE_CHECKING:
    import torch


class Interactions(Modality):
    """``max_length``: number of items of a sequence that a network sees, the last ones. ``exclude_seen``: whether items
    of a user's history are excluded from the ranking.

    Stored as int32 (2 n + m,) or, with ratings, (2 n + 2 m,): begin and end of each example's sequence, then the items
    of all users, then the bits of their ratings in float32. The last item of a sequence is the target. Sequences are
    long and of unequal length, and one user's examples share the stored items.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "max_length": {
            "type": "integer",
            "minimum": 2,
            "default": 50,
            "description": "number of items of a sequence that a network sees, the last ones",
        },
        "exclude_seen": {
            "type": "boolean",
            "default": True,
            "description": "exclude items of a user's history from the ranking",
        },
    }
    INPUTS_MODULE: ClassVar[str] = "variability.data.modalities._sequences"
    PREVIEWS_MODULE: ClassVar[str | None] = "variability.data.modalities._sequence_previews"

    def write(self, path: Path, examples: Any, rows: np.ndarray, label: str, threads: int) -> dict[str, Any]:
        bounds, ranks = examples.bounds[rows], examples.facts["target"] == "next_item"
        if len(examples.items) >= 2**31:
            raise UserError(f"{label}: {len(examples.items)} interactions are more than 32 bits can count")
        if ranks and self.options["exclude_seen"]:
            self._refuse_excluded_targets(examples, rows, label)
        parts = [bounds.ravel(), examples.items]
        if examples.ratings is not None:
            parts.append(examples.ratings.view(np.int32))
        with replacing(path) as temporary, open(temporary, "wb") as handle:
            np.save(handle, np.concatenate([part.astype(np.int32) for part in parts]), allow_pickle=False)
        return examples.facts | self.options | {"rows": len(rows), "interactions": len(examples.items)}

    def digests(self, stored: np.ndarray, count: int) -> Sequence[bytes] | None:
        # A test sequence contains the training sequence of its user, and two users may choose the same few items.
        return None

    def _refuse_excluded_targets(self, examples: Any, rows: np.ndarray, label: str) -> None:
        held_out = rows[examples.partition[rows] != "train"]
        repeated = 0
        for begin, end in examples.bounds[held_out]:
            repeated += examples.items[end - 1] in examples.items[begin : end - 1]
        if repeated:
            raise UserError(
                f"{label}: {repeated} of {plural(len(held_out), 'held-out item')} {agree(repeated, 'is', 'are')} in "
                "their user's history, whose items are excluded from the ranking; set interactions.exclude_seen: "
                "false, or the data set's repeats: first"
            )

    def example_batch(self, provider: Any, facts: dict[str, Any]) -> torch.Tensor:
        import torch

        return torch.zeros(2, facts["max_length"], 2 + (facts["target"] == "rating"), dtype=torch.int32)
