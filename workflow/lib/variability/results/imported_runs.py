"""Runs that were made outside this workflow, as rows of the runs table.

A file is read by the names of its columns, never by their position or by the shape of an array: models mistaken for
seeds would make intervals falsely narrow. What the names leave open is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.errors import UserError
from variability.results import (
    imported_files,
    imported_layout,
    imported_problems,
    imported_repeats,
    imported_statistics,
    imported_values,
    metric_scales,
    pairing,
    run_status,
    runs_table,
)
from variability.results.columns import CELL, RUN, VALUE
from variability.results.imported_files import Source
from variability.results.imported_layout import NUMBERS, TIMES, is_long, role_columns
from variability.results.metrics import _known, scalar_facts
from variability.results.run_selection import Grid

if TYPE_CHECKING:
    import pandas as pd

#: A metric of a task, as far as it is decided whether a task has it.
_MEASURED = ["task", "metric", "split"]


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


def rows_of_file(source: Source, spec: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return one row per run, phase, split and metric, with those columns of the runs table that the files determine.

    spec: an entry of ``imports``, see ``import_sections.Import``, with ``metrics_order``, the keys of its metrics in
    the order of the config. name: of the import, for messages.

    Statuses follow ``run_status``; values of runs that did not complete are not used. Raises UserError for rows that
    are not runs, runs that are listed more than once, values that are not numbers, and scores that are better than
    perfect.
    """
    import pandas as pd

    frame = imported_layout.chosen(source, spec, name)
    roles = role_columns(spec, list(frame.columns))
    table = imported_layout.values(frame, spec, roles)
    imported_problems.refuse_statistics(table, roles, source)
    for key in (*RUN, "split", "phase", "metric"):
        imported_problems.refuse_missing(table, key, roles, source)
    imported_problems.refuse_words_among_numbers(table, source)
    imported_problems.refuse_similar_names(table, source)
    for key, words in imported_layout.SYNONYMS.items():
        table[key] = imported_problems.standard_words(table, key, words, source)
    decimal = imported_values.decimal_mark(source, _number_columns(table, roles), spec)
    table = _with_numbers(table, frame, spec, source, decimal)
    entries = {entry: facts or {} for entry, facts in (spec.get("metrics") or {}).items()}
    if is_long(spec, roles):
        renamed = {entry: facts.get("metric", entry) for entry, facts in entries.items()}
        table["metric"] = table["metric"].replace(renamed)
    elif entries:
        table["metric"] = table["entry"].map({entry: facts.get("metric", entry) for entry, facts in entries.items()})
    facts = metric_facts(spec)
    imported_problems.refuse_unknown_metrics(table, facts, source)
    table["seed"] = imported_values.seeds(table["seed"], name)
    words = table["status"] if "status" in table else pd.Series(None, table.index, dtype=object)
    table["status"] = imported_values.statuses(words, spec.get("statuses", {}), source)
    reported = words.fillna("").astype(str).str.strip().str.lower()
    table["fail_reason"] = reported.radd("reported as ").where(table["status"] != run_status.COMPLETED)
    table = imported_repeats.merged(table, source)
    if "keep" in spec:
        table = imported_repeats.kept(table, frame, spec, facts, source)
    imported_repeats.refuse_repeated(table, frame, source)
    imported_statistics.refuse_computed(table, roles, source)
    table["value"] = table["value"].where(table["status"] == run_status.COMPLETED)
    imported_problems.refuse_better_than_perfect(table, facts, source)
    imported_problems.refuse_outside_range(table, facts, source)
    table = table.reset_index(drop=True).astype(dict.fromkeys((*CELL, *VALUE, "status"), "str"))
    table = runs_table.with_metric_facts(table, facts)
    table = run_status.with_no_value(run_status.with_non_finite(table, table["states_nan"]))
    return table.drop(columns=["column", "entry", "states_nan"])


def select_for_study(
    rows: Mapping[str, pd.DataFrame],
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> dict[str, pd.DataFrame]:
    """Return the runs tables of those rows whose runs the study's grid selects, by import.

    rows: of each import, see ``rows_of_file``, in the order of the config. tasks, grid: those of the spec of
    ``aggregate``. A metric without any value on a task, in any of the files, is not a metric of that task, except for
    its primary metric: runs that failed count in every task that they were meant for. Columns that the files do not
    determine are missing. Raises UserError if no run of a task has its primary metric.
    """
    import pandas as pd

    chosen = {name: _selected(table, grid) for name, table in rows.items()}
    if not chosen:
        return {}
    every = pd.concat([table[[*_MEASURED, "value"]] for table in chosen.values()], ignore_index=True)
    measured = set(every[every["value"].notna()][_MEASURED].itertuples(index=False, name=None))
    if not measured and not tasks and len(every):
        name = next(iter(chosen))
        raise UserError(f"{name}: no run has a value; check the columns of its values and of its status")
    primary = _primary_metrics(chosen, specs, tasks, measured)
    valued = {(task, split) for task, _, split in measured}
    tables = {}
    for name, table in chosen.items():
        is_primary = table["metric"] == table["task"].map(primary)
        is_measured = np.array([key in measured for key in table[_MEASURED].itertuples(index=False, name=None)], bool)
        has_any = np.array([key in valued for key in table[["task", "split"]].itertuples(index=False, name=None)], bool)
        # A task on which every run failed has nothing but the rows of its primary metric.
        table = table.assign(primary=is_primary)[is_measured | (is_primary & ~has_any)]
        table = table.assign(source=name, family=table["model"], backbone=table["model"])
        tables[name] = runs_table.sort_rows(table.reindex(columns=runs_table.COLUMNS), ["metric"])
    _require_primary(tables, primary)
    return tables


def _selected(table: pd.DataFrame, grid: Mapping[str, Any]) -> pd.DataFrame:
    runs = table[RUN].drop_duplicates()
    selects = Grid(grid).selects
    selected = runs[[selects(*run) for run in runs.itertuples(index=False)]]
    return table.merge(selected, on=RUN, how="inner")


def _primary_metrics(
    rows: Mapping[str, pd.DataFrame],
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    measured: set[tuple[str, str, str]],
) -> dict[str, str]:
    """Return the primary metric of every task: one for all files.

    It is that of the study; otherwise the one that an import states (``primary``); otherwise the first metric that the
    first import lists, or, if it lists none, has, and that has values on this task.
    """
    primary: dict[str, str] = {}
    stated: dict[str, tuple[str, str]] = {}
    with_values = {(task, metric) for task, metric, _ in measured}
    for name, table in rows.items():
        of_import = specs[name].get("primary", {})
        for task in table["task"].unique():
            metric = of_import if isinstance(of_import, str) else of_import.get(task)
            if task in tasks or metric is None:
                continue
            if stated.setdefault(task, (metric, name))[0] != metric:
                other = f"{stated[task][0]!r} in {stated[task][1]}"
                raise UserError(f"{name}: the primary metric of task {task} is {metric!r} here and {other}; choose one")
    for name, table in rows.items():
        listed = imported_layout.metric_names(specs[name])
        for task, of_task in table.groupby("task", sort=False):
            order = [*listed, *of_task["metric"].drop_duplicates()]
            order = [metric for metric in order if metric in set(of_task["metric"])]
            order = [metric for metric in order if (task, metric) in with_values] or order
            of_study = tasks[task]["metric"] if task in tasks else None
            primary.setdefault(str(task), of_study or stated.get(str(task), (order[0], ""))[0])
    return primary


def _require_primary(tables: Mapping[str, pd.DataFrame], primary: Mapping[str, str]) -> None:
    """Raise UserError for a file none of whose runs of a task has a row of its primary metric, in any file."""
    import pandas as pd

    having = pd.concat([table[table["primary"]] for table in tables.values()])
    known = set(having[RUN].itertuples(index=False, name=None))
    for name, table in tables.items():
        for task, of_task in table.groupby("task", sort=False):
            if not any(run in known for run in of_task[RUN].itertuples(index=False, name=None)):
                metrics = ", ".join(of_task["metric"].drop_duplicates())
                raise UserError(
                    f"{name}: no run of task {task} has a value of its primary metric {primary[str(task)]!r}, only of "
                    f"{metrics}; set `primary`"
                )


def _number_columns(table: pd.DataFrame, roles: Mapping[str, str]) -> Sequence[str]:
    return [*table["column"].unique(), *(column for role, column in roles.items() if role in NUMBERS)]


def _with_numbers(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], source: Source, decimal: str
) -> pd.DataFrame:
    """Return the table with its values, scaled, and other numbers as such."""
    import pandas as pd

    table = table.assign(states_nan=imported_values.states_nan(table["value"]), position=range(len(table)))
    scales = {entry: (facts or {}).get("scale", 1) for entry, facts in (spec.get("metrics") or {}).items()}
    parts = []
    # By metric, because the values of one may have percent signs, and those of another not.
    for (_, entry), part in table.groupby(["column", "entry"], sort=False):
        values = imported_values.parse(part["value"], "value", source, decimal)
        parts.append(part.assign(value=values.to_numpy() * scales.get(entry, 1)))
    table = pd.concat(parts).sort_values("position").drop(columns="position")
    if spec.get("format") == "mlflow" and set(TIMES) <= set(frame) and "seconds" not in spec.get("columns", {}):
        start, end = (frame[name] for name in TIMES)
        seconds = imported_values.elapsed(start, end, source)[table.index].to_numpy()
    elif "seconds" in table:
        seconds = imported_values.seconds(table["seconds"], source, decimal)
    else:
        seconds = float("nan")
    others = [role for role in NUMBERS if role != "seconds"]
    numbers = {
        role: imported_values.parse(table[role], role, source, decimal) if role in table else float("nan")
        for role in others
    }
    return table.assign(seconds=seconds, **numbers)


def imported_tables(
    sources: Mapping[str, Source],
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> list[pd.DataFrame]:
    """Return the runs tables of all imports. Arguments: see ``rows_of_file`` and ``select_for_study``."""
    rows = {name: rows_of_file(source, specs[name], name) for name, source in sources.items()}
    tables = select_for_study(rows, specs, tasks, grid).values()
    return [table.assign(pairing=pairing.AUTO) for table in tables]


def read_all(files: Mapping[str, Sequence[Path]], spec: Mapping[str, Any]) -> tuple[list[pd.DataFrame], list[str]]:
    """Return the runs tables of all imports, and the names of those whose seeds are labels.

    files: of each import. spec: of ``aggregate``.
    """
    # In the order of the config, which decides the primary metric.
    specs = {name: spec["imports"][name] for name in files}
    specs = dict(sorted(specs.items(), key=lambda item: item[1].get("position", 0)))
    sources = {
        name: imported_files.read(imported_files.named(files[name], entry.get("names")), entry)
        for name, entry in specs.items()
    }
    if not sources:
        return [], []
    labelled = [name for name, source in sources.items() if has_seed_labels(source, specs[name])]
    return imported_tables(sources, specs, spec["tasks"], spec["grid"]), labelled


def has_seed_labels(source: Source, spec: Mapping[str, Any]) -> bool:
    """Return whether seeds are labels, which are numbered within the import."""
    column = role_columns(spec, list(source.frame.columns)).get("seed")
    if column not in source.frame:
        return False
    return bool(imported_values.seed_labels(source.frame[column].dropna()))
