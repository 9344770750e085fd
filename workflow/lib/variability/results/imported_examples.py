"""Rows of imported files that are examples: predictions of runs that were made elsewhere, or scores of predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import plural
from variability.errors import UserError
from variability.results import (
    imported_labels,
    imported_layout,
    imported_names,
    imported_predictions,
    imported_problems,
    imported_values,
)
from variability.results.columns import CELL, RUN
from variability.results.imported_files import Source
from variability.results.predictions import SCORES

if TYPE_CHECKING:
    import pandas as pd

#: Columns that identify an example of a run.
KEYS = [*RUN, "phase", "split"]
_TRUTHS = {"true": "1", "false": "0"}
#: Examples that a message names.
_LISTED = 5


def rows(source: Source, spec: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]], name: str) -> pd.DataFrame:
    """Return one row per run, phase, split and example, and, of scores, metric: ``imported_predictions.COLUMNS``.

    spec: an entry of ``imports``; facts: of its metrics; name: of the import, for messages. The index is the row of the
    source. Raises UserError for rows that are not examples, that are listed twice or lack a value, and for runs of a
    cell that have different examples.
    """
    kind = imported_layout.examples(spec)
    frame = imported_layout.chosen(source, spec, name)
    roles = imported_layout.role_columns(spec, list(frame.columns))
    table = _scored(frame, spec, roles, source) if kind == SCORES else _by_role(frame, spec, roles)
    table = _with_keys(table, spec, roles, source, name)
    if kind == SCORES:
        imported_problems.refuse_unknown_metrics(table, facts, source)
        table = table.assign(
            y_true=0.0, y_pred=table["value"], probabilities=None, classes=None, label=None, answer=None
        )
        table["higher_is_better"] = table["metric"].map({key: fact["higher_is_better"] for key, fact in facts.items()})
    else:
        predicted = imported_labels.predicted(table, frame, spec, str(kind), source)
        table = table.assign(metric=None, higher_is_better=None, **predicted)
    table = table.assign(kind=kind, source=table["example_id"].str.strip())
    _refuse_repeated(table, frame, source)
    _refuse_contradictions(table, source)
    _refuse_incomplete(table, name)
    table["example_id"] = _numbers(table["source"])
    table["group"] = _numbers(table["group"]) if "group" in table else None
    return table[[*imported_predictions.COLUMNS]]


def _by_role(frame: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str]) -> pd.DataFrame:
    return imported_layout.with_factors(imported_layout.by_role(frame, spec, roles), frame, spec)


def _scored(frame: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str], source: Source) -> pd.DataFrame:
    """Return one row per score, with its metric; a score is a column of its own, or k of n attempts."""
    decimal = imported_values.decimal_mark(source, [], spec)
    if {"correct", "attempts"} <= roles.keys():
        table = _by_role(frame, spec, {role: roles[role] for role in roles if role != "score"})
        entries = table["metric"]
        correct, attempts = (_parsed(table[role], role, source, decimal) for role in ("correct", "attempts"))
        if (wrong := (correct < 0) | (attempts < 1) | (correct > attempts)).any():
            message = "`correct` must be between 0 and `attempts`, which must be at least 1; correct them"
            raise UserError(f"{source.at(table.index[wrong])}: {message}")
        return table.assign(value=correct / attempts).assign(metric=_renamed(entries, spec))
    of_values = {"value" if role == "score" else role: column for role, column in roles.items()}
    table = imported_layout.values(frame, spec, of_values)
    decimal = imported_values.decimal_mark(source, list(table["column"].unique()), spec)
    scales = {entry: (facts or {}).get("scale", 1) for entry, facts in (spec.get("metrics") or {}).items()}
    # A metric of another task has no score in this row.
    present = table["value"].notna() | ~table["entry"].isin(_partial(table))
    table = table[present]
    values = _parsed(table["value"], "score", source, decimal) * table["entry"].map(lambda key: scales.get(key, 1))
    return table.assign(value=values, metric=_renamed(table["entry"], spec))


def _partial(table: pd.DataFrame) -> set[str]:
    """Return the metrics that have no score on some tasks, and on others only scores."""
    missing = table["value"].isna().groupby([table["entry"], table["task"]]).mean()
    by_entry = missing.groupby("entry").agg(["min", "max"])
    whole = missing.isin([0.0, 1.0]).groupby("entry").all()
    return set(by_entry.index[(by_entry["min"] == 0) & (by_entry["max"] == 1) & whole])


def _renamed(entries: pd.Series, spec: Mapping[str, Any]) -> pd.Series:
    names = {entry: (facts or {}).get("metric", entry) for entry, facts in (spec.get("metrics") or {}).items()}
    return entries.map(lambda entry: names.get(entry, entry))


def _parsed(texts: pd.Series, role: str, source: Source, decimal: str) -> pd.Series:
    """Return numbers; raises UserError for missing ones, and for what is not a number."""
    lowered = texts.map(lambda text: _TRUTHS.get(str(text).strip().lower(), text))
    values = imported_values.parse(lowered, role, source, decimal)
    if (missing := values.isna()).any():
        raise UserError(
            f"{source.at(texts.index[missing])}: no {role}; write that of an example without an answer, often 0, or "
            "leave these rows out by `where_not`"
        )
    if (infinite := np.isinf(values)).any():
        raise UserError(f"{source.at(texts.index[infinite])}: the {role} is infinite; correct it")
    return values


def _with_keys(
    table: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str], source: Source, name: str
) -> pd.DataFrame:
    """Return the table with the checked columns that say which run and which example a row is about."""
    imported_problems.refuse_statistics(table, roles, source)
    for key in (*KEYS, "example_id", *(role for role in ("metric", "group") if role in table)):
        imported_problems.refuse_missing(table, key, roles, source)
    imported_problems.refuse_words_among_numbers(table, source)
    table = imported_names.unified(table, spec, source)
    for key, words in imported_layout.SYNONYMS.items():
        table[key] = imported_problems.standard_words(table, key, words, source)
    table["seed"] = imported_values.seeds(table["seed"], name)
    return table


def _refuse_repeated(table: pd.DataFrame, frame: pd.DataFrame, source: Source) -> None:
    keys = [*KEYS, "metric", "source"]
    repeated = table[table.duplicated(keys, keep=False)]
    if repeated.empty:
        return
    first = repeated.iloc[0]
    same = repeated.index[(repeated[keys].astype(str) == first[keys].astype(str)).all(axis=1)].unique()
    differing = [str(column) for column in frame if len(set(frame.loc[same, column].astype(str))) > 1]
    run = ", ".join(f"{key} {first[key]}" for key in RUN)
    repeated_examples = plural(repeated["source"].nunique(), "example is", "examples are")
    raise UserError(
        f"{source.at(same)}: {repeated_examples} listed more than once, for example "
        f"{first['source']!r} of {run}; these rows differ in {', '.join(differing) or 'nothing'}. Assign the column "
        "that distinguishes them to seed, task, method or split, or choose rows by `where`"
    )


def _refuse_contradictions(table: pd.DataFrame, source: Source) -> None:
    """Raise UserError if an example has two true values, or is in two groups."""
    columns = {"y_true": "true value"} | ({"group": "group"} if "group" in table else {})
    for column, label in columns.items():
        distinct = table.drop_duplicates(["task", "split", "source", column])
        double = distinct[distinct.duplicated(["task", "split", "source"], keep=False)]
        if len(double):
            first = double.iloc[0]
            keys = ["task", "split", "source"]
            rows = double.index[(double[keys] == first[keys]).all(axis=1)]
            raise UserError(
                f"{source.at(rows)}: example {first['source']!r} of task {first['task']} has another {label} in "
                f"these rows; an `example_id` must stand for the same example in all runs"
            )


def _refuse_incomplete(table: pd.DataFrame, name: str) -> None:
    """Raise UserError if runs of a cell have different examples: seeds and examples would not be crossed."""
    of_cell = [*CELL, "phase", "split", "metric"]
    by_cell = table.groupby(of_cell, sort=False, dropna=False)["source"]
    expected = by_cell.transform("nunique")
    counts = table.groupby([*KEYS, "metric"], sort=False, dropna=False)["source"].transform("size")
    if (counts == expected).all():
        return
    first = table[counts < expected].iloc[0]
    cell = table[(table[CELL] == first[CELL]).all(axis=1) & (table["split"] == first["split"])]
    present = set(cell.loc[cell["seed"] == first["seed"], "source"])
    missing = [each for each in dict.fromkeys(cell["source"]) if each not in present]
    listed = ", ".join(map(repr, missing[:_LISTED])) + (", ..." if len(missing) > _LISTED else "")
    run = ", ".join(f"{key} {first[key]}" for key in RUN)
    raise UserError(
        f"{name}: all runs of a model, task and method must have the same examples, and {run} lacks {len(missing)} "
        f"of {cell['source'].nunique()} ({listed}); add them, with the score of a missing answer, or leave them out of "
        "all runs by `where_not`"
    )


def _numbers(texts: pd.Series) -> pd.Series:
    """Return whole numbers for names: themselves if all are such numbers, otherwise 63 bits of their SHA-256.

    So they are the same in all files, and those of runs that this study trains.
    """
    names = texts.astype(str).str.strip()
    if names.str.fullmatch(r"[0-9]{1,15}").all():
        return names.astype("int64")
    of_name = {each: int.from_bytes(hashlib.sha256(each.encode()).digest()[:8]) >> 1 for each in names.unique()}
    return names.map(of_name).astype("int64")
