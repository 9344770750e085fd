"""Tables in files: CSV, TSV or parquet, by their suffix."""

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

#: What stands between the values of a text file.
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*_DELIMITERS, ".parquet")
#: Option of what reads tables.
QUOTES: dict[str, dict] = {
    "quotes": {
        "type": "boolean",
        "description": "whether double quotes enclose values, or belong to them; true for .csv, false for .tsv",
    }
}
#: What stands for nothing in a column of numbers. In a column of text only an empty value does.
MISSING = frozenset(f"{sign}{word}" for sign in ("", "-") for word in ("nan", "NaN", "1.#IND", "1.#QNAN")).union(
    ["", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "NULL", "null", "None"]
)
#: Rows of a text file that are taken apart at a time.
_BLOCK = 50_000
#: Longest value of a text file, in characters: as much as the reader's C code can hold on every platform.
_LONGEST = 2**31 - 1
#: Indices that pandas writes as columns.
_INDEX = "__index_level_"
#: Formats in which quotes are no matter of taste.
_SETTLED = (".json", ".jsonl", ".parquet")
_SAY_QUOTES = (
    "its values seem to be enclosed in quotes, and those of a .tsv are not; say `quotes: true`, or `quotes: false` if "
    "the quotes belong to the values"
)


def header(path: Path, quotes: bool | None = None) -> list[str]:
    """Names of the columns; reads no more than that. Raises OSError or ValueError if the file cannot be read."""
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet as pq

        return [name for name in pq.read_schema(path).names if not name.startswith(_INDEX)]
    return next(_rows(path, quotes))


def numeric(path: Path, column: str, quotes: bool | None = None) -> bool:
    """Whether a column holds numbers and nothing else. Raises OSError or ValueError as ``header``."""
    return _numeric(Path(path), column, quotes, Path(path).stat().st_mtime_ns)


@cache
def _numeric(path: Path, column: str, quotes: bool | None, time: int) -> bool:
    """time: of the file's last change, so that it is read again after it."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        kind = pq.read_schema(path).field(column).type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    rows = _rows(path, quotes)
    place = next(rows).index(column)
    found = False
    for value in (row[place] for row in rows):
        if value not in MISSING:
            found = True
            if not _is_number(value):
                return False
    return found


def read(
    path: Path, columns: Sequence[str] | None = None, text: Sequence[str] = (), quotes: bool | None = None
) -> pd.DataFrame:
    """The file as text columns and numbers, nothing guessed beyond that.

    columns: those that are read, all that have a name if None. text: columns that are text even where they look like
    numbers. quotes: see QUOTES. What is empty is missing, and so are the words of MISSING, except in ``text``. Raises
    UserError if the file cannot be read, has no rows, or a column twice.
    """
    try:
        if Path(path).suffix == ".parquet":
            frame = _plain(parquet(path, columns)).to_pandas(ignore_metadata=True)
            guess = []
        else:
            frame = texts(path, columns, quotes).to_pandas()
            guess = [name for name in frame if name not in text]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    said = {name: frame[name].astype("string") for name in text}
    said = {name: column.mask(column == "") for name, column in said.items()}
    return frame.assign(**said, **{name: _guessed(frame[name]) for name in guess})


def parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of a parquet file as they are stored.

    Raises OSError or ValueError if it cannot be read, UserError if it has no rows, or a column twice.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(columns=_wanted(path, file.schema_arrow.names, columns))
    if not len(table):
        raise _empty(path)
    return table


def texts(path: Path, columns: Sequence[str] | None = None, quotes: bool | None = None) -> pa.Table:
    """Columns of a CSV or TSV file as text, just as it stands there. Raises as ``parquet``."""
    import pyarrow as pa

    rows = _rows(path, quotes)
    names = next(rows)
    wanted = _wanted(path, names, columns)
    places = [names.index(name) for name in wanted]
    blocks = []
    while block := list(islice(rows, _BLOCK)):
        # Block by block: as Python's, the texts of a log of millions of rows would not fit.
        arrays = [pa.array([row[place] for row in block], pa.large_string()) for place in places]
        blocks.append(pa.table(arrays, names=wanted))
    if not blocks:
        raise _empty(path)
    table = pa.concat_tables(blocks)
    if quotes is None and not _quoted(path, quotes) and _seem_quoted(table):
        raise ValueError(_SAY_QUOTES)
    return table


def _plain(table: pa.Table) -> pa.Table:
    """Decimals, as data bases export them, as numbers that pandas can reckon with."""
    import pyarrow as pa

    fields = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def not_utf8(path: Path) -> ValueError:
    """What to say of a file that is not in UTF-8."""
    with Path(path).open("rb") as file:
        for at, line in enumerate(file):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return ValueError(f"it is not in UTF-8 (line {at + 1}, byte {byte}); save it as UTF-8")
    return ValueError("it is not in UTF-8; save it as UTF-8")


def check_columns(path: Path, columns: Mapping[str, str], quotes: bool | None) -> Iterator[Problem]:
    """Columns, {option that names it: name}, that a table lacks."""
    try:
        names = header(path, quotes)
    except (OSError, ValueError) as error:
        yield Problem("path", f"{path} cannot be read: {error}")
        return
    for option, name in columns.items():
        if name not in names:
            yield Problem(option, f"the table has no column {name!r}; {suggest(name, names)}")


def check_quotes(options: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Whether the option ``quotes`` can mean anything for a file of this name."""
    if "quotes" in options and Path(name).suffix in _SETTLED:
        yield Problem("quotes", f"is for {' and '.join(_DELIMITERS)}, but the file is {name!r}; take it out")


def _quoted(path: Path, quotes: bool | None) -> bool:
    return Path(path).suffix != ".tsv" if quotes is None else quotes


def _rows(path: Path, quotes: bool | None) -> Iterator[list[str]]:
    """The names of the columns, then rows of as many values. Raises OSError or ValueError saying what is wrong where.

    Quotes are taken strictly: one that is never closed, or closed by that of a later row, would swallow rows unseen.
    """
    quoted, between = _quoted(path, quotes), _DELIMITERS.get(Path(path).suffix, ",")
    csv.field_size_limit(_LONGEST)
    style = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=between, quoting=style, strict=True)
        names: list[str] = []
        line = 1
        try:
            for row in reader:
                if not names and row:
                    if quotes is None and not quoted and all(_is_enclosed(name) for name in row):
                        raise ValueError(_SAY_QUOTES)
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
                f"{reader.line_num}: {error}); close it, or say `quotes: false` if quotes belong to the values"
            ) from error
    if not names:
        yield names


def _ragged(line: int, row: list[str], names: list[str], quoted: bool) -> str:
    said = f"line {line} has {len(row)} value{'s' * (len(row) != 1)}, but there are {len(names)} columns; "
    if quoted:
        return said + "a value that holds a comma or a line break stands in double quotes"
    hint = "; if quotes enclose values, say `quotes: true`" if '"' in "".join(row) else ""
    return said + "without quotes a value holds neither tabs nor line breaks" + hint


def _is_enclosed(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _seem_quoted(table: pa.Table) -> bool:
    """Whether every value with a quote is one that a program enclosed, and one of them must have been: it doubles some.

    Quotes of a text itself are rarely all like that.
    """
    import pyarrow.compute as pc

    doubled = False
    for column in table.itercolumns():
        having = column.filter(pc.match_substring(column, '"'))
        if not pc.all(pc.match_substring_regex(having, '(?s)^"([^"]|"")*"$'), min_count=0).as_py():
            return False
        doubled |= pc.any(pc.match_substring(pc.utf8_slice_codeunits(having, 1, -1), '""'), min_count=0).as_py()
    return doubled


def _wanted(path: Path, names: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """The columns to be read, each of which must be one alone."""
    counts = Counter(names)
    wanted = list(columns or (name for name in counts if name and not name.startswith(_INDEX)))
    if absent := [name for name in wanted if name not in counts]:
        raise UserError(f"{path} has no column {absent[0]!r}; it has {', '.join(counts)}")
    if several := [name for name in wanted if counts[name] > 1]:
        raise UserError(f"{path} has {counts[several[0]]} columns named {several[0]!r}; rename all but one")
    return wanted


def _empty(path: Path) -> UserError:
    return UserError(f"{path} holds no rows; fill it, or take another file")


def _guessed(column: pd.Series) -> pd.Series:
    """Numbers (truth values are 1 and 0) where all that is there is one, else text."""
    import pandas as pd

    there = column.mask(column.isin(MISSING))
    truth = there.str.lower().map({"true": 1, "false": 0})
    if there.notna().any() and truth.notna().equals(there.notna()):
        return truth
    try:
        return pd.to_numeric(there)
    except ValueError:
        return there


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
