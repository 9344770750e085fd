"""Formatting of numbers, counts and pages for figures, summary and claims."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from variability.stats.rounding import is_rounding

#: Significant digits beyond which two computations of the same number may differ.
_DIGITS = 14
#: Numbers below _SMALL with more decimals, and numbers from _LARGE on, are shown with an exponent.
_MOST_DECIMALS = 7
_SMALL = 1e-3
_LARGE = 1e9

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<pre style="font: 14px/1.5 monospace; margin: 1em; white-space: pre-wrap">{text}</pre>
"""


def as_page(text: str, title: str) -> str:
    """Return an HTML page that shows a text as it looks in a terminal."""
    return _PAGE.format(title=html.escape(title), text=html.escape(text))


def decimals(spread: float, *others: float) -> int | None:
    """Return the number of decimals that shows two significant digits of a spread; negative for tens, hundreds, ...

    others: numbers of the same row that are not to be rounded to 0, such as the ends of an interval; for them there are
    up to two decimals more. None without a spread.
    """
    if not 0 < spread < math.inf:
        return None
    digits = 1 - _exponent(float(f"{spread:.1e}"))
    near_zero = (value for value in others if 0 < abs(value) < 0.5 * 10.0**-digits)
    # The first significant digit of the number closest to 0.
    return min(digits + 2, max([digits, *(-_exponent(value) for value in near_zero)]))


def half_width(low: float, high: float) -> float:
    """Return half the width of an interval, the spread of an estimate whose SD is not known."""
    return (high - low) / 2


def number(value: float, sign: str = "", digits: int | None = None) -> str:
    """Format a number.

    sign: "+" always shows the sign. digits: decimals, see ``decimals``; without them three decimals, four significant
    digits from 100 on, and two below 0.01. A number other than 0 is never shown as 0: one that would be has one
    significant digit, and numbers that an exponent makes shorter have one. Rounding errors change no digit: a mean of
    0.8205 is 0.821 if it was computed as 0.82049999999999995, too.
    """
    if not math.isfinite(value):
        return f"{value:{sign}}"
    value = float(f"{value:.{_DIGITS}g}")
    if value == 0:
        return f"{0.0:{sign}.{min(max(3 if digits is None else digits, 0), _MOST_DECIMALS)}f}"
    if digits is None:
        digits = 3 - _exponent(value) if abs(value) >= 100 else max(3, 1 - _exponent(value))
    if abs(value) < 0.5 * 10.0**-digits:
        return f"{value:{sign}.0e}" if digits else f"{value:{sign}.1g}"
    if (digits > _MOST_DECIMALS and abs(value) < _SMALL) or abs(value) >= _LARGE:
        return f"{value:{sign}.{max(0, _exponent(value) + digits)}e}"
    grouping = "," if abs(value) >= 10_000 else ""
    return f"{value:{sign}{grouping}.{max(0, digits)}f}"


def with_spread(value: float, spread: float, n: float, digits: int | None = None) -> str:
    """Format the mean of n runs with its SD: ``0.634 ± 0.012``, or ``0.634 (all 5 runs equal)``.

    digits: by default two significant digits of the SD.
    """
    if is_rounding(spread, value):
        return f"{number(value)} (all {n:g} runs equal)"
    digits = decimals(spread) if digits is None else digits
    return number(value, digits=digits) + ("" if math.isnan(spread) else f" ± {number(spread, digits=digits)}")


def interval(low: float, high: float, sign: str = "", digits: int | None = None) -> str:
    """Format an interval: ``[0.62, 0.65]``. digits: by default two significant digits of half its width."""
    digits = decimals(half_width(low, high), low, high) if digits is None else digits
    return f"[{number(low, sign, digits)}, {number(high, sign, digits)}]"


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Format an estimate with its interval: ``0.034 [0.011, 0.057]``.

    Alone if the interval is missing; an interval that is a point is not shown: ``0.034 (no spread)``.
    """
    if math.isnan(low) or math.isnan(high):
        return number(value, sign)
    if is_rounding(high - low, value):
        return f"{number(value, sign)} (no spread)"
    digits = decimals(half_width(low, high), low, high)
    return f"{number(value, sign, digits)} {interval(low, high, sign, digits)}"


def digits_of_sd(sd: float, digits: int | None) -> int | None:
    """Return the decimals of an SD: those of its interval, or more, for two significant digits of the SD itself.

    The interval of an SD from a few runs is many times as wide as the SD, which its digits would round away.
    """
    return digits if digits is None else max(digits, decimals(sd) or digits)


def sd_with_interval(sd: float, low: float, high: float) -> str:
    """Format an SD with its interval: ``0.0015 [0.000, 0.040]``; otherwise as ``with_interval``."""
    if math.isnan(low) or math.isnan(high) or is_rounding(high - low, sd):
        return with_interval(sd, low, high)
    digits = decimals(half_width(low, high), low, high)
    return f"{number(sd, digits=digits_of_sd(sd, digits))} {interval(low, high, digits=digits)}"


def duration(seconds: float) -> str:
    """Return a duration with two significant digits: ``0.6 s``, ``12 minutes``, ``310 hours``."""
    size, unit = next((pair for pair in ((3600, "hours"), (60, "minutes")) if seconds >= 2 * pair[0]), (1, "s"))
    return f"{float(f'{seconds / size:.2g}'):,.15g} {unit}"


def p_value(p: float) -> str:
    """Format a p-value: ``0.031`` or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _exponent(value: float) -> int:
    """Return the exponent of the first significant digit."""
    return math.floor(math.log10(abs(value)))


def percent(level: float) -> str:
    """Format 0.95 as ``95 %``."""
    return f"{100 * level:g} %"


def count(values: Iterable[float]) -> str:
    """Format the range of some numbers of runs: ``n = 5`` or ``n = 3 to 5``."""
    low, high = int(min(values, default=0)), int(max(values, default=0))
    return f"n = {_grouped(low)}" if low == high else f"n = {_grouped(low)} to {_grouped(high)}"


def runs_needed(n: float) -> str:
    """Format a number of runs that is at most the limit of the search: ``12``, or ``10,000 or more``."""
    from variability.stats import sample_size

    return _grouped(int(n)) + (" or more" if n >= sample_size.MOST else "")


def _grouped(n: int) -> str:
    """Format a number of runs as ``number`` does."""
    return f"{n:,}" if n >= 10_000 else f"{n}"


def aligned(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """Return a table in Markdown whose columns are aligned."""
    lines = [list(header), *[[str(value) for value in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    table = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    table.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(table)
