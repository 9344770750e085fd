"""What the figures show of a study, and how they say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "test"
KEYS = ["model", "task", "method"]


def shown(table: pd.DataFrame, phase: str | None = "after") -> pd.DataFrame:
    """The rows of a table that figures show: each task's primary metric on the test split (after fine-tuning)."""
    kept = table["primary"].astype(bool) & (table["split"] == SPLIT)
    return table[kept if phase is None else kept & (table["phase"] == phase)]


def names(runs: pd.DataFrame, key: str) -> list[str]:
    """Models, tasks or methods, in the order of the table."""
    return list(dict.fromkeys(runs[key]))


def metric_of(runs: pd.DataFrame) -> str:
    """The metric's name, or ``primary metric`` where tasks have different ones."""
    metrics = names(runs, "metric")
    return metrics[0] if len(metrics) == 1 else "primary metric"


def count(values: Iterable[float]) -> str:
    """``n = 5`` or ``n = 3 to 5``."""
    low, high = int(min(values, default=0)), int(max(values, default=0))
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def counted(n: float, failed: float) -> str:
    """``5``, or ``3 (2 diverged)``: no run goes unmentioned."""
    return f"{int(n)} ({int(failed)} diverged)" if failed else f"{int(n)}"


def number(value: float, sign: str = "") -> str:
    """Three decimals, or fewer for large values; sign "+" shows it always."""
    return f"{value:{sign}.3f}" if abs(value) < 100 else f"{value:{sign}.4g}"


def percent(level: float) -> str:
    """``95 %`` of 0.95."""
    return f"{100 * level:g} %"


def limits(values: pd.Series, ends: pd.Series) -> tuple[float, float]:
    """Axis limits that hold all finite values, and interval ends that lie within one range of them.

    The interval of two runs can be a hundred times as wide as the runs lie apart, which would squash everything else.
    """
    values = values.dropna()
    if values.empty:
        return 0.0, 1.0
    low, high = values.min(), values.max()
    room = max(high - low, 0.02 * abs(high), 1e-9)
    near = ends[ends.between(low - room / 2, high + room / 2)]
    low, high = min([low, *near]), max([high, *near])
    return low - 0.06 * room, high + 0.06 * room
