"""Helpers for analyses of runs crossed with examples: metrics of losses, failed runs, adjusted p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results import run_status
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

    from variability.results.predictions import Cell


def metrics(runs: pd.DataFrame) -> dict[str, str]:
    """Return, for every task, the metric that the mean of its losses gives, from the kind of its metrics."""
    from variability.data import kinds
    from variability.results.metrics import scalars

    plugins = scalars()
    metric_of = {}
    for task, metric in runs[["task", "metric"]].drop_duplicates().itertuples(index=False):
        if metric in plugins:
            metric_of[task] = kinds.find(plugins[metric].KIND).LOSS_METRIC
    return {task: metric_of.get(task, "accuracy") for task in runs["task"].unique()}


def failures(runs: pd.DataFrame) -> dict[Cell, int]:
    """Return the number of failed runs of every cell; failed runs have no predictions."""
    every_run = runs.drop_duplicates(RUN)
    failed = run_status.incomplete(every_run).groupby([every_run[key] for key in CELL], sort=True).sum()
    return {cell: int(count) for cell, count in failed.items()}


def holm(p: pd.Series, family: pd.Series) -> pd.Series:
    """Adjust p-values within each family (Holm); a missing p-value does not count as a test."""
    from variability.stats import comparisons

    return p.astype(float).groupby(family, sort=False).transform(lambda of_family: comparisons.holm(of_family))
