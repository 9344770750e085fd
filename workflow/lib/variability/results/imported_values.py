"""Numbers, durations, seeds and statuses, as the files of other programs write them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability.advice import agree, plural
from variability.errors import UserError
from variability.io import numbers
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_log = logging.getLogger(__name__)

#: What people write for a missing value, in addition to ``numbers.MISSING``.
_ABSENT = ("-", "--", "---", "\u2013", "\u2014", "n.a.", "n. a.", "n/a.")
#: Integers from here on are not exact in double precision.
_MAX_EXACT = 2**53
#: Dates of numbers only that do not begin with the year.
_DAY_AND_MONTH = r"^\s*(\d{1,2})([./-])(\d{1,2})\2\d{2,4}\b"
#: Those among them that may begin with the last two digits of the year.
_YEAR_AND_MONTH = r"^\s*\d{2}([/-])(0[1-9]|1[0-2])\1(0[1-9]|[12]\d|3[01])\b"
_MONTHS = 12
_SPREAD = r"±|\+/-|\+-|\\pm|^\s*[-+.0-9]+\s*\("
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|sec|s|min|m|h|d)\s*)+")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def decimal_mark(source: Source, columns: Sequence[str], spec: Mapping[str, Any]) -> str:
    """Return the mark before decimals. columns: those of numbers. Raises UserError if it is unclear."""
    if "decimal" in spec:
        return spec["decimal"]
    separator = numbers.COMMA if source.separators == {numbers.COMMA} else ""
    try:
        return numbers.decimal_mark((_array(_without_percent(source.frame[name])) for name in columns), separator)
    except ValueError as error:
        raise UserError(f"{', '.join(dict.fromkeys(source.files))}: {error}") from error


def parse(texts: pd.Series, role: str, source: Source, decimal: str) -> pd.Series:
    """Return the numbers of a column, NaN for missing ones. texts: indexed by row of the source.

    A percent sign that all values have is left out. Raises UserError for what is not a number, with all rows.
    """
    import pandas as pd

    texts = texts.mask(texts.fillna("").astype(str).str.strip().str.lower().isin(_ABSENT))
    present = texts.fillna("").astype(str)
    spread = present.str.contains(_SPREAD, regex=True)
    if spread.any():
        raise UserError(
            f"{source.at(texts.index[spread])}: the {role} {texts[spread].iloc[0]!r} is a mean with a spread, not the "
            "value of one run; import the runs that were averaged, or put the two numbers into two columns"
        )
    percent = present.str.strip().str.endswith("%")
    missing = present.str.strip().isin(numbers.MISSING)
    if percent.any() and not (percent | missing).all():
        raise UserError(
            f"{source.at(texts.index[percent])}: {int(percent.sum())} of {plural(int((~missing).sum()), 'number')} in "
            f"the column of this {role} {agree(percent.sum(), 'has', 'have')} a percent sign "
            f"({texts[percent].iloc[0]!r}), others have none; write all alike"
        )
    values, wrong = numbers.parse(_array(_without_percent(texts)), decimal)
    if wrong.any():
        rows = texts.index[wrong]
        hint = _hint(str(texts[wrong].iloc[0]))
        count = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
        raise UserError(f"{source.at(rows)}: the {role} {texts[wrong].iloc[0]!r} is not a number{count}{hint}")
    return pd.Series(values, index=texts.index)


def _hint(text: str) -> str:
    """Return how to correct a text that is not a number, if it shows what was meant."""
    stripped = text.strip()
    if ("." in text and "," in text) or re.fullmatch(r"[-+]?[0-9]{1,3}([\s'\u2019][0-9]{3})+([.,][0-9]*)?", stripped):
        return "; write numbers without separators of thousands"
    if "," in text:
        return '; if commas begin its decimals, set `decimal: ","`'
    if re.search("[0-9]", text):
        return "; write the number alone, in the digits 0 to 9"
    return "; leave it empty if the run has none"


def states_nan(texts: pd.Series) -> pd.Series:
    """Return which values are written as NaN, and are not just missing."""
    return texts.fillna("").astype(str).str.strip().str.lower().str.fullmatch(r"[-+]?nan")


def seconds(texts: pd.Series, source: Source, decimal: str) -> pd.Series:
    """Return durations in seconds: numbers, 1.2min, 1h 3m 2s, or 0:05:11."""
    converted = texts.map(lambda text: _seconds(text, decimal) if isinstance(text, str) else text)
    return parse(converted, "seconds", source, decimal)


def elapsed(start: pd.Series, end: pd.Series, source: Source) -> pd.Series:
    """Return the seconds between two columns of times: dates in any notation, or milliseconds since 1970.

    The duration of a run does not decide what its value is: without two times it is missing, which the log says.
    """
    import pandas as pd

    # Both columns have one order, which the dates of one of them may leave open.
    day_first = _day_first(pd.concat([start, end])) == {True}
    difference = (_times(end, day_first) - _times(start, day_first)).dt.total_seconds()
    unclear = difference.isna() & start.notna() & end.notna()
    if unclear.any():
        row = unclear.idxmax()
        _log.warning(
            "%s: no duration, because %r or %r is not a time", source.at(start.index[unclear]), start[row], end[row]
        )
    return difference


def order(texts: pd.Series, name: str, source: Source) -> pd.Series:
    """Return numbers by which the rows of a run are ordered: those of a column of numbers or of times."""
    import pandas as pd

    values, wrong = numbers.parse(_array(texts))
    if not wrong.any():
        return pd.Series(values, index=texts.index)
    times = _times(texts)
    if (unclear := times.isna() & texts.notna()).any():
        text = texts[unclear].iloc[0]
        raise UserError(f"{source.at(texts.index[unclear])}: {name} {text!r} is neither a number nor a time")
    if (rows := _unclear_dates(texts)).any():
        raise UserError(
            f"{source.at(texts.index[rows])}: {name} {texts[rows].iloc[0]!r}: it is not clear which number is the "
            "month, or the year, and the order of the rows depends on it; write dates as 2024-12-31"
        )
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def seeds(texts: pd.Series, name: str) -> pd.Series:
    """Return integer seeds; labels such as ``0_4`` get the integers after the largest seed, in their natural order."""
    integers, labels = _integers(texts), seed_labels(texts)
    first = max([*integers.values(), -1]) + 1
    labelled = {label: first + position for position, label in enumerate(labels)}
    if labelled:
        _log.info("%s: seeds that are not whole numbers are replaced by integers: %s", name, labelled)
    return texts.map(integers | labelled).astype("int64")


def seed_labels(texts: pd.Series) -> list[str]:
    """Return the seeds that are not whole numbers, in their natural order."""
    integers = _integers(texts)
    return sorted({text for text in texts.unique() if text not in integers}, key=_natural_order)


def are_one_number(texts: pd.Series) -> bool:
    """Return whether texts, not all equal, are one whole number: 1 and 01."""
    integers = _integers(texts)
    return 1 < len(integers) == texts.nunique() and len(set(integers.values())) == 1


def _integers(texts: pd.Series) -> dict[str, int]:
    """Return the whole numbers among texts: 3, 3.0 and 3e0."""
    import pandas as pd

    written = pd.Series(texts.unique(), dtype=object)
    values, wrong = numbers.parse(_array(written))
    integers = {}
    for text, value, is_wrong in zip(written, values, wrong, strict=True):
        # Not through floating-point numbers, in which large integers are not exact.
        if re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", text):
            integers[text] = int(text)
        elif not is_wrong and abs(value) < _MAX_EXACT and value == int(value):
            integers[text] = int(value)
    return integers


def _array(texts: pd.Series) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([pa.array([None if text is None else str(text) for text in texts], pa.large_string())])


def _without_percent(texts: pd.Series) -> pd.Series:
    return texts.map(lambda text: re.sub(r"\s*%\s*$", "", text) if isinstance(text, str) else None)


def _seconds(text: str, decimal: str) -> str:
    stripped = text.strip().lower()
    if match := _CLOCK.fullmatch(stripped):
        hours, minutes, rest = match.groups(default="0")
        return str(int(hours) * 3600 + int(minutes) * 60 + float(rest)).replace(numbers.POINT, decimal)
    if _DURATION.fullmatch(stripped):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h|d)", stripped)
        return str(sum(float(number) * _UNITS[unit] for number, unit in parts)).replace(numbers.POINT, decimal)
    return text


def _times(column: pd.Series, day_first: bool | None = None) -> pd.Series:
    """Return times as trackers write them: dates in any notation, or milliseconds since 1970.

    day_first: order of dates such as 05/02/2024; None for that which all dates of the column allow, or month first.
    """
    import pandas as pd

    numeric = pd.to_numeric(column, errors="coerce")
    # Both at once, because programs of different versions may have written one file.
    of_numbers = pd.to_datetime(numeric, unit="ms", utc=True, errors="coerce")
    texts = column.astype(object).where(numeric.isna(), None)
    orders = _day_first(texts) if day_first is None else {day_first}
    # Others, such as 2024/02/05, have the year first.
    turned = texts.astype("str").str.match(_DAY_AND_MONTH) & (orders == {True})
    times = [
        pd.to_datetime(part, utc=True, format="mixed", errors="coerce", dayfirst=day_first)
        for part, day_first in ((texts.where(turned, None), True), (texts.where(~turned, None), False))
    ]
    return of_numbers.fillna(times[0]).fillna(times[1])


def _day_first(texts: pd.Series) -> set[bool]:
    """Return the orders, day first or not, that the dates of a column allow: those with . have the day first."""
    import pandas as pd

    parts = texts.astype("str").str.extract(_DAY_AND_MONTH)
    first, second = (pd.to_numeric(parts[index]) for index in (0, 2))
    excluded = {True: (second > _MONTHS).any(), False: ((first > _MONTHS) | (parts[1] == ".")).any()}
    return {order for order, is_excluded in excluded.items() if not is_excluded}


def _unclear_dates(texts: pd.Series) -> pd.Series:
    """Return the dates of which it is not clear what is the month or year, if the order of all times depends on it."""
    dates = texts.astype("str").str.strip()
    is_date, orders = dates.str.match(_DAY_AND_MONTH), _day_first(texts)
    if not is_date.any():
        return is_date
    readings = [_times(texts, day_first) for day_first in orders]
    if dates[is_date].str.match(_YEAR_AND_MONTH).all():
        readings.append(_times(texts.mask(is_date, "20" + dates)))
    ranks = [times.rank() for times in readings]
    return is_date & (not ranks or any(not each.equals(ranks[0]) for each in ranks[1:]))


def _natural_order(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
