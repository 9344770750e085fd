"""Choice of the tasks and models that a figure, or a chart of the page, shows where not all of them are readable.

Scores have no unit, so that tasks with different metrics can be ordered; the reasons are written into figures' notes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

SEPARATED = "on which candidates differ most, compared with seeds"
SEEDED = "on which seeds matter most, compared with candidates"
BEST = "with the best mean rank"


def separation(runs: pd.DataFrame, column: str = "value") -> dict[str, float]:
    """Return the SD of the candidates' means over the pooled SD of their runs, by task.

    runs: one row per run and task, or per cell. Without two runs of a cell, the SD of the means over the largest mean.
    """
    cells = runs.groupby(CELL, sort=False)[column].agg(["mean", "var"]).reset_index()
    scores = {}
    for task, of_task in cells.groupby("task", sort=False):
        between, within = of_task["mean"].std(), of_task["var"].mean() ** 0.5
        scale = within if within > 0 else of_task["mean"].abs().max()
        if between == between and scale > 0:
            scores[task] = float(between / scale)
    return scores


def seed_weight(runs: pd.DataFrame) -> dict[str, float]:
    """Return the pooled SD of the candidates' runs over the SD of their means, by task.

    With one candidate on a task, the SD of its runs over its mean.
    """
    cells = runs.groupby(CELL, sort=False)["value"].agg(["mean", "var"]).reset_index()
    scores = {}
    for task, of_task in cells.groupby("task", sort=False):
        between, within = of_task["mean"].std(), of_task["var"].mean() ** 0.5
        scale = between if between > 0 else of_task["mean"].abs().max()
        if within == within and scale > 0:
            scores[task] = float(within / scale)
    return scores


def best(runs: pd.DataFrame, by: str | list[str] = "model") -> dict[Hashable, float]:
    """Return minus the mean rank over tasks and methods, by model or by the columns ``by``; the best is highest.

    runs: rows of the primary metric. Without a known direction, higher is treated as better.
    """
    cells = runs.groupby(CELL, sort=False).agg(value=("value", "mean"), higher=("higher_is_better", "first"))
    cells = cells.reset_index()
    signed = cells["value"].where(cells["higher"].ne(False), -cells["value"])
    within = ["task", "method"] if by == "model" else ["task"]
    ranks = signed.groupby([cells[key] for key in within]).rank(ascending=False)
    return (-ranks.groupby([cells[key] for key in ([by] if isinstance(by, str) else by)]).mean()).dropna().to_dict()


def largest(table: pd.DataFrame, column: str, by: str = "task") -> dict[str, float]:
    """Return the largest value of a column by task, or by the column ``by``."""
    return table.groupby(by)[column].max().dropna().to_dict()
