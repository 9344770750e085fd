"""Gains turned so that + is better. The tables have a metric's own sign, in which a lower loss is a gain below 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: Added to the name of a gain of a metric whose lower values are better.
LOWER = "+ is better, that is, lower"
ENDS = ["gain", "low", "high"]


def turned(gains: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the table ``gain`` with ``gain``, ``low`` and ``high`` above 0 where the candidate is better."""
    gains = gains.copy()
    lower = gains["higher_is_better"].eq(False)
    gains.loc[lower, ENDS] = -gains.loc[lower, ["gain", "high", "low"]].to_numpy()
    return gains
