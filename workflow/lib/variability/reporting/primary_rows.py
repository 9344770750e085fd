"""Selection of the rows that figures and summary report: the primary metric on the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "test"


def select(table: pd.DataFrame, phase: str | None = "after") -> pd.DataFrame:
    """Return the rows of each task's primary metric on the test split.

    phase: the phase to select in a table that distinguishes phases, or None for all phases.
    """
    selected = table["primary"].astype(bool) & (table["split"] == SPLIT)
    return table[selected if phase is None or "phase" not in table else selected & (table["phase"] == phase)]
