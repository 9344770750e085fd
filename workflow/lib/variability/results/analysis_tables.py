"""Tables of analyses and claims as CSV files that state their types: text is quoted, numbers are not.

So a file is its own schema. A model that is called 18, NA or true is read back as that text, and a number as the same
number; a missing value is an empty field, an empty text is "". Programs that ignore the quotes read the same values,
except for texts that a spreadsheet would run as formulas: they begin with an apostrophe (``io/spreadsheet_text.py``).
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability import advice
from variability.advice import plural
from variability.errors import UserError
from variability.io.files import replacing
from variability.io.spreadsheet_text import guarded, restored

if TYPE_CHECKING:
    import pandas as pd

#: A field with the character that ends it: quoted text, in which a quote is doubled, or anything else.
_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\Z)')
_BOOLEANS = {"True": True, "False": False}
_INTEGER = re.compile(r"[+-]?\d+")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table without its index. Names of columns are not quoted unless they have to be."""
    columns = [_fields(table[name]) for name in table.columns]
    lines = [",".join(_name(str(name)) for name in table.columns)]
    lines += [",".join(row) for row in zip(*columns, strict=True)]
    with replacing(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")


def read(path: Path) -> pd.DataFrame:
    """Read a table with the types that it was written with.

    Raises UserError, naming file and row, for a file that is missing or not such a table.
    """
    import pandas as pd

    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(advice.unreadable(path, error, Path(path).parent.name, path)) from error
    rows = _rows(text, path)
    names = [restored(name) for name, _ in next(rows, [])]
    columns: list[list[Any]] = [[] for _ in names]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise UserError(
                f"{path}, row {number}: {plural(len(row), 'field')} instead of {len(names)}; {_repair(path)}"
            )
        for values, (text, quoted) in zip(columns, row, strict=True):
            try:
                values.append(restored(text) if quoted else _value(text))
            except ValueError as error:
                raise UserError(f"{path}, row {number}: {text!r} is not a number; {_repair(path)}") from error
    return pd.DataFrame({name: pd.Series(values) for name, values in zip(names, columns, strict=True)}, columns=names)


def _fields(column: pd.Series) -> list[str]:
    missing = column.isna().tolist()
    return ["" if none else _field(value) for value, none in zip(column.tolist(), missing, strict=True)]


def _field(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return repr(value) if isinstance(value, numbers.Real) else _quoted(guarded(str(value)))


def _name(name: str) -> str:
    text = guarded(name)
    return _quoted(text) if re.search(r'[",\r\n]', text) or not text else text


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _rows(text: str, path: Path) -> Iterator[list[tuple[str, bool]]]:
    """Yield the fields of each row: their text, and whether it is quoted."""
    row: list[tuple[str, bool]] = []
    position = 0
    while position < len(text) or row:
        match = _FIELD.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise UserError(f"{path}, line {line}: a quote is not closed; {_repair(path)}")
        quoted, plain, end = match.groups()
        row.append((plain, False) if quoted is None else (quoted.replace('""', '"'), True))
        position = match.end()
        if end != ",":
            yield row
            row = []


def _repair(path: Path) -> str:
    """Return how to make a damaged table again. Tables are in the folder of their rule."""
    return advice.rerun(Path(path).parent.name, path)


def _value(text: str) -> Any:
    """Return what an unquoted field holds: nothing, a truth value or a number."""
    if not text:
        return math.nan
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if _INTEGER.fullmatch(text) else float(text)
