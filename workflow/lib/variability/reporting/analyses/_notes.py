"""The column ``note``: the reasons why a number is missing, or must be read with care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: Reason why a number that is based on an SD of 0 is missing.
NO_SPREAD = "all runs are equal: their spread is not known"


def notes(table: pd.DataFrame, reasons: Mapping[str, pd.Series]) -> pd.Series:
    """Return the reasons that apply to each row, joined by semicolons; missing where none applies.

    reasons: {sentence: rows of the table that it applies to}.
    """
    import pandas as pd

    texts = pd.Series("", index=table.index, dtype=object)
    for reason, applies in reasons.items():
        texts = texts.where(~applies, texts + reason + "; ")
    return texts.str.removesuffix("; ").replace("", None)
