"""Recommenders that are counted, not trained: how far nothing but co-occurrence goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.models.providers import Provider

ARCHITECTURES = ("popularity", "item_knn")


class Counting(Provider):
    """``popularity``: items by the number of training users who took them. ``item_knn``: items by the sum of their
    cosine similarities to those that a user took (Sarwar et al., WWW 2001), over the ``neighbours`` most similar items
    of each; ``shrinkage`` is added to the denominator, so that similarities of rare items count less. Baselines that
    are hard to beat once they are tuned (Ferrari Dacrema et al., RecSys 2019).

    No seed makes a difference: one run is all there is.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking",)
    FRAMEWORK: ClassVar[str] = "counting"
    HAS_PREFIX: ClassVar[bool] = False
    OPTIONS: ClassVar[dict[str, dict]] = {
        "neighbours": {"type": "integer", "minimum": 1, "default": 100},
        "shrinkage": {"type": "number", "minimum": 0, "default": 10},
    }

    def check(self) -> Iterator[Problem]:
        name = self.model["architecture"]
        if name not in ARCHITECTURES:
            yield Problem("architecture", f"nothing named {name!r} is counted; {suggest(name, ARCHITECTURES)}")
        if name == "popularity":
            for option in self.model.get("options", {}):
                yield Problem(f"options.{option}", "is for item_knn; take it out")
        if self.model["weights"] != "none":
            yield Problem("weights", "there is nothing to pretrain; take it out")

    def option(self, name: str) -> Any:
        """An option of the model's entry, or its default."""
        return self.model.get("options", {}).get(name, self.OPTIONS[name]["default"])

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        raise UserError(f"there are no releases of {self.model['architecture']}")

    def convert(self, source: Path) -> dict[str, Any]:
        raise UserError(f"{self.model['architecture']} takes no weights")

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None):
        raise UserError(f"{self.model['architecture']} is no network")
