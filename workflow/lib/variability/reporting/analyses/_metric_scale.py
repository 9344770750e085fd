"""The size of a difference, in the unit in which users of the metric state it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def is_share(runs: pd.DataFrame) -> pd.Series:
    """Return which rows belong to a metric between 0 and 1, like accuracy, whose differences are in points.

    All values of its task must be between 0 and 1, and the perfect value must not be 0, because a loss may be in that
    range by chance.
    """
    values = runs.groupby(["task", "metric"])["value"]
    return (values.transform("min") >= 0) & (values.transform("max") <= 1) & (runs["perfect"] != 0)


def have_one_unit(runs: pd.DataFrame) -> bool:
    """Return True if the values of a metric are comparable across tasks.

    That holds for shares and for metrics of classification, like NLL. A regression error is in the unit of its task's
    targets, and the unit of an unknown metric is unknown.
    """
    from variability.results.metrics import scalars

    known = {name for name, plugin in scalars().items() if plugin.KIND == "classification"}
    return bool(is_share(runs).all() or runs["metric"].isin(known).all())


def distance(fraction: float, share: pd.Series, centre: pd.Series) -> pd.Series:
    """Return ``fraction`` itself for a share (0.01 is a point), else that fraction of |centre|; NaN if that is 0."""
    relative = fraction * centre.abs()
    return relative.where(relative > 0).mask(share & centre.notna(), fraction)
