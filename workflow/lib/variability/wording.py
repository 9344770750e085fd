"""Which rows of the tables figures and summary speak of, and how they say numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "test"


def shown(table: pd.DataFrame, phase: str | None = "after") -> pd.DataFrame:
    """Rows of each task's primary metric on the test split; of one phase, in a table that tells phases apart."""
    kept = table["primary"].astype(bool) & (table["split"] == SPLIT)
    return table[kept if phase is None or "phase" not in table else kept & (table["phase"] == phase)]


def number(value: float, sign: str = "") -> str:
    """Three decimals, or fewer for large values; sign "+" shows it always."""
    return f"{value:{sign}.3f}" if abs(value) < 100 else f"{value:{sign}.4g}"


def percent(level: float) -> str:
    """``95 %`` of 0.95."""
    return f"{100 * level:g} %"


def count(values: Iterable[float]) -> str:
    """``n = 5`` or ``n = 3 to 5``."""
    low, high = int(min(values, default=0)), int(max(values, default=0))
    return f"n = {low}" if low == high else f"n = {low} to {high}"
