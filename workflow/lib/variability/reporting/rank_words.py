"""Shared ranks of candidates, read from the decisions about a task or about all tasks, and sentences about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from variability.reporting import display_names
from variability.reporting.equivalent_pairs import NOT_RANKED, NOT_TESTED

if TYPE_CHECKING:
    import pandas as pd


class Ranked(NamedTuple):
    """A candidate with the limits of its rank and its letters; missing and empty if it cannot be compared."""

    model: str
    method: str
    low: float
    high: float
    letters: str

    @property
    def name(self) -> str:
        """Model (method)."""
        return display_names.candidate(self.model, self.method)

    @property
    def limits(self) -> str:
        """Limits of the rank: ``1``, ``1-3``, or nothing."""
        if self.low != self.low:
            return ""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"


def ranked(pairs: pd.DataFrame) -> list[Ranked]:
    """Return the candidates from the best to the worst, then those without a rank.

    pairs: rows of ``decisions`` of one task, or of ``overall``.
    """
    first = pairs.iloc[0]
    rivals = pairs[(pairs["model"] == first["leader"]) & (pairs["method"] == first["leader_method"])]
    leader = rivals.iloc[0]
    columns = ("model", "method", "rank_low", "rank_high", "letters")
    others = zip(*(rivals[f"{column}_b"] for column in columns), strict=True)
    return [Ranked(*(leader[column] for column in columns)), *(Ranked(*values) for values in others)]


def with_ranks(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of ``overall`` whose candidates both have a rank, unless they cannot be compared."""
    return pairs[pairs["decision"] != NOT_RANKED]


def sharing_first(candidates: list[Ranked]) -> list[Ranked]:
    """Return the candidates that nobody beats."""
    return [one for one in candidates if one.low == 1]


def decided(pairs: pd.DataFrame) -> bool:
    """Return whether every two candidates that can be compared were tested."""
    names = {one.name for one in ranked(pairs) if one.low == one.low}
    untested = pairs[pairs["decision"] == NOT_TESTED]
    sides = [untested[f"model{side}"] + " (" + untested[f"method{side}"] + ")" for side in ("", "_b")]
    return not any({one, other} <= names for one, other in zip(*sides, strict=True))
