"""What analyses of runs crossed with examples share: the metric of a loss, failed runs, p-values of many tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

    from variability.results.predictions import Cell


def metrics(runs: pd.DataFrame) -> dict[str, str]:
    """For every task the metric that the mean of its cubes' losses gives, by the kind of the metrics its runs have."""
    from variability.data import kinds
    from variability.results.metrics import scalars

    plugins = scalars()
    found = {}
    for task, metric in runs[["task", "metric"]].drop_duplicates().itertuples(index=False):
        if metric in plugins:
            found[task] = kinds.find(plugins[metric].KIND).LOSS_METRIC
    return {task: found.get(task, "accuracy") for task in runs["task"].unique()}


def failures(runs: pd.DataFrame) -> dict[Cell, int]:
    """For every cell how many of its runs failed; none of these has predictions."""
    each = runs.drop_duplicates(RUN)
    failed = (each["status"] != "completed").groupby([each[key] for key in CELL], sort=True).sum()
    return {cell: int(count) for cell, count in failed.items()}


def holm(p: pd.Series, family: pd.Series) -> pd.Series:
    """p-values adjusted within each family; a missing one is no test and makes its family no larger."""
    from variability.stats import comparisons

    return p.astype(float).groupby(family, sort=False).transform(lambda of_family: comparisons.holm(of_family))
