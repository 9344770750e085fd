"""Reading of tables in CSV, TSV or parquet files, by their suffix."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability.advice import suggest
from variability.errors import Problem, UserError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Separators of the values of text files.
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*_DELIMITERS, ".parquet")
#: Option of data sets and imports that read tables.
QUOTES: dict[str, dict] = {
    "quotes": {
        "type": "boolean",
        "description": "whether double quotes enclose values, or belong to them; true for .csv, false for .tsv",
    }
}
#: Values that mean "missing" in a column of numbers. In a column of text only an empty value does.
MISSING = frozenset(f"{sign}{word}" for sign in ("", "-") for word in ("nan", "NaN", "1.#IND", "1.#QNAN")).union(
    ["", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "NULL", "null", "None"]
)
#: Rows of a text file that are converted at a time.
_CHUNK = 50_000
#: Longest value of a text file, in characters: the most that the C code of the reader can hold on every platform.
_MAX_LENGTH = 2**31 - 1
#: Prefix of index columns that pandas writes.
_INDEX = "__index_level_"
#: Formats that define the meaning of quotes.
_FIXED_QUOTES = (".json", ".jsonl", ".parquet")
_UNCLEAR_QUOTES = (
    "its values seem to be enclosed in quotes, and those of a .tsv are not; set `quotes: true`, or `quotes: false` if "
    "the quotes belong to the values"
)


def header(path: Path, quotes: bool | None = None) -> list[str]:
    """Return the names of the columns, without reading further. Raises OSError or ValueError if this fails."""
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet as pq

        return [name for name in pq.read_schema(path).names if not name.startswith(_INDEX)]
    return next(_rows(path, quotes))


def numeric(path: Path, column: str, quotes: bool | None = None) -> bool:
    """Return whether a column contains only numbers. Raises OSError or ValueError if the file cannot be read."""
    return _numeric(Path(path), column, quotes, Path(path).stat().st_mtime_ns)


@cache
def _numeric(path: Path, column: str, quotes: bool | None, time: int) -> bool:
    """Compute ``numeric``. time: of the file's last change, part of the key of the cache."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        dtype = pq.read_schema(path).field(column).type
        return pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)
    rows = _rows(path, quotes)
    index = next(rows).index(column)
    any_number = False
    for value in (row[index] for row in rows):
        if value not in MISSING:
            any_number = True
            if not _is_number(value):
                return False
    return any_number


def read(
    path: Path, columns: Sequence[str] | None = None, text: Sequence[str] = (), quotes: bool | None = None
) -> pd.DataFrame:
    """Read a file into columns of text and of numbers; no other types are inferred.

    columns: columns to read, or None for all that have a name. text: columns that are text even if they look like
    numbers. quotes: see QUOTES. Empty values are missing, and so are those of MISSING, except in ``text``. Raises
    UserError if the file cannot be read, has no rows, or has a column twice.
    """
    try:
        if Path(path).suffix == ".parquet":
            frame = _plain(parquet(path, columns)).to_pandas(ignore_metadata=True)
            inferred = []
        else:
            frame = texts(path, columns, quotes).to_pandas()
            inferred = [name for name in frame if name not in text]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    as_text = {name: frame[name].astype("string") for name in text}
    as_text = {name: column.mask(column == "") for name, column in as_text.items()}
    return frame.assign(**as_text, **{name: _inferred(frame[name]) for name in inferred})


def parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns of a parquet file as they are stored.

    Raises OSError or ValueError if it cannot be read, UserError if it has no rows, or has a column twice.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(columns=_wanted(path, file.schema_arrow.names, columns))
    if not len(table):
        raise _empty(path)
    return table


def texts(path: Path, columns: Sequence[str] | None = None, quotes: bool | None = None) -> pa.Table:
    """Read columns of a CSV or TSV file as unchanged text. Raises the same errors as ``parquet``."""
    import pyarrow as pa

    rows = _rows(path, quotes)
    names = next(rows)
    wanted = _wanted(path, names, columns)
    indices = [names.index(name) for name in wanted]
    chunks = []
    while chunk := list(islice(rows, _CHUNK)):
        # In chunks, because the strings of millions of rows would not fit into memory as Python objects.
        arrays = [pa.array([row[index] for row in chunk], pa.large_string()) for index in indices]
        chunks.append(pa.table(arrays, names=wanted))
    if not chunks:
        raise _empty(path)
    table = pa.concat_tables(chunks)
    if quotes is None and not _quoted(path, quotes) and _seem_quoted(table):
        raise ValueError(_UNCLEAR_QUOTES)
    return table


def _plain(table: pa.Table) -> pa.Table:
    """Convert decimals, which databases export, to floating-point numbers, which pandas can compute with."""
    import pyarrow as pa

    fields = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def not_utf8(path: Path) -> ValueError:
    """Return the error for a file that is not in UTF-8, with the position of the first wrong byte."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return ValueError(f"it is not in UTF-8 (line {number}, byte {byte}); save it as UTF-8")
    return ValueError("it is not in UTF-8; save it as UTF-8")


def check_columns(path: Path, columns: Mapping[str, str], quotes: bool | None) -> Iterator[Problem]:
    """Yield the columns that a table lacks. columns: {option that names the column: its name}."""
    try:
        names = header(path, quotes)
    except (OSError, ValueError) as error:
        yield Problem("path", f"{path} cannot be read: {error}")
        return
    for option, name in columns.items():
        if name not in names:
            yield Problem(option, f"the table has no column {name!r}; {suggest(name, names)}")


def check_quotes(options: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Yield a problem if the option ``quotes`` has no meaning for a file with this name."""
    if "quotes" in options and Path(name).suffix in _FIXED_QUOTES:
        yield Problem("quotes", f"is for {' and '.join(_DELIMITERS)}, but the file is {name!r}; remove it")


def _quoted(path: Path, quotes: bool | None) -> bool:
    return Path(path).suffix != ".tsv" if quotes is None else quotes


def _rows(path: Path, quotes: bool | None) -> Iterator[list[str]]:
    """Yield the names of the columns, then rows of as many values.

    Raises OSError or ValueError with the line of the mistake. Quotes are checked strictly: if one is not closed, or
    closed by that of a later row, the rows between them would be lost silently.
    """
    quoted, delimiter = _quoted(path, quotes), _DELIMITERS.get(Path(path).suffix, ",")
    csv.field_size_limit(_MAX_LENGTH)
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        names: list[str] = []
        line = 1
        try:
            for row in reader:
                if not names and row:
                    if quotes is None and not quoted and all(_is_enclosed(name) for name in row):
                        raise ValueError(_UNCLEAR_QUOTES)
                    names = row
                elif len(row) > len(names) and not any(row[len(names) :]):
                    row = row[: len(names)]
                elif row and len(row) != len(names):
                    raise ValueError(_ragged(line, row, names, quoted))
                if row:
                    yield row
                line = reader.line_num + 1
        except UnicodeDecodeError as error:
            raise not_utf8(path) from error
        except csv.Error as error:
            raise ValueError(
                f"a quote in the row of line {line} is not closed, or closed in the middle of a value (line "
                f"{reader.line_num}: {error}); close it, or set `quotes: false` if quotes belong to the values"
            ) from error
    if not names:
        yield names


def _ragged(line: int, row: list[str], names: list[str], quoted: bool) -> str:
    message = f"line {line} has {len(row)} value{'s' * (len(row) != 1)}, but there are {len(names)} columns; "
    if quoted:
        return message + "enclose a value that contains a comma or a line break in double quotes"
    hint = "; if quotes enclose values, set `quotes: true`" if '"' in "".join(row) else ""
    return message + "without quotes a value cannot contain tabs or line breaks" + hint


def _is_enclosed(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _seem_quoted(table: pa.Table) -> bool:
    """Return whether a program seems to have enclosed the values in quotes.

    Every value with a quote must be correctly enclosed, and at least one must contain a doubled quote, as programs
    write it. Quotes that belong to texts rarely are all like that.
    """
    import pyarrow.compute as pc

    doubled = False
    for column in table.itercolumns():
        quoted = column.filter(pc.match_substring(column, '"'))
        if not pc.all(pc.match_substring_regex(quoted, '(?s)^"([^"]|"")*"$'), min_count=0).as_py():
            return False
        doubled |= pc.any(pc.match_substring(pc.utf8_slice_codeunits(quoted, 1, -1), '""'), min_count=0).as_py()
    return doubled


def _wanted(path: Path, names: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """Return the columns to read; raise UserError if one is missing or occurs twice."""
    counts = Counter(names)
    wanted = list(columns or (name for name in counts if name and not name.startswith(_INDEX)))
    if absent := [name for name in wanted if name not in counts]:
        raise UserError(f"{path} has no column {absent[0]!r}; it has {', '.join(counts)}")
    if several := [name for name in wanted if counts[name] > 1]:
        raise UserError(f"{path} has {counts[several[0]]} columns named {several[0]!r}; rename all but one")
    return wanted


def _empty(path: Path) -> UserError:
    return UserError(f"{path} has no rows; fill it, or use another file")


def _inferred(column: pd.Series) -> pd.Series:
    """Convert a column to numbers (truth values to 1 and 0) if all its values are numbers; otherwise keep the text."""
    import pandas as pd

    present = column.mask(column.isin(MISSING))
    truth = present.str.lower().map({"true": 1, "false": 0})
    if present.notna().any() and truth.notna().equals(present.notna()):
        return truth
    try:
        return pd.Series(pd.to_numeric(present))
    except ValueError:
        return present


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
