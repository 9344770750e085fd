"""Which rows of the tables figures and summary speak of, and how they say numbers."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "test"
#: The analyses that the summary speaks of; all others have their tables, figures and claims.
SUMMARISED = ("spread", "intervals", "gain")


_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<pre style="font: 14px/1.5 monospace; margin: 1em; white-space: pre-wrap">{text}</pre>
"""


def as_page(text: str, title: str) -> str:
    """A page of the report that shows a text as it reads in a terminal."""
    return _PAGE.format(title=html.escape(title), text=html.escape(text))


def shown(table: pd.DataFrame, phase: str | None = "after") -> pd.DataFrame:
    """Rows of each task's primary metric on the test split; of one phase, in a table that tells phases apart."""
    kept = table["primary"].astype(bool) & (table["split"] == SPLIT)
    return table[kept if phase is None or "phase" not in table else kept & (table["phase"] == phase)]


def number(value: float, sign: str = "") -> str:
    """Three decimals, or fewer for large values; sign "+" shows it always. What rounds to 0 is not below it."""
    return f"{value:{sign}z.3f}" if abs(value) < 100 else f"{value:{sign}.4g}"


def percent(level: float) -> str:
    """``95 %`` of 0.95."""
    return f"{100 * level:g} %"


def count(values: Iterable[float]) -> str:
    """``n = 5`` or ``n = 3 to 5``."""
    low, high = int(min(values, default=0)), int(max(values, default=0))
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def plural(count: int, word: str) -> str:
    """``1 run`` or ``2 runs``."""
    return f"{count} {word}{'' if count == 1 else 's'}"
