"""Tasks whose primary metrics are on one scale, so that their values can be averaged or compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from variability.advice import listed
from variability.results import metric_scales

if TYPE_CHECKING:
    import pandas as pd

#: Largest number of tasks that a sentence names.
NAMED = 8
NORMALISED = "normalised score"
ASSUMED = ", in one unit on all tasks by assumption: none is declared"


class Scale(NamedTuple):
    """Some tasks on one scale.

    metric: name of their metric; NORMALISED if the values are normalised as declared. description: how the values
    follow from those of the metric, and what is assumed. higher_is_better: of the values on this scale.
    """

    tasks: tuple[str, ...]
    metric: str
    description: str
    higher_is_better: bool

    @property
    def assumed(self) -> bool:
        """True if nothing declares that the tasks are in one unit."""
        return self.description.endswith(ASSUMED)


def scales(runs: pd.DataFrame) -> list[Scale]:
    """Return the scales of the runs' tasks, those with the most tasks first. runs: rows of the primary metric.

    Tasks with a declared normalisation are on one scale. Others are on one scale if they have the same metric in the
    same unit; a metric without a declared unit is assumed to have the same on all tasks, except that an error in
    regression is in the unit of its task's target. No scale depends on the observed values.
    """
    groups: dict[tuple, list[str]] = {}
    for row in runs.drop_duplicates("task").itertuples():
        higher = bool(row.higher_is_better)
        if row.normalise_low == row.normalise_low:
            key = (NORMALISED, None, higher == (row.normalise_high > row.normalise_low))
        elif row.unit == metric_scales.OF_TARGET:
            key = (row.metric, row.task, higher)
        else:
            key = (row.metric, row.unit, higher)
        groups.setdefault(key, []).append(row.task)
    found = [
        Scale(tuple(tasks), metric, _description(runs[runs["task"].isin(tasks)], metric, tasks), higher)
        for (metric, _, higher), tasks in groups.items()
    ]
    return sorted(found, key=lambda scale: -len(scale.tasks))


def on_scale(runs: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return the runs of a scale's tasks with their values on it."""
    rows = runs[runs["task"].isin(scale.tasks)]
    if scale.metric != NORMALISED:
        return rows
    low, high = rows["normalise_low"], rows["normalise_high"]
    return rows.assign(value=(rows["value"] - low) / (high - low), metric=NORMALISED, label=NORMALISED)


def others(runs: pd.DataFrame, scale: Scale) -> str:
    """Name the tasks that are not on a scale, with their metrics; empty if there are none."""
    rest = runs[~runs["task"].isin(scale.tasks)].drop_duplicates("task")
    names = [f"{row.task} ({row.metric})" for row in rest.itertuples()]
    return listed(names, NAMED)


def _description(runs: pd.DataFrame, metric: str, tasks: Sequence[str]) -> str:
    if metric == NORMALISED:
        return "normalised as declared: 0 at `low` and 1 at `high` of each task"
    undeclared = runs["unit"].isna().all() and runs[["range_low", "range_high"]].isna().any(axis=None)
    assumed = ASSUMED * bool(len(tasks) > 1 and undeclared)
    return f"{metric}, not rescaled{assumed}"


def log_odds(runs: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the runs of tasks whose metric has a closed range, as log odds of its position there; + is better.

    Differences near the ends of the range then count as much as larger ones in its middle, so that tasks of different
    difficulty pool. The position p of a run with m test examples is (p (m - 1) + 1/2) / m (Smithson & Verkuilen 2006),
    which is never 0 or 1. Also returns why tasks are left out, empty if none are.
    """
    import numpy as np

    width = runs["range_high"].astype(float) - runs["range_low"].astype(float)
    position = (runs["value"] - runs["range_low"]) / width
    position = position.where(runs["higher_is_better"].astype(bool), 1 - position)
    examples = runs["n_test"].astype(float)
    known = (examples > 1).where(runs["value"].notna(), True).groupby(runs["task"]).transform("all")
    position = position.where(~known, (position * (examples - 1) + 0.5) / examples)
    inside = position.between(0, 1, inclusive="neither") | runs["value"].isna()
    usable = np.isfinite(width) & inside.groupby(runs["task"]).transform("all")
    rows = runs[usable].assign(value=np.log(position[usable] / (1 - position[usable])))
    names = list(dict.fromkeys(rows["metric"]))
    name = f"log odds of {names[0] if len(names) == 1 else 'the primary metric'}"
    left_out = others(runs, Scale(tuple(dict.fromkeys(rows["task"])), "", "", True))
    reason = f"without {left_out}: no closed range is declared, or a value is at its end" if left_out else ""
    return rows.assign(metric=name, label=name), reason


def ranks(runs: pd.DataFrame, by: str = "task") -> pd.DataFrame:
    """Return the runs with their ranks on their task, from 0 (worst) to 1 (best); equal values share theirs.

    by: column of the task.
    """
    oriented = runs["value"].where(runs["higher_is_better"].astype(bool), -runs["value"])
    # Equal values of different origin differ in their last bits.
    groups = oriented.map(lambda value: float(f"{value:.12g}")).groupby(runs[by])
    name = "rank within the task"
    return runs.assign(value=(groups.rank() - 0.5) / groups.transform("count"), metric=name, label=name)
