"""Formatting of numbers, counts and pages for figures, summary and claims."""

from __future__ import annotations

import html
from collections.abc import Iterable

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<pre style="font: 14px/1.5 monospace; margin: 1em; white-space: pre-wrap">{text}</pre>
"""


def as_page(text: str, title: str) -> str:
    """Return an HTML page that shows a text as it looks in a terminal."""
    return _PAGE.format(title=html.escape(title), text=html.escape(text))


def number(value: float, sign: str = "") -> str:
    """Format a number with three decimals, or with four significant digits from 100 on.

    sign: "+" always shows the sign. A number that is rounded to 0 has no minus sign.
    """
    return f"{value:{sign}z.3f}" if abs(value) < 100 else f"{value:{sign}.4g}"


def percent(level: float) -> str:
    """Format 0.95 as ``95 %``."""
    return f"{100 * level:g} %"


def count(values: Iterable[float]) -> str:
    """Format the range of some numbers of runs: ``n = 5`` or ``n = 3 to 5``."""
    low, high = int(min(values, default=0)), int(max(values, default=0))
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def plural(count: int, word: str) -> str:
    """Format a count with its noun: ``1 run`` or ``2 runs``."""
    return f"{count} {word}{'' if count == 1 else 's'}"
