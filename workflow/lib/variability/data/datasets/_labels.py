"""Conversion of a column of labels to classes or numbers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from variability.advice import separable
from variability.data import class_names
from variability.data.datasets._rows import Mistakes, Rows
from variability.errors import UserError
from variability.io import numbers

if TYPE_CHECKING:
    import pyarrow as pa

MERGE, EXACT = "merge", "exact"
#: Option of data sets whose classes are words in a table.
SPELLING: dict[str, dict] = {
    "spelling": {
        "enum": [MERGE, EXACT],
        "description": "labels that differ only in case, blanks or decimals (neg, Neg): merge them, or use them "
        "exactly as written; by default they are refused",
    }
}
_NAN = {"NaN", "nan"}
_INTEGER = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"([+-]?(?:0|[1-9][0-9]*))(?:\.([0-9]+))?")


def targets(rows: Rows, column: str, values: pa.ChunkedArray, mark: str, remedy: str = "") -> np.ndarray:
    """Return the numbers of a column; raise UserError naming all rows without one. remedy: for missing values."""
    read, wrong = numbers.parse(values, mark)
    if (infinite := np.isinf(read)).any():
        wrong = wrong | infinite
    mistakes = Mistakes()
    if wrong.any():
        listed = ", ".join(repr(value) for value in sorted({str(values[row]) for row in np.flatnonzero(wrong)})[:5])
        with mistakes.collected():
            raise UserError(f"{rows.at(wrong)}: {column} is not a number, but {listed}; correct it, or remove the row")
    if (missing := np.isnan(read) & ~wrong).any():
        with mistakes.collected():
            raise UserError(f"{rows.at(missing)}: no value in {column!r}; fill it in, or remove the row{remedy}")
    mistakes.report()
    if len(read) and (read == read[0]).all():
        raise UserError(f"{rows.files[0].path}: all values of {column!r} are {read[0]:g}, so nothing can be predicted")
    return read


def classes(
    rows: Rows,
    column: str,
    labels: Sequence[str | None],
    spelling: str | None = None,
    shipped: list[str] | None = None,
    chosen: list[str] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Return the labels as numbers of classes, and the names of the classes.

    spelling: see SPELLING. shipped: class names that the data set ships; then the labels are their numbers. chosen:
    class names in the config. Without ``shipped``, the labels are among them; if a label is not, all labels are numbers
    of them. Raises UserError naming all rows with a label that is missing or unknown.
    """
    if missing := _missing(labels):
        mistakes, present = Mistakes(), np.setdiff1d(np.arange(len(labels)), missing)
        with mistakes.collected():
            raise UserError(f"{rows.at(missing)}: no value in {column!r}; fill it in, or remove the row")
        with mistakes.collected():
            _numbered(rows.take(present), column, [labels[row] for row in present], spelling, shipped, chosen)
        mistakes.report()
    numbered, names = _numbered(rows, column, labels, spelling, shipped, chosen)
    if len(names) < 2:
        only = f"all labels in {column!r} are {names[0]!r}; two or more classes are needed"
        raise UserError(f"{rows.files[0].path}: {only}")
    return numbered, names


def _numbered(
    rows: Rows,
    column: str,
    labels: Sequence[str | None],
    spelling: str | None,
    shipped: list[str] | None,
    chosen: list[str] | None,
) -> tuple[np.ndarray, list[str]]:
    """Return the numbers and names of classes, see ``classes``; no label is missing."""
    written = [str(label) for label in labels]
    source = rows.files[0].path
    if shipped and chosen:
        _require_same_classes(str(source), shipped, chosen)
    if not shipped:
        written = _spelled(rows, column, written, spelling, chosen or [])
    names = known = chosen or shipped or sorted(set(written), key=_order)
    if shipped or not set(written) <= set(names):
        numbered, numbers_of_names = [_number(name) for name in written], [str(number) for number in range(len(names))]
        if shipped or set(numbered) <= set(numbers_of_names):
            written, known = numbered, numbers_of_names
    if unknown := [row for row, name in enumerate(written) if name not in known]:
        raise UserError(
            f"{rows.at(unknown)}: the label {written[unknown[0]]!r} is not one of the {len(names)} class_names, nor "
            "the number of one (-1 stands for hidden labels); correct class_names, or use another partition"
        )
    classes_of = {name: number for number, name in enumerate(known)}
    return np.array([classes_of[name] for name in written], np.int64), list(names)


def _missing(labels: Sequence[str | None]) -> list[int]:
    """Return the rows without a label. Among numbers, NaN is how programs store that there is none."""
    absent = {"", *(_NAN if _are_whole({label for label in labels if label} - _NAN) else ())}
    return [row for row, label in enumerate(labels) if (label or "").strip() in absent]


def _are_whole(labels: set[str]) -> bool:
    return bool(labels) and all(_DECIMAL.fullmatch(label) for label in labels)


def _order(name: str) -> tuple[bool, int, str, str]:
    """Return a key that sorts whole numbers by their value, before other names."""
    # By the number of digits, because Python does not convert thousands of them.
    digits = name.lstrip("0") if _INTEGER.fullmatch(name) else None
    return digits is None, len(digits or ""), digits or "", name


def _spelled(rows: Rows, column: str, labels: list[str], spelling: str | None, chosen: Sequence[str]) -> list[str]:
    """Return the labels in one spelling each; raise UserError if that is not decided and there are several."""
    counts = Counter(labels)
    if spelling == EXACT or set(counts) <= set(chosen):
        return labels
    spellings = defaultdict(list)
    for label in sorted(counts, key=lambda label: (label not in chosen, -counts[label], label)):
        spellings[_folded(label)].append(label)
    if spelling == MERGE:
        of_chosen = {_folded(name): name for name in chosen}
        merged = {
            label: of_chosen.get(folded, " ".join(variants[0].split()))
            for folded, variants in spellings.items()
            for label in variants
        }
        return [merged[label] for label in labels]
    for variants in spellings.values():
        if len(variants) > 1:
            listed = " and ".join(_counted(rows, labels, label, counts[label]) for label in variants)
            raise UserError(
                f"{rows.files[0].path}: {column} has labels that differ only in case, blanks or decimals: {listed}; "
                "write them the same way, or set options.spelling: merge, or exact if they are different classes"
            )
    return labels


def _counted(rows: Rows, labels: Sequence[str], label: str, count: int) -> str:
    first = next(row for row, other in enumerate(labels) if other == label)
    more = f" and {count - 1} more" if count > 1 else ""
    return f"{label!r} ({rows.source(first)}{more})"


def _folded(name: str) -> str:
    """Return what spellings of one label have in common."""
    folded = class_names.folded(name)
    if not (number := _DECIMAL.fullmatch(folded)):
        return folded
    decimals = (number[2] or "").rstrip("0")
    return f"{number[1]}.{decimals}" if decimals else number[1]


def _number(name: str) -> str:
    """Remove the decimals of a class's number, as in 1.0, which programs write if a column has missing values."""
    whole, _, decimals = name.strip().partition(".")
    return whole if _INTEGER.fullmatch(whole) and decimals.strip("0") == "" else name


def _require_same_classes(source: str, shipped: list[str], chosen: list[str]) -> None:
    """Raise UserError unless the names in the config rename the classes of the data set in its order."""
    if len(chosen) != len(shipped) or (set(chosen) == set(shipped) and chosen != shipped):
        raise UserError(
            f"{source}: its classes are {', '.join(separable(shipped))}, in this order; class_names can only rename "
            f"each of them, but lists {', '.join(separable(chosen))}"
        )
