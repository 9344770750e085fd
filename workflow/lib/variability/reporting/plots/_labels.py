"""What the figures show of a study, and how they say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def names(runs: pd.DataFrame, key: str) -> list[str]:
    """Models, tasks or methods, in the order of the table."""
    return list(dict.fromkeys(runs[key]))


def metric_of(runs: pd.DataFrame) -> str:
    """The metric's name, or ``primary metric`` where tasks have different ones."""
    metrics = names(runs, "metric")
    return metrics[0] if len(metrics) == 1 else "primary metric"


def counted(n: float, failed: float, undefined: float = 0) -> str:
    """``5``, ``3 (2 failed)`` or ``3 (1 failed, 1 undefined)``: no run goes unmentioned.

    Failed and not diverged: runs from elsewhere may have crashed.
    """
    rest = [f"{int(count)} {word}" for count, word in ((failed, "failed"), (undefined, "undefined")) if count]
    return f"{int(n)} ({', '.join(rest)})" if rest else f"{int(n)}"


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
