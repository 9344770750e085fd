"""Reading of users' tables, whatever their format: every value as the text that is in the file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import listed, plural, shortened, similar, suggest
from variability.errors import Problem, UserError
from variability.io import limits, numbers, table_files
from variability.io.parquet_files import parquet
from variability.io.table_readers import Table, header, table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Suffixes of tables; other files are read by their content.
PLAIN_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", *table_files.JSON_SUFFIXES)
SUFFIXES = (*PLAIN_SUFFIXES, *(a + b for a in PLAIN_SUFFIXES for b in table_files.COMPRESSIONS), ".xlsx", ".parquet")
#: Options of data sets and imports that read tables.
OPTIONS: dict[str, dict] = {
    "separator": {
        "type": "string",
        "minLength": 1,
        "description": "separator of the values; by default as the first lines show",
    },
    "quotes": {
        "type": "boolean",
        "description": "whether double quotes enclose values, or belong to them; by default true, but false for .tsv",
    },
    "decimal": {
        "enum": [numbers.POINT, numbers.COMMA],
        "description": "mark before decimals; by default as the numbers show",
    },
    "header": {
        "oneOf": [{"const": "none"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": "for tables without names of columns: the names, or none to number them 1, 2, ...",
    },
    "encoding": {"type": "string", "description": "encoding of the text, such as cp1252; UTF-8 by default"},
    "sheet": {"type": "string", "description": "sheet of an Excel file; by default the only one that is not empty"},
    "records": {"type": "string", "description": "key of the list of records in a JSON file, such as log_history"},
    **limits.OPTION,
}
#: Integers from here on are not exact in double precision.
_MAX_EXACT = 2**53
#: Formats in which each option has a meaning.
_MEANINGS = {
    **dict.fromkeys(("separator", "quotes"), (table_files.TEXT,)),
    "header": (table_files.TEXT, table_files.EXCEL),
    "encoding": (table_files.TEXT, table_files.JSON),
    "decimal": (table_files.TEXT, table_files.EXCEL, table_files.JSON),
    "sheet": (table_files.EXCEL,),
    "records": (table_files.JSON,),
}


def is_table(path: Path) -> bool:
    """Return whether a file's name promises a table."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def read(
    path: Path,
    columns: Sequence[str] | None = None,
    text: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Read a file into columns of text and of numbers; no other types are inferred.

    text: columns that are text even if they look like numbers. Other arguments and errors: see ``table``. Empty values
    are missing, and so are those of ``numbers.MISSING``, except in ``text``.
    """
    import pandas as pd

    options = options or {}
    try:
        if table_files.table_format(path) == table_files.PARQUET:
            # Its numbers are stored as such, and there may be millions of them.
            frame = _plain(parquet(path, columns, limits.Limits.of(options))).to_pandas(ignore_metadata=True)
            return frame.assign(**{name: _as_text(frame[name]) for name in text})
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    of_file = table(path, options, columns)
    mark = decimal(of_file, [name for name in of_file.names if name not in text], options)
    inferred = {name: _inferred(of_file.columns[name], name in text, mark) for name in of_file.names}
    return pd.DataFrame(inferred)


def decimal(of_file: Table, columns: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return the mark before decimals in columns of a table: that of its options, else what the numbers show.

    Raises UserError if it is unclear.
    """
    if "decimal" in options:
        return options["decimal"]
    try:
        return numbers.decimal_mark((of_file.columns[name] for name in columns), of_file.separator)
    except ValueError as error:
        raise UserError(f"{of_file.path}: {error}") from error


def numeric(path: Path, column: str, options: Mapping[str, Any] | None = None) -> bool:
    """Return whether a column contains only numbers, none of which looks like a code.

    Raises OSError, ValueError or UserError if it cannot be read.
    """
    stated = {name: value for name, value in (options or {}).items() if name in OPTIONS}
    return _numeric(Path(path), column, json.dumps(stated), Path(path).stat().st_mtime_ns)


@cache
def _numeric(path: Path, column: str, stated: str, time: int) -> bool:
    """Compute ``numeric``. stated: options as JSON. time: of the file's last change, part of the key of the cache."""
    options = json.loads(stated)
    of_file = table(path, options, [column])
    values, wrong = numbers.parse(of_file.columns[column], decimal(of_file, [column], options))
    return bool(not wrong.any() and (~np.isnan(values)).any()) and not numbers.are_codes(of_file.columns[column])


def check_columns(path: Path, columns: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the columns that a table lacks. columns: {option that names the column: its name}."""
    try:
        names = header(path, options)
    except (OSError, ValueError) as error:
        yield Problem("path", f"{path} cannot be read: {error}")
        return
    if not names:
        yield Problem("path", f"{path} has no rows; fill it, or use another file")
        return
    # Without any of these names, and none like them, the first row may be an example.
    unlike = "header" not in options and not any(similar(name, names) for name in columns.values())
    no_header = (
        f"; if its first row is not the names of its columns, list them in header ({plural(len(names), 'name')})"
    )
    for option, name in columns.items():
        if name not in names:
            # A default is not a misspelt name.
            default = option not in options and len(names) > 1
            hint = f"set {option} to one of {listed(names)}" if default else suggest_column(name, names)
            why = f"{name!r}, the default of {option}" if default else repr(name)
            yield Problem(option, f"the table has no column {why}; {hint}{no_header if unlike else ''}")
        elif (count := names.count(name)) > 1:
            yield Problem(option, f"the table has {plural(count, 'column')} named {name!r}; rename all but one")


def suggest_column(name: str, names: Sequence[str]) -> str:
    """Return advice for a column that a table lacks. names: of its columns."""
    if len(names) != 1:
        return suggest(name, names) if names else "the file is empty"
    likely = next((each for each in ("::", " ") if each in names[0].strip()), None)
    separator = f", such as `separator: {likely!r}`" if likely else ""
    return (
        f"the first line, {shortened(names[0])}, is a single name: remove what is above the names of the columns, or "
        f"set `separator`{separator}"
    )


def check_options(options: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    """Yield problems of the options that say how a file is read. path: of the file; it may not exist yet."""
    if "encoding" in options:
        try:
            codecs.lookup(options["encoding"])
        except LookupError:
            yield Problem("encoding", f"{options['encoding']!r} is not an encoding; examples: utf-8, cp1252, utf-16")
    if options.get("separator") is not None and options.get("separator") == options.get("decimal"):
        yield Problem("decimal", "separates the values already; only one of separator and decimal can be a comma")
    try:
        of_file = table_files.table_format(path) if path.is_file() else table_files.promised_format(path)
    except (OSError, ValueError):
        return  # Reported when the names of the columns are read.
    for option, formats in _MEANINGS.items():
        if option in options and of_file not in formats:
            yield Problem(option, f"has no meaning for {path.name!r}, whose format is {of_file}; remove it")


def _inferred(column: pa.ChunkedArray, is_text: bool, mark: str) -> pd.Series:
    """Convert a column to numbers (truth values to 1 and 0) if all its values are numbers; otherwise keep the text."""
    import pandas as pd

    if is_text:
        return _as_text(column.to_pandas())
    values, wrong = numbers.parse(column, mark)
    if not wrong.any():
        exact = bool((np.abs(values) < _MAX_EXACT).all()) and _are_integers(column)
        return pd.Series(values.astype(np.int64) if exact else values)
    texts = column.to_pandas()
    present = texts.mask(texts.isin(numbers.MISSING))
    truth = present.str.lower().map({"true": 1, "false": 0})
    return truth if truth.notna().equals(present.notna()) else present


def _as_text(column: pd.Series) -> pd.Series:
    present = column.astype("string")
    return present.mask(present == "")


def _plain(stored: pa.Table) -> pa.Table:
    """Convert decimals, which databases export, to floating-point numbers, which pandas can compute with."""
    import pyarrow as pa

    fields = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in stored.schema]
    return stored.cast(pa.schema(fields))


def _are_integers(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return pc.all(pc.match_substring_regex(column, r"^\s*[+-]?[0-9]+\s*$"), min_count=0).as_py()
