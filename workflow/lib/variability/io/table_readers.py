"""Readers of tables in all formats: every value as the text that is in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import plural
from variability.errors import UserError
from variability.io import delimited, json_records, limits, table_files, workbooks
from variability.io.limits import Limits
from variability.io.parquet_files import INDEX, empty, parquet, wanted_columns

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a text file that are converted at a time.
_CHUNK = 50_000
#: Rows that a message lists.
_LISTED = 10


@dataclass(frozen=True)
class Table:
    """Columns of a file as text, null where it has no value.

    numbers: position of each row in the file: its line, the row of its sheet, or its record, as ``unit`` says.
    separator: of the values of a text file.
    """

    path: Path
    columns: pa.Table
    numbers: np.ndarray
    unit: str = "line"
    separator: str = ""

    @property
    def names(self) -> list[str]:
        return self.columns.column_names

    def at(self, rows: int | Sequence[int] | np.ndarray) -> str:
        """Return the position of rows in the file: "line 7", "lines 3, 5, 9"."""
        return positions(self.unit, self.numbers[np.atleast_1d(rows)])

    def text(self, name: str) -> list[str | None]:
        """Return a column as text; empty values are None."""
        return [value or None for value in self.columns[name].to_pylist()]


def positions(unit: str, values: Sequence[int] | np.ndarray) -> str:
    """Return positions in a file in words: "line 7", "lines 3, 5, 9", "lines 1, 2, ... (17 in all)"."""
    listed = ", ".join(str(value) for value in values[:_LISTED])
    more = f", ... ({len(values)} in all)" if len(values) > _LISTED else ""
    return f"{unit}{'s' * (len(values) > 1)} {listed}{more}"


def header(path: Path, options: Mapping[str, Any] | None = None) -> list[str]:
    """Return the names of the columns. Raises OSError or ValueError if this fails.

    Of text and parquet files only the beginning is read.
    """
    options, path = options or {}, Path(path)
    of_file = table_files.table_format(path)
    if of_file == table_files.TEXT:
        return next(delimited.rows(path, options))[1]
    if of_file == table_files.PARQUET:
        import pyarrow.parquet as pq

        return [name for name in pq.read_schema(path).names if not name.startswith(INDEX)]
    if of_file == table_files.JSON:
        return list(dict.fromkeys(name for record in json_records.read(path, options).records for name in record))
    return _sheet_names(path, options)[0]


def table(
    path: Path,
    options: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
    lists: Sequence[str] = (),
) -> Table:
    """Read a file as text.

    columns: to read, or None for all that have a name. lists: columns of a parquet file that hold lists of numbers,
    which become text as in JSON; other nested columns are left out. Values are unchanged: neither ``NA`` nor ``007``
    nor ``1.10`` is interpreted, and a value is null only where the file has none. Raises UserError if the file cannot
    be read, has no rows, or lacks a column or has it twice.
    """
    options, path = options or {}, Path(path)
    try:
        read = {
            table_files.TEXT: _of_text,
            table_files.JSON: _of_json,
            table_files.EXCEL: _of_excel,
            table_files.PARQUET: partial(_of_parquet, lists=lists),
        }[table_files.table_format(path)]
        result = read(path, options, columns)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not len(result.columns):
        raise empty(path)
    _require_short_values(result, Limits.of(options).cell)
    return result


def _require_short_values(read: Table, longest: int) -> None:
    """Raise UserError for a value with more characters than the limit."""
    import pyarrow.compute as pc

    for name in read.names:
        # Bytes are counted without reading the text, and are at least as many.
        if (pc.max(pc.binary_length(read.columns[name])).as_py() or 0) <= longest:
            continue
        lengths = pc.utf8_length(read.columns[name])
        if (largest := pc.max(lengths).as_py()) > longest:
            row = pc.index(lengths, largest).as_py()
            raise UserError(
                f"{read.path}, {read.at(row)}: the value of {name!r} has {plural(largest, 'character')}, and the limit "
                f"is {longest}; correct it, or {limits.raised('cell', largest)}"
            )


def _of_text(path: Path, options: Mapping[str, Any], columns: Sequence[str] | None) -> Table:
    import pyarrow as pa

    of_file = delimited.dialect(path, options)
    rows = delimited.rows(path, options)
    names = next(rows)[1]
    wanted = wanted_columns(path, names, columns)
    indices = [names.index(name) for name in wanted]
    chunks, lines = [pa.table([[]] * len(wanted), schema=_schema(wanted))], []
    while chunk := list(islice(rows, _CHUNK)):
        # In chunks, because the strings of millions of rows would not fit into memory as Python objects.
        arrays = [pa.array([row[index] for _, row in chunk], pa.large_string()) for index in indices]
        chunks.append(pa.table(arrays, names=wanted))
        lines.append(np.array([line for line, _ in chunk], np.int64))
    content = pa.concat_tables(chunks)
    if "quotes" not in options and not of_file.quoted and _seem_quoted(content):
        raise ValueError(delimited.UNCLEAR_QUOTES)
    return Table(path, content, np.concatenate(lines or [np.array([], np.int64)]), "line", of_file.separator)


def _of_json(path: Path, options: Mapping[str, Any], columns: Sequence[str] | None) -> Table:
    import pyarrow as pa

    records, positions, unit = json_records.read(path, options)
    wanted = wanted_columns(path, list(dict.fromkeys(name for record in records for name in record)), columns)
    arrays = [pa.array([record.get(name) for record in records], pa.large_string()) for name in wanted]
    return Table(path, pa.table(arrays, schema=_schema(wanted)), np.array(positions, np.int64), unit)


def _of_excel(path: Path, options: Mapping[str, Any], columns: Sequence[str] | None) -> Table:
    import pyarrow as pa

    names, rows = _sheet_names(path, options)
    wanted = wanted_columns(path, names, columns)
    indices = [names.index(name) for name in wanted]
    arrays = [
        pa.array([row[index] if index < len(row) else None for _, row in rows], pa.large_string()) for index in indices
    ]
    return Table(
        path, pa.table(arrays, schema=_schema(wanted)), np.array([number for number, _ in rows], np.int64), "row"
    )


def _sheet_names(path: Path, options: Mapping[str, Any]) -> tuple[list[str], list[workbooks.Row]]:
    """Return the names of the columns of a sheet, and its other rows."""
    rows = list(workbooks.rows(path, options))
    stated = options.get("header")
    if stated is None:
        number, names = rows[0]
        filled = [name for name in names if name]
        if len(filled) == 1 < max(sum(bool(cell) for cell in row) for _, row in rows):
            raise ValueError(
                f"row {number} has only {filled[0]!r}, like a title; remove what is above the columns' names"
            )
        return delimited.without_blanks([name or "" for name in names]), rows[1:]
    if isinstance(stated, str):
        return [str(number) for number in range(1, max(len(row) for _, row in rows) + 1)], rows
    if len(stated) != (width := max(len(row) for _, row in rows)):
        raise ValueError(
            f"it has {plural(width, 'column')}, and `header` has {plural(len(stated), 'name')}; give one for each"
        )
    return list(stated), rows


def _of_parquet(
    path: Path, options: Mapping[str, Any], names: Sequence[str] | None, lists: Sequence[str] = ()
) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    nested = [name for name in schema.names if _is_nested(schema.field(schema.names.index(name)).type)]
    simple = [name for name in schema.names if name not in nested or name in lists]
    stored = parquet(path, wanted_columns(path, schema.names if names else simple, names), Limits.of(options))
    texts = [_text(path, field, column, lists) for field, column in zip(stored.schema, stored.columns, strict=True)]
    content = pa.table(texts, schema=_schema(stored.column_names))
    return Table(path, content, np.arange(1, len(content) + 1), "row")


def _text(path: Path, field: pa.Field, column: pa.ChunkedArray, lists: Sequence[str]) -> pa.ChunkedArray:
    import pyarrow as pa

    is_list = pa.types.is_list(field.type) or pa.types.is_large_list(field.type)
    if (is_list or pa.types.is_fixed_size_list(field.type)) and field.name in lists:
        written = [None if value is None else json.dumps(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(written, pa.large_string())])
    if _is_nested(field.type):
        raise UserError(f"{path}: the column {field.name!r} holds lists or bytes, not single values; name another")
    return column.cast(pa.large_string())


def _is_nested(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_nested(dtype) or pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype)


def _schema(names: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.large_string()) for name in names])


def _seem_quoted(content: pa.Table) -> bool:
    """Return whether a program seems to have enclosed the values in quotes.

    Every value with a quote must be correctly enclosed, and at least one must contain a doubled quote, as programs
    write it. Quotes that belong to texts rarely are all like that.
    """
    import pyarrow.compute as pc

    doubled = False
    for column in content.itercolumns():
        quoted = column.filter(pc.match_substring(column, '"'))
        if not pc.all(pc.match_substring_regex(quoted, '(?s)^"([^"]|"")*"$'), min_count=0).as_py():
            return False
        doubled |= pc.any(pc.match_substring(pc.utf8_slice_codeunits(quoted, 1, -1), '""'), min_count=0).as_py()
    return doubled
