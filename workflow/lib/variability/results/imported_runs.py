"""Runs that were made outside this workflow, as rows of the runs table.

A file is read by the names of its columns, never by their position or by the shape of an array: models mistaken for
seeds would make intervals falsely narrow. What the names leave open is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability.errors import UserError
from variability.io import tabular
from variability.io.checksums import Checksum
from variability.results import metric_scales, pairing, runs_table
from variability.results.columns import CELL, RUN, RUN_VALUE, VALUE
from variability.results.metrics import _known, scalar_facts
from variability.results.run_selection import selects

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

_NUMBERS = ("seconds", "n_test", "majority", "energy_j")
#: Roles that a column can have, in addition to holding a metric.
ROLES = (*RUN, "split", "phase", "metric", "value", "status", *_NUMBERS)
#: Roles whose values are text, however much they look like numbers.
TEXT_ROLES = (*CELL, "split", "phase", "metric", "status")
DEFAULTS = {"task": "task", "method": "fine-tuned", "split": "test", "phase": "after"}
#: Roles of columns that have the same name in every export of a tracker.
FORMATS = {
    "table": {},
    "wandb": {"status": "State", "seconds": "Runtime"},
    "mlflow": {"status": "status"},
}
_COMPLETED = {"", "completed", "complete", "finished", "done", "success", "ok", "nan"}
_TIMES = ("start_time", "end_time")


def role_columns(spec: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Return {role: column}: the columns that the config names, and those that follow from the tracker's format."""
    of_format = {role: column for role, column in FORMATS[spec.get("format", "table")].items() if column in names}
    constants = spec.get("constants", {})
    return {role: column for role, column in of_format.items() if role not in constants} | dict(spec.get("columns", {}))


def is_long(spec: Mapping[str, Any], roles: Mapping[str, str]) -> bool:
    """Return whether one column (or one per seed) holds the values of all metrics, whose names another column holds."""
    return "value" in roles or bool(spec.get("seeds"))


def metric_facts(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the facts of every metric: from the import's spec, otherwise from the plug-ins or the well-known ones."""
    facts = _known.FACTS | scalar_facts()
    for column, entry in (spec.get("metrics") or {}).items():
        entry = entry or {}
        name = entry.get("metric", column)
        defaults = facts.get(name, {"label": name, "higher_is_better": None, "perfect": None})
        if entry.get("perfect", defaults["perfect"]) != defaults["perfect"]:
            # Percentages, for example: what is known of the range holds in another unit.
            defaults = defaults | {"unit": None, "range": None, "reference": None}
        keys = ("label", "higher_is_better", "perfect", *metric_scales.KEYS)
        facts[name] = defaults | {key: entry[key] for key in keys if key in entry}
    return facts


def read_file(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return the file's columns as text or numbers.

    Names of models, tasks, methods and metrics are always text: a model may be called 1.10, or None. Raises UserError
    for a file whose SHA-256 is not the spec's ``sha256``, that cannot be read, or that has no rows.
    """
    if "sha256" in spec and not (expected := Checksum.parse(f"sha256:{spec['sha256']}")).matches(path):
        raise expected.mismatch_error(str(path), path)
    try:
        names = tabular.header(path, spec)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    roles = role_columns(spec, names)
    text = [roles[role] for role in (*CELL, "metric") if roles.get(role) in names]
    return tabular.read(path, text=text, options=spec)


def rows_of_file(frame: pd.DataFrame, spec: Mapping[str, Any], file_name: str) -> pd.DataFrame:
    """Return one row per run, phase, split and metric, with those columns of the runs table that the file determines.

    frame: the file. spec: ``columns`` {role: column}, ``constants`` {role: value}, ``metrics`` {column: {metric,
    split, scale, label, higher_is_better, perfect}}, in long tables {name of a metric: {metric, scale, ...}}, ``seeds``
    {column: seed} if every seed has a column. file_name: for messages.

    Runs whose status is not one of completion are failed, and their values are not used. A metric without any value on
    a task is left out for that task. Raises UserError for runs that are listed more than once, values that are not
    numbers, and scores that are better than perfect.
    """
    import pandas as pd

    names = list(frame.columns)
    roles = role_columns(spec, names)
    constants = DEFAULTS | dict(spec.get("constants", {}))
    constants = {role: value for role, value in constants.items() if role not in roles}
    columns = {role: frame[column] for role, column in roles.items()}
    table = pd.DataFrame(columns, index=frame.index).assign(**constants)
    if spec.get("format") == "mlflow" and set(_TIMES) <= set(names):
        start, end = (_times(frame[name]) for name in _TIMES)
        table["seconds"] = (end - start).dt.total_seconds()
    entries = {name: entry or {} for name, entry in spec.get("metrics", {}).items()}
    if spec.get("seeds"):
        table = _stack_columns(table, frame, {column: {"seed": seed} for column, seed in spec["seeds"].items()})
    elif not is_long(spec, roles):
        constants = {column: _constants_of_column(column, entry) for column, entry in entries.items()}
        table = _stack_columns(table, frame, constants)
    else:
        table["column"] = roles["value"]
    table["value"] = _numbers(table, "value", file_name)
    for role in _NUMBERS:
        table[role] = _numbers(table, role, file_name) if role in table else float("nan")
    for key in (*CELL, "split", "phase", "metric"):
        _refuse_missing(table, key, file_name)
        table[key] = table[key].astype(str)
    # The key of a metric in the config: the name of its column, or, in long tables, the metric's name in the file.
    entry_names = table["metric"] if is_long(spec, roles) else table["column"]
    table["value"] *= entry_names.map({name: entry.get("scale", 1) for name, entry in entries.items()}).fillna(1)
    if is_long(spec, roles):
        table["metric"] = table["metric"].replace({name: entry.get("metric", name) for name, entry in entries.items()})
    table["seed"] = _seeds(table, file_name)
    status = table["status"].astype(str).str.lower() if "status" in table else pd.Series("", index=table.index)
    table["status"] = status.isin(_COMPLETED).map({True: "completed", False: "failed"})
    table["fail_reason"] = status.radd("reported as ").where(table["status"] != "completed")
    _refuse_duplicates(table, frame, file_name)
    table["value"] = table["value"].where(table["status"] == "completed")
    _refuse_better_than_perfect(table.assign(entry=entry_names), metric_facts(spec), file_name)
    has_values = table.groupby(["task", "metric", "split"])["value"].transform("count") > 0
    return table[has_values].drop(columns="column").reset_index(drop=True)


def select_for_study(
    rows: pd.DataFrame,
    spec: Mapping[str, Any],
    name: str,
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> pd.DataFrame:
    """Return the runs table of those rows of a file whose runs the study's grid selects.

    rows: see ``rows_of_file``. name: of the import. tasks, grid: those of the spec of ``aggregate``. A task's primary
    metric is that of the study, else that of the import (``primary``: a metric, or {task: metric}), else the first in
    the file. Columns that the file does not determine are missing. Raises UserError if no run of a task has its primary
    metric.
    """
    runs = rows[RUN].drop_duplicates()
    selected = runs[[selects(grid, *run) for run in runs.itertuples(index=False)]]
    table = runs_table.with_metric_facts(rows.merge(selected, on=RUN, how="inner"), metric_facts(spec))
    of_import = spec.get("primary", {})
    primary = table.drop_duplicates("task").set_index("task")["metric"]
    for task in primary.index:
        metric = of_import if isinstance(of_import, str) else of_import.get(task)
        primary[task] = tasks[task]["metric"] if task in tasks else metric or primary[task]
    table["primary"] = table["metric"] == table["task"].map(primary)
    for task in primary.index[~primary.index.isin(table.loc[table["primary"], "task"])]:
        raise UserError(f"{name}: no run of task {task} has a value of its primary metric {primary[task]!r}")
    table = table.assign(source=name, family=table["model"], backbone=table["model"])
    return runs_table.sort_rows(table.reindex(columns=runs_table.COLUMNS), ["metric"])


def imported_table(
    frame: pd.DataFrame,
    spec: Mapping[str, Any],
    name: str,
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> pd.DataFrame:
    """Return the runs table of a file. frame: see ``rows_of_file``; other arguments: see ``select_for_study``."""
    return select_for_study(rows_of_file(frame, spec, name), spec, name, tasks, grid).assign(pairing=pairing.AUTO)


def _constants_of_column(column: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return metric, split and phase of all values in a column that holds one metric."""
    return {"metric": column} | {key: entry[key] for key in VALUE if key in entry}


def _stack_columns(table: pd.DataFrame, frame: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table once per column of the file, whose values become ``value``.

    columns: {column: values of other columns in its rows}.
    """
    import pandas as pd

    parts = [table.assign(**constants, column=name, value=frame[name]) for name, constants in columns.items()]
    return pd.concat(parts)


def _numbers(table: pd.DataFrame, role: str, file_name: str) -> pd.Series:
    import pandas as pd

    values = pd.to_numeric(table[role], errors="coerce")
    wrong = table.loc[values.isna() & table[role].notna(), role].astype(str)
    wrong = wrong[~wrong.str.strip().str.lower().isin({"", "nan", "none", "null"})]
    if len(wrong):
        count = wrong.index.nunique()
        more = f" (one of {count} such rows)" * (count > 1)
        raise UserError(f"{file_name}, row {_row(wrong.index[0])}: the {role} {wrong.iloc[0]!r} is not a number{more}")
    return values.astype(float)


def _row(index: int) -> int:
    """Return the number of a row in the file, whose first row is the header."""
    return index + 2


def _refuse_missing(table: pd.DataFrame, key: str, file_name: str) -> None:
    missing = table.index[table[key].isna()]
    if len(missing):
        count = missing.nunique()
        raise UserError(
            f"{file_name}, row {_row(missing[0])}: no {key} ({count} such row{'s' * (count > 1)}); "
            f"name another column, or a constant, for it"
        )


def _refuse_better_than_perfect(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], file_name: str) -> None:
    """Raise UserError for a value better than perfect. table: ``entry`` is the metric's key in the config."""
    bounded = {name: fact for name, fact in facts.items() if fact["perfect"] is not None}
    sign = table["metric"].map({name: 1.0 if fact["higher_is_better"] else -1.0 for name, fact in bounded.items()})
    perfect = table["metric"].map({name: float(fact["perfect"]) for name, fact in bounded.items()})
    # Sums of rounded shares may exceed 1 in their last digits.
    beyond = table[sign * (table["value"] - perfect) > 1e-6 * perfect.abs().clip(lower=1)]
    if beyond.empty:
        return
    first = beyond.iloc[0]
    of_metric = table.loc[table["entry"] == first["entry"], "value"]
    count = int((beyond["entry"] == first["entry"]).sum())
    best = bounded[first["metric"]]["perfect"]
    percent = best == 1 and first["value"] > 1 and of_metric.max() <= 100
    fix = "in percent, set `scale: 0.01`" if percent else "in another unit or has the opposite sign, set its `scale`"
    raise UserError(
        f"{file_name}, row {_row(first.name)}: {first['value']:g} in column {first['column']!r} is better than a "
        f"perfect {first['metric']}, which is {best:g} ({count} of {of_metric.count()} values are); if it is {fix} "
        f"under {first['entry']!r} in the import's `metrics`"
    )


def _seeds(table: pd.DataFrame, file_name: str) -> pd.Series:
    """Return integer seeds; labels such as ``0_4`` get the integers after the largest seed, in their natural order."""
    import pandas as pd

    _refuse_missing(table, "seed", file_name)
    texts = table["seed"].astype(str).str.replace(r"\.0$", "", regex=True)
    integers = texts.str.fullmatch(r"\d{1,18}")
    if integers.all():
        return texts.astype("int64")
    first = int(pd.to_numeric(texts[integers]).max()) + 1 if integers.any() else 0
    labels = sorted(set(texts[~integers]), key=_natural_order)
    numbers = {label: first + position for position, label in enumerate(labels)}
    _log.info("%s: seeds that are not whole numbers are replaced by integers: %s", file_name, numbers)
    return texts.map(lambda text: numbers[text] if text in numbers else int(text)).astype("int64")


def has_seed_labels(frame: pd.DataFrame, spec: Mapping[str, Any]) -> bool:
    """Return whether seeds of the file are labels, which are numbered within the file. frame: the file."""
    column = role_columns(spec, list(frame.columns)).get("seed")
    return column in frame and not _is_whole_number(frame[column].astype(str)).all()


def _is_whole_number(texts: pd.Series) -> pd.Series:
    return texts.str.fullmatch(r"\d{1,18}(\.0)?")


def _natural_order(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _refuse_duplicates(table: pd.DataFrame, frame: pd.DataFrame, file_name: str) -> None:
    duplicates = table[table.duplicated(RUN_VALUE, keep=False)]
    if duplicates.empty:
        return
    first = duplicates.iloc[0]
    rows = frame.loc[duplicates.index[(duplicates[RUN_VALUE] == first[RUN_VALUE]).all(axis=1)].unique()]
    differing = [str(column) for column in frame if len(set(rows[column].astype(str))) > 1]
    run = ", ".join(f"{key} {first[key]}" for key in RUN_VALUE)
    numbers = ", ".join(str(_row(index)) for index in rows.index[:5]) + (", ..." if len(rows) > 5 else "")
    raise UserError(
        f"{file_name}: {len(duplicates[RUN].drop_duplicates())} of {len(table[RUN].drop_duplicates())} runs are listed "
        f"more than once, for example {run}, in rows {numbers}, which differ in {', '.join(differing) or 'nothing'}. "
        "Assign the column that distinguishes them to seed, task, method or split"
    )


def _times(column: pd.Series) -> pd.Series:
    """Return times as MLflow writes them: ISO text, or milliseconds since 1970."""
    import pandas as pd

    numeric = pd.to_numeric(column, errors="coerce")
    return pd.to_datetime(numeric, unit="ms", utc=True) if numeric.notna().any() else pd.to_datetime(column, utc=True)
