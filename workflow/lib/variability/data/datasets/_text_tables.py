"""Texts and labels from the columns of tables."""

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
from variability.io import tabular

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
#: Which columns mean what, and what the labels are.
OPTIONS: dict[str, dict] = {
    "text": {"type": "string", "description": "column of the text; text if left out"},
    "text_pair": {"type": "string", "description": "column of a second text, where examples are pairs"},
    "label": {"type": "string", "description": "column of the label; label if left out"},
    "target": {"enum": ["class", "number"], "description": "what a label is; class if left out"},
    "class_names": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "uniqueItems": True,
        "description": "in the order of the labels' numbers; the labels, sorted, if left out",
    },
}


def kinds(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Kinds of task that the labels serve."""
    return ("regression",) if options.get("target") == "number" else ("classification",)


def check(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Options that would have no effect."""
    if "class_names" in options and options.get("target") == "number":
        yield Problem("class_names", "numbers have no classes; take it out, or target: number")


def read(path: Path, quotes: bool | None = None) -> dict[str, list]:
    """Columns of a file, by its suffix. quotes: see ``tables.QUOTES``. Raises UserError if it cannot be read."""
    try:
        if path.suffix == ".parquet":
            return tabular.parquet(path).to_pydict()
        if path.suffix in tabular.SUFFIXES:
            # As text: whether NA is a label, or 007 a number, is not for the reader to decide.
            return tabular.texts(path, quotes=quotes).to_pydict()
        return _columns(_records(path))
    except (OSError, ValueError) as error:
        what = "a table" if path.suffix in tabular.SUFFIXES else "a list of records"
        raise UserError(f"{path} cannot be read as {what}: {error}") from error


def _records(path: Path) -> list[dict[str, Any]]:
    """Raises OSError or ValueError saying where something is no record."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise tabular.not_utf8(path) from error
    if path.suffix == ".jsonl":
        found = []
        for at, line in enumerate(text.split("\n")):
            try:
                found += [json.loads(line)] if line.strip() else []
            except ValueError as error:
                raise ValueError(f"line {at + 1}: {error}; correct it") from error
    else:
        found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("it is no list; put [ and ] around its records")
    if not found:
        raise ValueError("it holds none; fill it, or take another file")
    if wrong := [at for at, record in enumerate(found) if not isinstance(record, dict)]:
        raise ValueError(f"row {wrong[0]} is {str(found[wrong[0]])[:80]}, which has no names of columns; correct it")
    return found


def _columns(records: list[dict[str, Any]]) -> dict[str, list]:
    """What a record lacks is None."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def examples(
    parts: Sequence[tuple[Path, str, dict[str, list]]], options: Mapping[str, Any], names: list[str] | None = None
) -> Examples:
    """Examples from the columns of files.

    parts: file, partition, columns. names: of the classes, where the data set says them; its labels are then their
    numbers. Raises UserError for what does not fit.
    """
    wanted = {key: options.get(key, key) for key in ("text", "label")}
    if "text_pair" in options:
        wanted["text_pair"] = options["text_pair"]
    columns: dict[str, list] = {key: [] for key in wanted}
    for path, _, table in parts:
        for key, name in wanted.items():
            if name not in table:
                raise UserError(f"{path} has no column {name!r} for {key}; {suggest(name, list(table))}")
            if key != "label" and (bad := [at for at, each in enumerate(table[name]) if not isinstance(each, str)]):
                raise UserError(f"{path}: {name} of row {bad[0]} is {table[name][bad[0]]!r}, which is no text")
            columns[key] += table[name]
    partition = np.concatenate([[part] * len(table[wanted["label"]]) for _, part, table in parts])
    where = " and ".join(dict.fromkeys(str(path) for path, _, _ in parts))
    texts = columns["text"]
    if "text_pair" in columns:
        texts = list(zip(texts, columns["text_pair"], strict=True))
    if options.get("target") == "number":
        return Examples(_numbers(where, columns["label"]), [], partition, texts.__getitem__)
    labels, names = _classes(where, columns["label"], names, options.get("class_names"))
    return Examples(labels, names, partition, texts.__getitem__)


def _numbers(where: str, labels: list) -> np.ndarray:
    found = np.empty(len(labels))
    for at, label in enumerate(labels):
        try:
            found[at] = float(label)
        except (TypeError, ValueError):
            found[at] = np.nan
        if not np.isfinite(found[at]):
            raise UserError(f"{where}: the label of row {at} is {label!r}, which is no number; correct it, or target")
    return found


def _classes(
    where: str, labels: list, shipped: list[str] | None = None, chosen: list[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Labels as numbers of classes, and these classes' names.

    shipped: names that the data set itself has, whose numbers the labels are. chosen: names in the config; of a data
    set without ``shipped`` a label is one of them or, where some label is not, each is the number of one.
    """
    if missing := [at for at, label in enumerate(labels) if label in (None, "") or _is_nan(label)]:
        raise UserError(f"{where}: the label of row {missing[0]} is missing")
    said = [_written(label) for label in labels]
    there = sorted(set(said), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    if broken := [name for name in there if not _is_text(name)]:
        at = said.index(broken[0])
        raise UserError(f"{where}: the label of row {at} is {broken[0]!r}, which holds half a character; correct it")
    if shipped and chosen:
        _refuse_other_names(where, shipped, chosen)
    names = chosen or shipped or there
    if shipped or not set(there) <= set(names):
        said = [_number(name) for name in said]
        there, known = sorted(set(said)), [str(number) for number in range(len(names))]
    else:
        _refuse_alike(where, there)
        known = names
    if unknown := [name for name in there if name not in known]:
        raise UserError(
            f"{where}: the label {unknown[0]!r} is none of the {len(known)} class_names, nor the number of one (-1 "
            "stands for hidden labels); correct class_names, or take another partition"
        )
    places = {name: at for at, name in enumerate(known)}
    return np.array([places[name] for name in said], np.int64), list(names)


def _is_text(name: str) -> bool:
    """Whether it holds whole characters; JSON can say half of one that UTF-16 writes as a pair."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_nan(label: Any) -> bool:
    return isinstance(label, float) and math.isnan(label)


def _written(label: Any) -> str:
    """A label as a name; whole numbers are written alike whether they were stored as 1 or as 1.0."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _number(name: str) -> str:
    """The number of a class without the decimals that programs write where a column has gaps: 1.0."""
    whole, _, decimals = name.partition(".")
    return whole if whole.isdecimal() and decimals.strip("0") == "" else name


def _refuse_alike(where: str, names: list[str]) -> None:
    there = set(names)
    for name in names:
        if (whole := _number(name)) != name and whole in there:
            raise UserError(f"{where}: the labels {whole!r} and {name!r} are one number; write them alike")


def _refuse_other_names(where: str, shipped: list[str], chosen: list[str]) -> None:
    """Names in the config rename the classes of a data set, in its order."""
    if len(chosen) != len(shipped) or (set(chosen) == set(shipped) and chosen != shipped):
        raise UserError(
            f"{where}: its classes are {', '.join(shipped)}, in this order; class_names can only give each another "
            f"name, and says {', '.join(chosen)}"
        )
