"""Recommenders that count and are not trained: baselines that use nothing but co-occurrence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from variability.advice import suggest
from variability.errors import Problem
from variability.models.providers import Provider

ARCHITECTURES = ("popularity", "item_knn")


class Counting(Provider):
    """Recommenders in closed form, without networks.

    ``popularity`` ranks items by the number of training users who took them. ``item_knn`` ranks them by the sum of
    their cosine similarities to the items that a user took (Sarwar et al., WWW 2001), over the ``neighbours`` most
    similar items of each; ``shrinkage`` is added to the denominator, so that similarities of rare items count less.
    Tuned, these baselines are hard to beat (Ferrari Dacrema et al., RecSys 2019).

    The seed makes no difference, so one run is enough.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking",)
    FRAMEWORK: ClassVar[str] = "counting"
    OPTIONS: ClassVar[dict[str, dict]] = {
        "neighbours": {
            "type": "integer",
            "minimum": 1,
            "default": 100,
            "description": "most similar items that count, for item_knn",
        },
        "shrinkage": {
            "type": "number",
            "minimum": 0,
            "default": 10,
            "description": "added to the denominator of similarities, for item_knn",
        },
    }

    def check(self) -> Iterator[Problem]:
        name = self.model["architecture"]
        if name not in ARCHITECTURES:
            yield Problem("architecture", f"there is no counting recommender {name!r}; {suggest(name, ARCHITECTURES)}")
        if name == "popularity":
            for option in self.model.get("options", {}):
                yield Problem(f"options.{option}", "is for item_knn; remove it")
        if self.model["weights"] != "none":
            yield Problem("weights", "a counting recommender has no weights; remove it")
