"""Helpers for analyses of runs crossed with examples: metrics as means of losses, failed runs, adjusted p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results import run_status
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from variability.results.predictions import Cell, Cube, Predictions, Scored


def metrics(runs: pd.DataFrame, predictions: Predictions) -> dict[str, Scored]:
    """Return, for every task, the metric that the mean of its losses gives, and whether more of it is better.

    It follows from the kind of the task's metrics, and of a task whose examples have scores it is that of the scores.
    """
    from variability.data import kinds
    from variability.results.metrics import scalars
    from variability.results.predictions import Scored
    from variability.results.runs_table import TRAINED_HERE

    plugins = scalars()
    metric_of = {}
    for task, metric in runs[["task", "metric"]].drop_duplicates().itertuples(index=False):
        if metric in plugins:
            metric_of[task] = kinds.find(plugins[metric].KIND).LOSS_METRIC
    metric_of = {task: metric_of.get(task, "accuracy") for task in runs["task"].unique()}
    of_kinds = {task: Scored(name, bool(plugins[name].HIGHER_IS_BETTER)) for task, name in metric_of.items()}
    imported = runs.loc[runs["source"] != TRAINED_HERE, "task"].unique()
    return of_kinds | {task: scored for task in imported if (scored := predictions.scored(task)) is not None}


def primary_metrics(runs: pd.DataFrame) -> dict[str, str]:
    """Return the primary metric of every task."""
    primary = runs[runs["primary"].astype(bool)].drop_duplicates("task")
    return dict(zip(primary["task"], primary["metric"], strict=True))


def contributions(metric: str, cube: Cube, classes: int) -> np.ndarray | None:
    """Return (runs, examples) numbers whose mean over examples is a run's metric; None for other metrics.

    For metrics that are no mean over examples, these are its linear approximation, see ``confusion_scores``. classes:
    number of classes of the task.
    """
    import numpy as np

    from variability.stats import confusion_scores

    if metric == cube.metric:
        return 1 - cube.losses if cube.higher_is_better else cube.losses
    if cube.scored is not None:
        return None
    if metric in confusion_scores.METRICS and classes:
        return np.stack([confusion_scores.contributions(metric, cube.y_true, run, classes) for run in cube.y_pred])
    if metric == "mae":
        return np.abs(cube.y_pred - cube.y_true)
    squares = cube.losses
    mean = squares.mean(axis=1, keepdims=True)
    if metric == "rmse" and (mean > 0).all():
        return np.sqrt(mean) + (squares - mean) / (2 * np.sqrt(mean))
    deviations = np.square(cube.y_true - cube.y_true.mean())
    if metric == "r2" and deviations.any():
        # The derivative of 1 - a / b by the weight of an example.
        of_mean = mean / deviations.mean()
        return 1 - of_mean - (squares - of_mean * deviations) / deviations.mean()
    return None


def failures(runs: pd.DataFrame) -> dict[Cell, int]:
    """Return the number of failed runs of every cell; failed runs have no predictions."""
    every_run = runs.drop_duplicates(RUN)
    failed = run_status.incomplete(every_run).groupby([every_run[key] for key in CELL], sort=True).sum()
    return {cell: int(count) for cell, count in failed.items()}


def holm(p: pd.Series, family: pd.Series) -> pd.Series:
    """Adjust p-values within each family (Holm); a missing p-value does not count as a test."""
    from variability.stats import comparisons

    return p.astype(float).groupby(family, sort=False).transform(lambda of_family: comparisons.holm(of_family))
