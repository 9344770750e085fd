"""Conversion of columns of tables to texts and labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from variability.advice import suggest
from variability.data.datasets import Examples
from variability.errors import Problem, UserError
from variability.io import table_files, tabular

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
#: Options for the roles of columns and the type of labels.
OPTIONS: dict[str, dict] = {
    "text": {"type": "string", "description": "column of the text; default: text"},
    "text_pair": {"type": "string", "description": "column of a second text, if examples are pairs"},
    "label": {"type": "string", "description": "column of the label; default: label"},
    "target": {"enum": ["class", "number"], "description": "type of the labels; default: class"},
    "class_names": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "uniqueItems": True,
        "description": "names in the order of the labels' numbers; default: the sorted labels",
    },
}


def kinds(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of task that the labels can serve."""
    return ("regression",) if options.get("target") == "number" else ("classification",)


def check(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield problems with options that would have no effect."""
    if "class_names" in options and options.get("target") == "number":
        yield Problem("class_names", "numbers have no classes; remove it, or target: number")


def read(path: Path, options: Mapping[str, Any]) -> dict[str, list]:
    """Read the columns of a file, by its suffix. options: see ``tabular.OPTIONS``. Raises UserError if this fails."""
    try:
        if path.suffix == ".parquet":
            return tabular.parquet(path).to_pydict()
        if path.suffix in (".json", ".jsonl"):
            return _columns(_records(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    # As text, because the reader cannot know whether NA is a label, or 007 a number.
    return tabular.table(path, options).columns.to_pydict()


def _records(path: Path) -> list[dict[str, Any]]:
    """Read JSON records; raise OSError or ValueError with the position of anything else."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise table_files.not_encoded(path) from error
    if path.suffix == ".jsonl":
        records = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                records += [json.loads(line)] if line.strip() else []
            except ValueError as error:
                raise ValueError(f"line {number}: {error}; correct it") from error
    else:
        records = json.loads(text)
    if not isinstance(records, list):
        raise ValueError("it is not a list; put [ and ] around its records")
    if not records:
        raise ValueError("it is empty; fill it, or use another file")
    if wrong := [row for row, record in enumerate(records) if not isinstance(record, dict)]:
        raise ValueError(f"row {wrong[0]} is {str(records[wrong[0]])[:80]}, which has no column names; correct it")
    return records


def _columns(records: list[dict[str, Any]]) -> dict[str, list]:
    """Convert records to columns; values that a record lacks are None."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def examples(
    parts: Sequence[tuple[Path, str, dict[str, list]]], options: Mapping[str, Any], names: list[str] | None = None
) -> Examples:
    """Convert the columns of files to examples.

    parts: file, partition and columns of each file. names: names of the classes if the data set ships them; then its
    labels are their numbers. Raises UserError for columns or values that do not fit.
    """
    wanted = {key: options.get(key, key) for key in ("text", "label")}
    if "text_pair" in options:
        wanted["text_pair"] = options["text_pair"]
    columns: dict[str, list] = {key: [] for key in wanted}
    for path, _, table in parts:
        for key, name in wanted.items():
            if name not in table:
                raise UserError(f"{path} has no column {name!r} for {key}; {suggest(name, list(table))}")
            if key != "label" and (wrong := [row for row, text in enumerate(table[name]) if not isinstance(text, str)]):
                raise UserError(f"{path}: {name} of row {wrong[0]} is {table[name][wrong[0]]!r}, which is not a text")
            columns[key] += table[name]
    partition = np.concatenate([[part] * len(table[wanted["label"]]) for _, part, table in parts])
    source = " and ".join(dict.fromkeys(str(path) for path, _, _ in parts))
    sources = [f"{path.name}:{row + 2}" for path, _, table in parts for row in range(len(table[wanted["label"]]))]
    texts = columns["text"]
    if "text_pair" in columns:
        texts = list(zip(texts, columns["text_pair"], strict=True))
    if options.get("target") == "number":
        return Examples(
            _numbers(source, columns["label"]), [], partition, texts.__getitem__, source=sources.__getitem__
        )
    labels, names = _classes(source, columns["label"], names, options.get("class_names"))
    return Examples(labels, names, partition, texts.__getitem__, source=sources.__getitem__)


def _numbers(source: str, labels: list) -> np.ndarray:
    numbers = np.empty(len(labels))
    for row, label in enumerate(labels):
        try:
            numbers[row] = float(label)
        except (TypeError, ValueError):
            numbers[row] = np.nan
        if not np.isfinite(numbers[row]):
            raise UserError(
                f"{source}: the label of row {row} is {label!r}, which is not a number; correct it, or target"
            )
    return numbers


def _classes(
    source: str, labels: list, shipped: list[str] | None = None, chosen: list[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return the labels as numbers of classes, and the names of the classes.

    shipped: class names that the data set ships; then the labels are their numbers. chosen: class names in the config.
    Without ``shipped``, the labels are among them; if a label is not, all labels are numbers of them.
    """
    if missing := [row for row, label in enumerate(labels) if label in (None, "") or _is_nan(label)]:
        raise UserError(f"{source}: the label of row {missing[0]} is missing")
    written = [_written(label) for label in labels]
    present = sorted(set(written), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    if broken := [name for name in present if not _is_text(name)]:
        row = written.index(broken[0])
        raise UserError(f"{source}: the label of row {row} is {broken[0]!r}, which has half a character; correct it")
    if shipped and chosen:
        _require_same_classes(source, shipped, chosen)
    names = chosen or shipped or present
    if shipped or not set(present) <= set(names):
        written = [_number(name) for name in written]
        present, known = sorted(set(written)), [str(number) for number in range(len(names))]
    else:
        _refuse_equal_numbers(source, present)
        known = names
    if unknown := [name for name in present if name not in known]:
        raise UserError(
            f"{source}: the label {unknown[0]!r} is not one of the {len(known)} class_names, nor the number of one (-1 "
            "stands for hidden labels); correct class_names, or use another partition"
        )
    numbers = {name: number for number, name in enumerate(known)}
    return np.array([numbers[name] for name in written], np.int64), list(names)


def _is_text(name: str) -> bool:
    """Return whether a name has no half of a surrogate pair, which JSON can contain."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_nan(label: Any) -> bool:
    return isinstance(label, float) and math.isnan(label)


def _written(label: Any) -> str:
    """Write a label as a name; whole numbers are written as 1, also if they were stored as 1.0."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _number(name: str) -> str:
    """Remove the decimals of a class's number, as in 1.0, which programs write if a column has missing values."""
    whole, _, decimals = name.partition(".")
    return whole if whole.isdecimal() and decimals.strip("0") == "" else name


def _refuse_equal_numbers(source: str, names: list[str]) -> None:
    """Raise UserError if two labels are the same number."""
    present = set(names)
    for name in names:
        if (whole := _number(name)) != name and whole in present:
            raise UserError(f"{source}: the labels {whole!r} and {name!r} are one number; write both the same way")


def _require_same_classes(source: str, shipped: list[str], chosen: list[str]) -> None:
    """Raise UserError unless the names in the config rename the classes of the data set in its order."""
    if len(chosen) != len(shipped) or (set(chosen) == set(shipped) and chosen != shipped):
        raise UserError(
            f"{source}: its classes are {', '.join(shipped)}, in this order; class_names can only rename each of them, "
            f"but lists {', '.join(chosen)}"
        )
