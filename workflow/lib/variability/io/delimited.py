"""Text files whose lines hold values between separators: CSV, TSV and the like."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from variability.advice import agree, plural
from variability.io import table_files
from variability.io.limits import Limits

#: Separators that are looked for if the config states none, with their names in messages.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
#: Separators that a suffix promises.
_OF_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
#: Rows that decide between two possible separators.
_SAMPLE = 100
#: Longest value of a text file, in characters: the most that the C code of the reader can hold on every platform.
_MAX_LENGTH = 2**31 - 1
#: Broken rows that a message lists.
_LISTED = 10

Row = tuple[int, list[str]]


class Dialect(NamedTuple):
    """Notation of a file. quoted: whether double quotes enclose values; skipped: lines before the table.

    padded: whether blanks follow the separators, and belong to no value; always if a blank is the separator, which may
    be repeated to align columns.
    """

    separator: str
    quoted: bool
    skipped: int = 0
    padded: bool = False


def dialect(path: Path, options: Mapping[str, Any]) -> Dialect:
    """Return the notation of a file: the one that its options state, else what its first lines show.

    Raises OSError or ValueError if it cannot be read, or if several separators are possible.
    """
    suffix = table_files.inner_suffix(path)
    encoding, separator, skipped = options.get("encoding"), options.get("separator"), 0
    with table_files.open_text(path, encoding, Limits.of(options)) as file:
        lines = list(islice(file, _SAMPLE))
    # Excel writes and reads such a line.
    if lines and (first := lines[0].strip()).lower().startswith("sep=") and len(first) == len("sep=,"):
        separator, skipped = separator or first[-1], 1
    separator = separator or _separator(lines, suffix)
    quoted = options.get("quotes", separator != "\t" or suffix == ".csv")
    return Dialect(separator, quoted, skipped, _is_padded(lines[skipped:], separator))


def rows(path: Path, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the names of the columns, then rows of as many values, each with the line that it begins in.

    options: see ``tabular.OPTIONS``. Raises OSError or ValueError with the lines of the mistakes. Quotes are checked
    strictly: if one is not closed, or closed by that of a later row, the rows between them would be lost silently.
    """
    of_file = dialect(path, options)
    with table_files.open_text(path, options.get("encoding"), Limits.of(options)) as file:
        for _ in range(of_file.skipped):
            file.readline()
        yield from _checked(_parsed(file, of_file), of_file, options)


def _checked(parsed: Iterator[Row], of_file: Dialect, options: Mapping[str, Any]) -> Iterator[Row]:
    names: list[str] = []
    broken: list[Row] = []
    count = 0
    for line, row in parsed:
        # Above the names, a spreadsheet's empty rows are separators only.
        if not row or (not names and not any(value.strip() for value in row)):
            continue
        if not names:
            names = _names(row, options.get("header"))
            if "quotes" not in options and not of_file.quoted and all(map(_is_enclosed, row)):
                raise ValueError(UNCLEAR_QUOTES)
            yield line, names
            if options.get("header") is None:
                continue
        values = row[: len(names)] if not any(row[len(names) :]) else row
        if len(values) == len(names):
            yield line, values
        else:
            count += 1
            broken += [(line, values)] if len(broken) < _LISTED else []
    if not names:
        yield 1, names
    if broken:
        raise ValueError(_ragged(broken, count, names, of_file))


def _names(row: Sequence[str], header: str | Sequence[str] | None) -> list[str]:
    if header is None:
        return without_blanks(row)
    if isinstance(header, str):
        return [str(number) for number in range(1, len(row) + 1)]
    return list(header)


def without_blanks(names: Sequence[str]) -> list[str]:
    """Return names of columns without blanks around them, which nobody sees, unless two would become equal."""
    stripped = [name.strip() for name in names]
    return stripped if len(set(stripped)) == len(set(names)) else list(names)


def _parsed(file: IO[str], of_file: Dialect) -> Iterator[Row]:
    line = of_file.skipped + 1
    if len(of_file.separator) > 1:
        for number, text in enumerate(file, line):
            values = text.rstrip("\r\n")
            yield number, values.split(of_file.separator) if values else []
        return
    csv.field_size_limit(_MAX_LENGTH)
    quoting = csv.QUOTE_MINIMAL if of_file.quoted else csv.QUOTE_NONE
    padded = of_file.padded
    reader = csv.reader(file, delimiter=of_file.separator, quoting=quoting, strict=True, skipinitialspace=padded)
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + of_file.skipped + 1
    except csv.Error as error:
        raise ValueError(
            f"a quote in the row of line {line} is not closed, or closed in the middle of a value (line "
            f"{reader.line_num + of_file.skipped}: {error}); close it, or set `quotes: false` if quotes belong to the "
            "values"
        ) from error


def _separator(lines: Sequence[str], suffix: str) -> str:
    """Return the separator of a file's first lines. Raises ValueError if several are possible."""
    expected = _OF_SUFFIX.get(suffix)
    header = next((line for line in lines if line.strip()), "")
    possible = [separator for separator in SEPARATORS if len(_split(header, separator)) > 1]
    if len(possible) > 1:
        regular = [separator for separator in possible if _is_regular(lines, separator)]
        # A promised separator that splits all rows alike is right, whatever the names of the columns contain.
        possible = [expected] if expected in regular else regular or possible
    if len(possible) == 1:
        return possible[0]
    if not possible or expected in possible:
        return expected or ","
    names = " or ".join(SEPARATORS[separator] for separator in possible)
    raise ValueError(f"its values may be separated by {names}; set `separator`")


def _is_padded(lines: Sequence[str], separator: str) -> bool:
    """Return whether a blank follows each separator of the names of the columns, of which there are several."""
    if separator == " ":
        return True
    header = next((line for line in lines if line.strip()), "").rstrip("\r\n")
    names = header.split(separator)[1:] if separator.strip() else []
    return bool(names) and all(name.startswith(" ") and name.strip() for name in names)


def _is_regular(lines: Sequence[str], separator: str) -> bool:
    return len({len(_split(line, separator)) for line in lines if line.strip()}) == 1


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def _ragged(broken: Sequence[Row], count: int, names: Sequence[str], of_file: Dialect) -> str:
    line, row = broken[0]
    columns = f"there {agree(len(names), 'is', 'are')} {plural(len(names), 'column')}"
    message = f"line {line} has {plural(len(row), 'value')}, but {columns}"
    if count > 1:
        more = ", ..." if count > len(broken) else ""
        message += f" ({count} such rows, in the lines {', '.join(str(line) for line, _ in broken)}{more})"
    if of_file.quoted:
        character = {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(of_file.separator, "the separator")
        return f"{message}; enclose a value that contains {character} or a line break in double quotes"
    hint = "; if quotes enclose values, set `quotes: true`" if '"' in "".join(row) else ""
    separator = SEPARATORS.get(of_file.separator, repr(of_file.separator))
    return f"{message}; without quotes a value cannot contain {separator} or line breaks{hint}"


def _is_enclosed(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


UNCLEAR_QUOTES = (
    "its values seem to be enclosed in quotes, and those of a .tsv are not; set `quotes: true`, or `quotes: false` if "
    "the quotes belong to the values"
)
