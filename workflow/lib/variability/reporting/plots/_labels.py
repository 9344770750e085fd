"""Names, counts and axis limits that figures have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting.claims import ONE_RUN
from variability.results import run_status
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd


def names(runs: pd.DataFrame, key: str) -> list[str]:
    """Return the models, tasks or methods in the order of the table."""
    return list(dict.fromkeys(runs[key]))


def metric_of(runs: pd.DataFrame) -> str:
    """Return the metric's name, or ``primary metric`` if tasks have different ones."""
    metrics = names(runs, "metric")
    return metrics[0] if len(metrics) == 1 else "primary metric"


def counted(n: float, incomplete: float, undefined: float = 0) -> str:
    """Format numbers of runs: ``5``, ``3 (2 not completed)`` or ``3 (1 not completed, 1 undefined)``.

    incomplete: runs that failed or diverged, as ``results.run_status`` defines them.
    """
    parts = ((incomplete, "not completed"), (undefined, "undefined"))
    details = [f"{int(count)} {word}" for count, word in parts if count]
    return f"{int(n)} ({', '.join(details)})" if details else f"{int(n)}"


def incomplete(runs: pd.DataFrame) -> str:
    """Return a clause on the runs that did not complete: ``3 of 30 runs did not complete (2 diverged, 1 failed)``.

    runs: one row per run. The counts are those of the summary.
    """
    counts = {"diverged": run_status.diverged(runs).sum(), "failed": run_status.failed(runs).sum()}
    details = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    text = f"{run_status.incomplete(runs).sum()} of {plural(len(runs), 'run')} did not complete"
    return f"{text} ({details})" if details else text


def one_run(runs: pd.DataFrame) -> str:
    """Return a sentence to add to a figure's note if no candidate has a second run with a value; otherwise nothing.

    runs: one row per run.
    """
    single = runs["value"].notna().any() and runs.groupby(CELL)["value"].count().max() < 2
    return f" {ONE_RUN[0].upper()}{ONE_RUN[1:]}." if single else ""


def limits(values: pd.Series, ends: pd.Series) -> tuple[float, float]:
    """Return axis limits that contain all finite values, and interval ends within half their range of them.

    The interval of two runs can be a hundred times as wide as the difference of the runs, which would squeeze
    everything else.
    """
    values = values.dropna()
    if values.empty:
        return 0.0, 1.0
    low, high = values.min(), values.max()
    span = max(high - low, 0.02 * abs(high), 1e-9)
    near_ends = ends[ends.between(low - span / 2, high + span / 2)]
    low, high = min([low, *near_ends]), max([high, *near_ends])
    return low - 0.06 * span, high + 0.06 * span
