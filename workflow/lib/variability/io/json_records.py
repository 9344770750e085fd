"""Records in JSON and JSON Lines files, as rows of text."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from variability.advice import plural
from variability.io import table_files
from variability.io.files import shallow
from variability.io.limits import Limits

#: Half of a surrogate pair, which JSON can contain and UTF-8 cannot.
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class Number(str):
    """A number, or one of the words NaN and Infinity, as it is written in the file."""

    __slots__ = ()


class Records(NamedTuple):
    """Records of a file. numbers: of their lines, or of the records themselves, as ``unit`` says (line, record)."""

    records: list[dict[str, str | None]]
    numbers: list[int]
    unit: str


@shallow()
def read(path: Path, options: Mapping[str, Any]) -> Records:
    """Return the records of a file; nested mappings are flattened: ``config.seed``.

    A file holds a list of records, one record per line, one single record, or a mapping of columns. options: see
    ``tabular.OPTIONS``; ``records`` is the key of the list of records. Raises OSError or ValueError.
    """
    with table_files.open_text(path, options.get("encoding"), Limits.of(options)) as file:
        text = file.read()
    if not text.strip():
        raise ValueError("it is empty; fill it, or use another file")
    try:
        document = _parse(text)
    except ValueError as error:
        if (lines := list(_lines(text, error))) and "records" not in options:
            return Records([record for _, record in lines], [number for number, _ in lines], "line")
        raise ValueError(f"it is not valid JSON: {error}") from error
    # A single line can be a document, and a file of one line.
    records = _of_document(document, options.get("records"))
    return Records(records, list(range(1, len(records) + 1)), "record")


def list_keys(path: Path, options: Mapping[str, Any]) -> list[str]:
    """Return the keys of a JSON file that hold lists of records, for ``records``; none if it is something else."""
    try:
        with shallow(), table_files.open_text(path, options.get("encoding"), Limits.of(options)) as file:
            document = json.load(file)
    except ValueError:
        return []
    items = document.items() if isinstance(document, dict) else ()
    return [key for key, value in items if isinstance(value, list) and value and isinstance(value[0], dict)]


def _lines(text: str, error: ValueError) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the records of the lines. error: of the attempt to read the text as one document."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = _parse(line)
        except ValueError as of_line:
            if number == 1 or not isinstance(error, json.JSONDecodeError) or error.msg != "Extra data":
                return
            raise ValueError(f"line {number}: {of_line}; correct it") from of_line
        yield number, _record(record, f"line {number}")


def _of_document(document: Any, key: str | None) -> list[dict[str, str | None]]:
    for part in key.split(".") if key else ():
        if not isinstance(document, dict) or part not in document:
            keys = f"; it has {', '.join(document)}" if isinstance(document, dict) else ""
            raise ValueError(f"it has no key {key!r}, which `records` names{keys}")
        document = document[part]
    if isinstance(document, dict):
        columns = {name: column for name, values in document.items() if (column := _column(values))}
        if columns and columns.keys() == document.keys() and len(set(map(tuple, columns.values()))) == 1:
            rows = next(iter(columns.values()))
            document = [{name: values[row] for name, values in columns.items()} for row in rows]
        elif document and all(isinstance(value, list) for value in document.values()):
            of_records = [name for name, value in document.items() if value and isinstance(value[0], dict)]
            key = of_records[0] if len(of_records) == 1 else "the key of the one with the records"
            if {"columns", "data"} <= document.keys():
                raise ValueError(
                    "it is a table in the orientation `split` of pandas; save it with the orientation `records`"
                )
            raise ValueError(
                f"it holds {plural(len(document), 'list')} ({', '.join(document)}); set `records` to {key}"
            )
        else:
            document = [document]
    if not isinstance(document, list):
        raise ValueError("it is not a list; put [ and ] around its records")
    if not document:
        raise ValueError("it is empty; fill it, or use another file")
    return [_record(record, f"record {number}") for number, record in enumerate(document, 1)]


def _column(values: Any) -> dict[Any, Any] | None:
    """Return the values of a column by row, if this is one: a list of simple values, or {row: value}."""
    if isinstance(values, list):
        values = dict(enumerate(values))
    elif not isinstance(values, dict) or not all(key.isdecimal() for key in values):
        return None
    return None if any(isinstance(value, dict | list) for value in values.values()) else values


def _record(value: Any, label: str) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise ValueError(f"{label} is {str(value)[:80]}, which has no column names; correct it")
    record: dict[str, str | None] = {}
    for name, cell in _flat(value, ""):
        if name in record:
            raise ValueError(f"{label} has two keys {name!r}; rename one")
        if cell and _HALF_CHARACTER.search(cell):
            raise ValueError(f"{name} of {label} is {cell[:80]!r}, which has half a character; correct it")
        record[name] = cell
    return record


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str | None]]:
    for key, cell in value.items():
        if isinstance(cell, dict) and cell:
            yield from _flat(cell, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(cell)


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell) if isinstance(cell, str) else _written(cell)


def _written(cell: Any) -> str:
    """Write a value as JSON, with its numbers as they are in the file."""
    if isinstance(cell, list):
        return f"[{', '.join(map(_written, cell))}]"
    if isinstance(cell, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_written(value)}' for key, value in cell.items())}}}"
    return str(cell) if isinstance(cell, Number) else json.dumps(cell, ensure_ascii=False)


def _parse(text: str) -> Any:
    return json.loads(
        text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_without_repeated_keys
    )


def _without_repeated_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for key, value in pairs:
        if key in record:
            raise ValueError(f"the key {key!r} occurs twice in one record; rename one")
        record[key] = value
    return record
