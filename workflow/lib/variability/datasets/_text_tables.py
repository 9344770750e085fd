"""Texts and labels from the columns of tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from variability.datasets import Examples
from variability.errors import UserError
from variability.registry import suggest

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
        "description": "in the order of the labels' numbers; the labels, sorted, if left out",
    },
}


def kinds(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Kinds of task that the labels serve."""
    return ("regression",) if options.get("target") == "number" else ("classification",)


def read(path: Path) -> dict[str, list]:
    """Columns of a file, by its suffix. Raises UserError if it cannot be read."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_table(path).to_pydict()
        if path.suffix in (".csv", ".tsv"):
            import pandas as pd

            # As text: whether NA is a label, or 007 a number, is not for the reader to decide.
            separator = "," if path.suffix == ".csv" else "\t"
            table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8")
            return {name: table[name].tolist() for name in table.columns}
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            records = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            records = json.loads(text)
        return {name: [record[name] for record in records] for name in records[0]}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        what = "a list of records" if path.suffix in (".json", ".jsonl") else "a table"
        raise UserError(f"{path} cannot be read as {what} ({type(error).__name__}: {error})") from error


def examples(parts: Sequence[tuple[Path, str, dict[str, list]]], options: Mapping[str, Any]) -> Examples:
    """Examples from the columns of files. parts: file, partition, columns. Raises UserError for what does not fit."""
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
    labels, names = _classes(where, columns["label"], options.get("class_names"))
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


def _classes(where: str, labels: list, names: list[str] | None) -> tuple[np.ndarray, list[str]]:
    said = [str(label) for label in labels]
    if missing := [at for at, label in enumerate(labels) if label is None or label == ""]:
        raise UserError(f"{where}: the label of row {missing[0]} is missing")
    there = sorted(set(said), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    numbered = names is not None and not set(there) <= set(names)
    known = [str(number) for number in range(len(names))] if numbered else names or there
    if unknown := [name for name in there if name not in known]:
        raise UserError(
            f"{where}: the label {unknown[0]!r} is none of the {len(known)} class_names, nor the number of one (-1 "
            "stands for hidden labels); correct class_names, or take another partition"
        )
    places = {name: at for at, name in enumerate(known)}
    return np.array([places[name] for name in said], np.int64), list(names or there)
