"""Imported runs that a study selects, their primary metrics, and the tasks that have a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.errors import UserError
from variability.results import imported_facts, imported_layout, runs_table
from variability.results.columns import RUN
from variability.results.run_selection import Grid

if TYPE_CHECKING:
    import pandas as pd

#: A metric of a task, as far as it is decided whether a task has it.
_MEASURED = ["task", "metric", "split"]


def select_for_study(
    rows: Mapping[str, pd.DataFrame],
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> dict[str, pd.DataFrame]:
    """Return the runs tables of those rows whose runs the study's grid selects, by import.

    rows: of each import, see ``imported_runs.read_import``, in the order of the config. tasks, grid: those of the spec
    of ``aggregate``. A metric without any value on a task, in any of the files, is not a metric of that task, except
    for its primary metric: runs that failed count in every task that they were meant for. Columns that the files do not
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
        table = imported_facts.declared(table, specs[name], name)
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
