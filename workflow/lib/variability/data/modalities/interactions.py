"""Sequences of items that users took, one after another."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from variability.data.modalities import Modality
from variability.errors import UserError
from variability.io.files import replacing


class Interactions(Modality):
    """``max_length``: items of a sequence that a network sees, the last ones. ``exclude_seen``: whether items that a
    user has taken before are left out of the ranking.

    Stored as int32 (2 n + m,) or, with ratings, (2 n + 2 m,): where each example's sequence begins and ends, then the
    items of all users end to end, then the bits of their ratings in float32. The last item of a sequence is the one
    that is asked for. Users' histories are long and unequal, and one stands for all its user's examples.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "max_length": {
            "type": "integer",
            "minimum": 2,
            "default": 50,
            "description": "items of a sequence that a network sees, the last ones",
        },
        "exclude_seen": {
            "type": "boolean",
            "default": True,
            "description": "leave items that a user has taken before out of the ranking",
        },
    }
    FEED: ClassVar[str] = "variability.data.modalities._sequences"

    def write(self, path, examples, rows, label, threads):
        bounds, ranks = examples.bounds[rows], examples.facts["target"] == "next_item"
        if len(examples.items) >= 2**31:
            raise UserError(f"{label}: {len(examples.items)} interactions are more than can be counted in 32 bits")
        if ranks and self.options["exclude_seen"]:
            self._refuse_seen(examples, rows, label)
        parts = [bounds.ravel(), examples.items]
        if examples.ratings is not None:
            parts.append(examples.ratings.view(np.int32))
        with replacing(path) as aside, open(aside, "wb") as handle:
            np.save(handle, np.concatenate([part.astype(np.int32) for part in parts]), allow_pickle=False)
        return examples.facts | self.options | {"rows": len(rows), "interactions": len(examples.items)}

    def _refuse_seen(self, examples: Any, rows: np.ndarray, label: str) -> None:
        asked = rows[examples.partition[rows] != "train"]
        again = 0
        for begin, end in examples.bounds[asked]:
            again += examples.items[end - 1] in examples.items[begin : end - 1]
        if again:
            raise UserError(
                f"{label}: {again} of {len(asked)} held-out items were taken before by their user, and cannot be "
                "ranked among those that were not; set interactions.exclude_seen: false, or the data set's "
                "repeats: first"
            )

    def trial(self, provider, facts):
        import torch

        return torch.zeros(2, facts["max_length"], 2 + (facts["target"] == "rating"), dtype=torch.int32)
