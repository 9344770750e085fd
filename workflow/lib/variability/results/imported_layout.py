"""Layouts of tables of runs: which column holds what, and one row per value whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from variability.advice import suggest
from variability.errors import UserError
from variability.results import readers
from variability.results.columns import CELL, RUN, UNNAMED_METHOD, VALUE
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("seconds", "n_test", "n_train", "majority", "energy_j", "stderr")
#: Roles that a column can have, in addition to holding a metric.
ROLES = (*RUN, "split", "phase", "metric", "value", "status", *NUMBERS)
#: Roles of columns in a table of examples: what identifies an example, and what is known of its prediction.
EXAMPLE_ROLES = (
    *(*RUN, "split", "phase", "metric", "example_id", "group"),
    *("y_true", "y_pred", "probabilities", "logits", "score", "correct", "attempts"),
)
#: Roles whose values are text, however much they look like numbers.
#: Roles whose constants may have a value for each task: ``{n_test: {adult: 16281, aloi: 21600}}``.
OF_TASKS = ("metric", "n_test", "n_train", "majority")
TEXT_ROLES = (*CELL, "split", "phase", "metric", "status")
DEFAULTS = {"task": "task", "method": UNNAMED_METHOD, "split": "test", "phase": "after"}
#: Keys of an import for tables with one column per seed, task or model: {column: seed, task or model}.
STACKED = {"seeds": "seed", "tasks": "task", "models": "model"}
#: Words for splits and phases.
SYNONYMS = {
    "split": {
        **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
        **dict.fromkeys(("test", "testing"), "test"),
    },
    "phase": {"before": "before", "after": "after"},
}


def role_columns(spec: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Return {role: column}: those that the config names, that ``from_path`` finds, and that the format implies."""
    implied = readers.of(spec).COLUMNS
    roles = {role: next((name for name in columns if name in names), None) for role, columns in implied.items()}
    constants = spec.get("constants", {})
    of_format = {role: name for role, name in roles.items() if name is not None and role not in constants}
    of_path = {name: name for name in path_groups(spec) if name in (*ROLES, *EXAMPLE_ROLES)}
    return of_format | of_path | dict(spec.get("columns", {}))


def examples(spec: Mapping[str, Any]) -> str | None:
    """Return the kind of the examples that the rows of an import are; None if the rows are runs."""
    return spec.get("examples", readers.of(spec).EXAMPLES)


def path_groups(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the groups of ``from_path``."""
    import re

    try:
        return list(re.compile(spec.get("from_path", "")).groupindex)
    except re.error:
        return []


def stacked(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the key for one column per seed, task or model that an import has, and the role of these columns."""
    return next(((key, role) for key, role in STACKED.items() if spec.get(key)), None)


def is_long(spec: Mapping[str, Any], roles: Mapping[str, str]) -> bool:
    """Return whether one column (or one per seed, task or model) holds the values of all metrics.

    Another column, or a constant, then holds the name of the metric.
    """
    return "value" in roles or stacked(spec) is not None


def listed_metrics(spec: Mapping[str, Any]) -> list[str]:
    """Return the keys of ``metrics`` in the order of the config."""
    return spec.get("metrics_order") or list(spec.get("metrics") or {})


def metric_names(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the listed metrics, in the order of the config."""
    entries = spec.get("metrics") or {}
    return list(dict.fromkeys((entries[column] or {}).get("metric", column) for column in listed_metrics(spec)))


def chosen(source: Source, spec: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return the rows that ``where`` and ``where_not`` choose. Raises UserError if a condition matches no row."""
    frame = source.frame
    chosen_rows = ~frame.index.isna()
    for key, wanted in (("where", True), ("where_not", False)):
        for column, condition in spec.get(key, {}).items():
            values = condition if isinstance(condition, list) else [condition]
            matched = ~frame.index.isna() & False
            for value in values:
                equal = frame[column].map(lambda text, value=value: _equals(text, value)).to_numpy(bool)
                if not equal.any():
                    known = [str(text) for text in frame[column].dropna().unique()[:20]]
                    raise UserError(f"{name}: {key}: no row has {column} {value!r}; {suggest(value, known)}")
                matched |= equal
            chosen_rows &= matched == wanted
    if not chosen_rows.any():
        raise UserError(f"{name}: no row meets all conditions of `where` and `where_not`; change them")
    return frame[chosen_rows]


def values(frame: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per value, as text, with the index of its row in the source.

    Its columns are those of the roles, and ``entry``, the key of its metric in the config, and ``column``, the column
    of the file that holds the value. Levels of further factors are added to the name of the method: ``full shots=5``.
    """
    return with_factors(_values(frame, spec, roles), frame, spec)


def with_factors(table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table with the levels of further factors as part of the names of methods. frame: of the files."""
    for factor, column in spec.get("factors", {}).items():
        levels = (
            frame[column]
            .reindex(table.index)
            .fillna("none")
            .astype(str)
            .str.strip()
            .str.replace(r"\s+", "_", regex=True)
        )
        table["method"] = table["method"].where(
            table["method"].isna(), table["method"].astype(str) + f" {factor}=" + levels
        )
    return table


def _values(frame: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str]) -> pd.DataFrame:
    table = by_role(frame, spec, roles)
    if key := stacked(spec):
        columns = {column: {key[1]: str(value)} for column, value in spec[key[0]].items()}
        table = _with_constants_of_tasks(_stack(table, frame, columns), spec)
        return table.assign(entry=table["metric"])
    if is_long(spec, roles):
        table = _with_constants_of_tasks(table, spec)
        return table.assign(column=roles["value"], entry=table["metric"])
    entries = {column: spec["metrics"][column] or {} for column in listed_metrics(spec)}
    keys = (*CELL, *VALUE)
    columns = {
        column: {"metric": column, "entry": column} | {key: str(entry[key]) for key in keys if key in entry}
        for column, entry in entries.items()
    }
    errors = {column: entry["stderr"] for column, entry in entries.items() if "stderr" in entry}
    return _with_constants_of_tasks(_stack(table, frame, columns, errors), spec)


def constants(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of roles that no column holds: those of the config, of the format, and the usual ones."""
    return DEFAULTS | dict(readers.of(spec).CONSTANTS) | dict(spec.get("constants", {}))


def by_role(frame: pd.DataFrame, spec: Mapping[str, Any], roles: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns of the roles, as text, and those of constants."""
    import pandas as pd

    stated = {
        role: value for role, value in constants(spec).items() if role not in roles and not isinstance(value, dict)
    }
    table = pd.DataFrame({role: frame[column] for role, column in roles.items()}, index=frame.index).astype(object)
    return table.assign(**{role: str(value) for role, value in stated.items()})


def _with_constants_of_tasks(table: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table with the constants that have a value for each task. Raises UserError if tasks do not match."""
    tasks = [str(task) for task in table["task"].dropna().unique()]
    for role, value_of in spec.get("constants", {}).items():
        if isinstance(value_of, dict):
            if missing := [task for task in tasks if task not in value_of]:
                raise UserError(f"constants.{role} has no value for task {', '.join(missing[:5])}; add it")
            if unknown := [task for task in value_of if task not in tasks]:
                raise UserError(f"constants.{role} names a task that no row has: {suggest(unknown[0], tasks)}")
            table = table.assign(**{role: table["task"].astype(str).map(value_of).astype(str)})
    return table


def _stack(
    table: pd.DataFrame,
    frame: pd.DataFrame,
    columns: Mapping[str, Mapping[str, str]],
    errors: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return the table once per column of the file, whose values become ``value``.

    columns: {column: values of other columns in its rows}. errors: {column: column of its standard errors}.
    """
    import pandas as pd

    parts = []
    for name, facts in columns.items():
        stderr = {"stderr": frame[errors[name]]} if name in errors else {}
        parts.append(table.assign(**facts, **stderr, column=name, value=frame[name]))
    return pd.concat(parts)


def _equals(text: str | None, value: object) -> bool:
    """Return whether a cell is a value of the config: the same text, or the same number (10 and 10.0)."""
    if text is None or value is None:
        return text is value
    if isinstance(value, bool):
        return text.strip().lower() == str(value).lower()
    if text.strip() == str(value):
        return True
    try:
        return not isinstance(value, str) and float(text) == value
    except ValueError:
        return False
