"""Names of cells in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import display_names

if TYPE_CHECKING:
    import pandas as pd


def cell(row: pd.Series) -> str:
    """Return the name of the cell of a table's row: ``resnet50 (full) on digits``."""
    return f"{display_names.candidate(row['model'], row['method'])} on {row['task']}"
