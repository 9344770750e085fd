"""Why a number is missing, or is not all that it seems: what stands in the column ``note``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def notes(table: pd.DataFrame, reasons: Mapping[str, pd.Series]) -> pd.Series:
    """The reasons that apply to each row, joined by semicolons; missing where none does.

    reasons: {sentence: which rows of the table it applies to}.
    """
    import pandas as pd

    said = pd.Series("", index=table.index, dtype=object)
    for reason, applies in reasons.items():
        said = said.where(~applies, said + reason + "; ")
    return said.str.removesuffix("; ").replace("", None)
