"""True and predicted values of imported examples: classes as indices, probabilities as lists, and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import separable
from variability.errors import UserError
from variability.results import imported_values
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd

#: Difference from 1 that the sum of an example's probabilities may have.
_TOLERANCE = 1e-2
_INDEX = r"\s*[0-9]+(\.0*)?\s*"


def predicted(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], kind: str, source: Source
) -> dict[str, Any]:
    """Return the columns y_true, y_pred, probabilities, classes, label and answer of examples of a kind of tasks.

    table: columns by role, as text, with those of RUN. frame: columns of the files. Classes are indices: of
    ``classes``, of the columns of probabilities, or of the classes that the true values of a task have, and behind them
    those that are only predicted. Raises UserError for values that are not of this kind.
    """
    if kind != "classification":
        decimal = imported_values.decimal_mark(source, [], spec)
        values = {
            role: _numbers(table[role], role, source, decimal) if role in table else np.ones(len(table))
            for role in ("y_true", "y_pred")
        }
        if kind == "ranking" and (wrong := (values["y_pred"] < 1)).any():
            raise UserError(f"{source.at(table.index[wrong])}: y_pred is not a rank from 1; correct it")
        return values | dict.fromkeys(("probabilities", "classes", "label", "answer"))
    matrix = _probabilities(table, frame, spec, source)
    names = spec.get("classes") or list(dict.fromkeys(spec.get("probabilities", {}).values()))
    if matrix is not None and not names:
        _refuse_no_index(table, matrix.shape[1], source)
        names = [str(index) for index in range(matrix.shape[1])]
    if matrix is not None and len(names) != matrix.shape[1]:
        raise UserError(f"the examples have probabilities of {matrix.shape[1]} classes, and {len(names)} are named")
    of_table = _indices(table, names, source)
    if "y_pred" not in table and matrix is not None:
        of_table["y_pred"] = matrix.argmax(axis=1)
        of_table["answer"] = [names[index] for index in of_table["y_pred"]]
    of_table["probabilities"] = None if matrix is None else list(matrix.astype(np.float32))
    return of_table


def _numbers(texts: pd.Series, role: str, source: Source, decimal: str) -> pd.Series:
    values = imported_values.parse(texts, role, source, decimal)
    if (wrong := ~np.isfinite(values)).any():
        raise UserError(f"{source.at(texts.index[wrong])}: no {role}, or an infinite one; correct it")
    return values


def _indices(table: pd.DataFrame, names: Sequence[str], source: Source) -> dict[str, Any]:
    """Return y_true, y_pred if there is such a column, their labels, and classes, their number.

    names: of all classes, or none.
    """
    import pandas as pd

    roles = [role for role in ("y_true", "y_pred") if role in table]
    labels = {role: table[role].map(_label) for role in roles}
    for role, column in labels.items():
        if (missing := column.isna()).any():
            raise UserError(
                f"{source.at(table.index[missing])}: no {role}; write a word for a prediction that is missing, which "
                "counts as wrong"
            )
        if names and (unknown := ~column.isin(list(names))).any():
            raise UserError(
                f"{source.at(table.index[unknown])}: {role} {column[unknown].iloc[0]!r} is not one of the classes "
                f"{', '.join(separable(names))}; correct it, or the names of the classes"
            )
    columns = {role: pd.Series(0, table.index, dtype="int64") for role in roles}
    number = pd.Series(len(names), table.index)
    for _, rows in table.groupby("task", sort=False):
        of_task = {role: labels[role][rows.index] for role in roles}
        known = list(names) or _classes(of_task)
        index = {label: position for position, label in enumerate(known)}
        for role in roles:
            columns[role][rows.index] = of_task[role].map(index).to_numpy()
        number[rows.index] = len(known)
    words = {"y_true": "label", "y_pred": "answer"}
    return columns | {words[role]: column for role, column in labels.items()} | {"classes": number}


def _classes(labels: Mapping[str, pd.Series]) -> list[str]:
    """Return the classes of a task in their natural order, those that are only predicted last."""
    true = sorted(labels["y_true"].unique(), key=_natural_order)
    others = set(labels["y_pred"].unique()) - set(true) if "y_pred" in labels else set()
    return [*true, *sorted(others, key=_natural_order)]


def _label(text: object) -> str | None:
    """Return a label without a fraction of zeros: programs write class 2 as 2 or 2.0."""
    if text is None:
        return None
    stripped = str(text).strip()
    return re.sub(r"\.0*$", "", stripped) if re.fullmatch(_INDEX, stripped) else stripped or None


def _natural_order(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _probabilities(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], source: Source
) -> np.ndarray | None:
    """Return the probabilities (rows, classes) of all classes; None if there are none."""
    if of_columns := spec.get("probabilities"):
        decimal = imported_values.decimal_mark(source, list(of_columns), spec)
        columns = [_numbers(frame[name], "probability", source, decimal).to_numpy() for name in of_columns]
        return _checked(np.column_stack(columns), table, source)
    role = next((role for role in ("probabilities", "logits") if role in table), None)
    if role is None:
        return None
    lists = [_list(text) for text in table[role]]
    wrong = [row for row, values in enumerate(lists) if values is None]
    if wrong:
        message = f"the {role} {table[role].iloc[wrong[0]]!r} are not a list of numbers, such as [0.2, 0.8]"
        raise UserError(f"{source.at(table.index[wrong])}: {message}; correct them")
    lengths = np.array([len(values or ()) for values in lists])
    if (other := lengths != np.bincount(lengths).argmax()).any() and role != "logits":
        raise UserError(
            f"{source.at(table.index[other])}: the lists of {role} have other lengths than most; correct them"
        )
    # Questions with fewer choices than others: the missing ones have no probability.
    matrix = np.full((len(lists), lengths.max()), -np.inf if role == "logits" else 0.0)
    for row, values in enumerate(lists):
        matrix[row, : lengths[row]] = values
    if role == "logits":
        shifted = np.exp(matrix - matrix.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
    return _checked(matrix, table, source)


def _list(text: object) -> list[float] | None:
    """Return the numbers of a list as JSON, Python or NumPy write it."""
    parts = str(text).strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return None
    return values if values and all(map(np.isfinite, values)) else None


def _checked(matrix: np.ndarray, table: pd.DataFrame, source: Source) -> np.ndarray:
    sums = matrix.sum(axis=1)
    if (wrong := (np.abs(sums - 1) > _TOLERANCE) | (matrix < 0).any(axis=1)).any():
        raise UserError(
            f"{source.at(table.index[wrong])}: the probabilities {np.round(matrix[wrong][0], 4).tolist()} are negative "
            "or do not sum to 1; if they are outputs before the softmax, call the column `logits`"
        )
    return matrix / sums[:, None]


def _refuse_no_index(table: pd.DataFrame, count: int, source: Source) -> None:
    for role in ("y_true", "y_pred"):
        labels = table[role].map(_label) if role in table else []
        wrong = [label is None or not (label.isdigit() and int(label) < count) for label in labels]
        if any(wrong):
            raise UserError(
                f"{source.at(table.index[wrong])}: {role} {table[role][wrong].iloc[0]!r} is not the index of one of "
                f"the {count} classes, from 0; name them in the order of the probabilities, as in `classes: [no, yes]`"
            )
