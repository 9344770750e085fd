"""How large a difference of a metric is, in the unit that its users think in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def is_share(runs: pd.DataFrame) -> pd.Series:
    """Which rows are of a metric between 0 and 1, like accuracy: differences of it are told in points.

    It is one if all values of its task lie there, and a perfect value is not 0: a loss may lie there by chance.
    """
    values = runs.groupby(["task", "metric"])["value"]
    return (values.transform("min") >= 0) & (values.transform("max") <= 1) & (runs["perfect"] != 0)


def have_one_unit(runs: pd.DataFrame) -> bool:
    """Whether values of a metric can be compared across tasks: shares, and metrics of classification, like NLL.

    An error of numbers is in the unit of its task's numbers, and of a metric that is not known nothing is known.
    """
    from variability.results.metrics import scalars

    known = {name for name, plugin in scalars().items() if plugin.KIND == "classification"}
    return bool(is_share(runs).all() or runs["metric"].isin(known).all())


def distance(fraction: float, share: pd.Series, centre: pd.Series) -> pd.Series:
    """``fraction`` itself (0.01 is a point) of a share, else that fraction of |centre|; NaN where that is 0."""
    relative = fraction * centre.abs()
    return relative.where(relative > 0).mask(share & centre.notna(), fraction)
