"""Numbers in columns of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

POINT, COMMA = ".", ","
#: Values that mean "missing" in a column of numbers. In a column of text only an empty value does.
MISSING = frozenset(f"{sign}{word}" for sign in ("", "-") for word in ("nan", "NaN", "1.#IND", "1.#QNAN")).union(
    ["", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "NAN", "Nan", "NULL", "null", "None", "none"]
)
_INFINITE = {f"{sign}{word}": f"{sign}inf" for sign in ("", "+", "-") for word in ("inf", "infinity", "∞")}
#: A number with at least a digit; Python's would include 1_000.
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_CODE = r"^\s*[+-]?(0[0-9]+|[0-9]+[eE][0-9]+)\s*$"
_DECIMAL_COMMA = r"^[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?$"
#: May be a thousand with a separator, or one with three decimals.
_UNCLEAR_COMMA = r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+$"


def parse(column: pa.ChunkedArray, decimal: str = POINT) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a column of text, NaN where there is none, and which values are not numbers.

    Missing values, see MISSING, are NaN and not wrong. Infinity, and numbers beyond the range of double precision, are
    infinite. decimal: mark before the decimals.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    stripped = _stripped(column)
    missing = pc.or_kleene(pc.is_null(stripped), pc.is_in(stripped, pa.array(sorted(MISSING), stripped.type)))
    if decimal == COMMA:
        # With this mark, a point would separate thousands.
        has_point = pc.match_substring(stripped, POINT)
        stripped = pc.if_else(has_point, stripped, pc.replace_substring(stripped, COMMA, POINT, max_replacements=1))
    lowered = pc.utf8_lower(stripped)
    infinite = pc.is_in(lowered, pa.array([*_INFINITE], stripped.type))
    number = pc.match_substring_regex(stripped, _NUMBER)
    if decimal == COMMA:
        number = pc.and_(number, pc.invert(has_point))
    usable = pc.fill_null(pc.and_(number, pc.invert(missing)), False)
    values = _floats(pc.if_else(usable, stripped, pa.scalar(None, stripped.type)))
    if pc.any(infinite, min_count=0).as_py():
        signs = pc.if_else(pc.starts_with(lowered, "-"), -np.inf, np.inf)
        values = np.where(_mask(infinite), signs.to_numpy(), values)
    wrong = ~(_mask(usable) | _mask(missing) | _mask(infinite))
    return values, wrong


def are_codes(column: pa.ChunkedArray) -> bool:
    """Return whether some numbers of a column look like codes: 007, or 1e5, which programs write as 1e+05."""
    import pyarrow.compute as pc

    return pc.any(pc.match_substring_regex(column, _CODE), min_count=0).as_py()


def decimal_mark(columns: Iterable[pa.ChunkedArray], separator: str = "") -> str:
    """Return the mark before the decimals in columns of numbers.

    It is a comma if columns hold numbers with one comma and none with a point, and one of them cannot be a number of
    thousands. separator: of the file's values; between commas, a value with a comma is not a number. Raises ValueError
    if this is unclear.
    """
    import pyarrow.compute as pc

    clear, unclear = 0, []
    for column in columns if separator != COMMA else ():
        stripped = _stripped(column)
        commas = pc.match_substring_regex(stripped, _DECIMAL_COMMA)
        if not pc.any(commas, min_count=0).as_py():
            continue
        with_comma = stripped.filter(pc.fill_null(commas, False))
        points = pc.and_(pc.match_substring(stripped, POINT), pc.match_substring_regex(stripped, _NUMBER))
        if pc.any(points, min_count=0).as_py():
            first, second = with_comma[0], stripped.filter(pc.fill_null(points, False))[0]
            raise ValueError(f"it has numbers with a comma ({first}) and with a point ({second}) in one column")
        possible = pc.match_substring_regex(with_comma, _UNCLEAR_COMMA)
        clear += pc.sum(pc.invert(possible)).as_py()
        unclear += with_comma.filter(possible).slice(0, 1).to_pylist()
    if unclear and not clear:
        raise ValueError(
            f'{unclear[0]} may be a number of thousands or one with decimals; set `decimal: ","` if its comma begins '
            "the decimals, otherwise write it without a comma"
        )
    return COMMA if clear else POINT


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    # A minus sign of typography is what spreadsheets and papers write.
    return pc.replace_substring(pc.utf8_trim_whitespace(column), "\u2212", "-")


def _floats(texts: pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa

    return texts.cast(pa.float64()).to_numpy()


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.fill_null(values, False).to_numpy()
