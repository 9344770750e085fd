"""Results of all candidates on all tasks as arrays of one unit, with one entry per group of tasks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability.reporting import paired_cells
from variability.reporting.analyses import _complete_tasks, _metric_scale
from variability.results import metric_scales, task_groups
from variability.results.columns import CANDIDATE
from variability.stats.rounding import ROUNDING

if TYPE_CHECKING:
    import pandas as pd

OF_LENGTH = "fractions of the length of each task's metric"
OF_MEAN = "differences relative to the mean of the two, as the metric declares no range"
OF_BOTH = f"{OF_LENGTH}, or of the mean of the two where no range is declared"
#: Smallest number of tasks or groups with an interval: that of two extends by 12.7 standard errors to both sides.
FEWEST = 3


class AllTasks(NamedTuple):
    """Candidates over all groups of tasks; larger is better.

    names: model and method, in the order of their names. tasks: {task: group}. differences: (candidates, candidates,
    groups), see ``over_tasks.decide``. seed_variance: (candidates, candidates), variance of the mean difference that
    comes from effects of a seed that several tasks share; it may be below 0. seeds: number of seeds it is based on, 0
    if it cannot be estimated. unit: description of the unit. length: of the metric in this unit. lengths: {task: size
    of this unit in that of the task's metric}, NaN where it has none. metrics: {task: metric}. all_tasks: number of
    tasks of the runs. others, left_out: candidates that lack one of the tasks, see ``_complete_tasks.CompleteTasks``.
    """

    names: pd.DataFrame
    tasks: dict[str, str]
    differences: np.ndarray
    seed_variance: np.ndarray
    seeds: int
    unit: str
    length: float
    lengths: dict[str, float]
    metrics: dict[str, str]
    all_tasks: int
    others: pd.DataFrame
    left_out: str


def collect(runs: pd.DataFrame, pair: list[tuple[str, str]] | None = None) -> AllTasks | None:
    """Return the differences of the candidates that have a value on every task; None if these are not two tasks.

    runs: rows of the primary metric. pair: two other candidates, (model, method), to compare on those of the tasks that
    both have.

    Tasks on one declared scale keep its unit. Otherwise every difference is a fraction of the length of its task's
    metric, or of the mean of the two candidates' absolute means where no length is declared. So it does not depend on
    the other candidates.
    """
    import pandas as pd

    part = _complete_tasks.of(runs)
    if len(part.complete) < 2:
        return None
    runs = runs[runs["value"].notna() & runs["task"].isin(part.complete.index)]
    metrics = dict(zip(runs["task"], runs["metric"], strict=True))
    normalised = any(scale.metric == _metric_scale.NORMALISED for scale in _metric_scale.scales(runs))
    runs, lengths, unit, length = _in_one_unit(runs)
    means = part.complete if pair is None else part.means.loc[part.complete.index, pair].dropna()
    if means.empty:
        return None
    runs = runs[runs["task"].isin(means.index) & pd.MultiIndex.from_frame(runs[CANDIDATE]).isin(means.columns)]
    sign = np.where(runs["higher_is_better"].isin([False, 0]), -1.0, 1.0)
    runs = runs.assign(value=sign * runs["value"].to_numpy(dtype=float))
    tasks = task_groups.of_tasks(runs.sort_values("task", kind="stable"))
    names = runs[CANDIDATE].drop_duplicates().sort_values(CANDIDATE, ignore_index=True)
    candidates = runs[CANDIDATE].merge(names.assign(index=names.index), on=CANDIDATE, how="left")["index"].to_numpy()
    of_task = runs["task"].map({task: index for index, task in enumerate(tasks)}).to_numpy()
    seeds, of_seed = np.unique(runs["seed"].to_numpy(), return_inverse=True)
    values = np.full((len(names), len(tasks), len(seeds)), np.nan)
    values[candidates, of_task, of_seed] = runs["value"]
    # A loop over the tasks, whose arrays are small.
    scaled = [_differences(values[:, index], lengths[task]) for index, task in enumerate(tasks)]
    groups = list(dict.fromkeys(tasks.values()))
    member = np.array([[group == name for group in tasks.values()] for name in groups])
    stacked = np.stack(scaled, axis=2)
    known = ~np.isnan(stacked)
    counts = known.astype(float) @ member.T
    sums = np.where(known, stacked, 0.0) @ member.T
    differences = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    variance, shared = _shared_by_tasks(values, lengths, tasks, member, paired_cells.shared_by_all(runs))
    in_unit = {task: np.nan if normalised else lengths[task] for task in tasks}
    return AllTasks(
        *(names, tasks, differences, variance, shared, unit, length, in_unit, metrics),
        *(len(part.means), part.others, part.left_out),
    )


def half_widths(
    every: AllTasks, a: np.ndarray, b: np.ndarray, n: np.ndarray, se: np.ndarray, tail: np.ndarray | float
) -> np.ndarray:
    """Return half the widths of the intervals of the mean differences, NaN with fewer than FEWEST tasks.

    a, b: (pairs,) positions of the candidates; n, se: number of tasks and standard error over them; tail: one-sided
    level. The squares of the half-widths of the two parts, over tasks and over shared seeds, are added (as for a sum of
    independent estimates: Zou & Donner, Stat. Med. 27 (2008) 1693).
    """
    from scipy import special

    half = np.square(special.stdtrit(np.maximum(n - 1, 1), tail) * np.where(n >= FEWEST, se, np.nan))
    if every.seeds:
        shared = np.maximum(every.seed_variance[a, b], 0)
        half = half + shared * special.stdtrit(every.seeds - 1, tail) ** 2
    return np.sqrt(half)


def counts_of_runs(runs: pd.DataFrame, tasks: Collection[str], names: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of completed and failed runs on the tasks: n and n_failed, in the order of the names."""
    import pandas as pd

    from variability.reporting.analyses import _cells

    marked = runs[runs["task"].isin([*tasks])].assign(failed=_cells.failed)
    counts = marked.groupby(CANDIDATE).agg(n=("value", "count"), n_failed=("failed", "sum"))
    return counts.reindex(pd.MultiIndex.from_frame(names[CANDIDATE]), fill_value=0)


def _in_one_unit(runs):
    """Return the runs in the unit to compare them in, {task: length to divide by}, its description and its length."""
    scales = _metric_scale.scales(runs)
    lengths = dict(zip(runs["task"], metric_scales.length(runs), strict=True))
    if len(scales) == 1 and not scales[0].assumed:
        scale = scales[0]
        on_scale = _metric_scale.on_scale(runs, scale).assign(higher_is_better=scale.higher_is_better)
        normalised = scale.metric == _metric_scale.NORMALISED
        length = 1.0 if normalised else float(np.nanmin(list(lengths.values())))
        if normalised or length == length:
            return on_scale, dict.fromkeys(lengths, 1.0), scale.description, length
    undeclared = [length != length for length in lengths.values()]
    unit = OF_MEAN if all(undeclared) else OF_BOTH if any(undeclared) else OF_LENGTH
    return runs, lengths, unit, 1.0


def _differences(values, length):
    """Return (candidates, candidates) differences of the means over seeds of one task. values: (candidates, seeds)."""
    n = (~np.isnan(values)).sum(axis=1)
    means = np.where(n > 0, np.nansum(values, axis=1) / np.maximum(n, 1), np.nan)
    difference = means[:, None] - means
    size = np.nanmax(np.abs(means), initial=0)
    # Equal means of runs that were summed in different orders differ in their last bits.
    difference[np.abs(difference) <= ROUNDING * size] = 0.0
    if length == length:
        return difference / length
    average = (np.abs(means)[:, None] + np.abs(means)) / 2
    return np.divide(difference, average, out=np.where(np.isnan(difference), np.nan, 0.0), where=average > 0)


def _shared_by_tasks(values, lengths, tasks, member, paired):
    """Return the variance of every mean difference from effects of a seed that several tasks share.

    It is the variance between seeds of the mean over groups, less what independent runs would give. values:
    (candidates, tasks, seeds); member: (groups, tasks). paired: True if all candidates share what a seed determines.
    """
    seeds = ~np.isnan(values).any(axis=(0, 1))
    n, groups = int(seeds.sum()), len(member)
    if n < 2 or groups < 2:
        return np.zeros((len(values), len(values))), 0
    size = np.nanmean(np.abs(values), axis=(0, 2))
    units = np.array(
        [
            length if length == length else value or 1.0
            for length, value in zip((lengths[task] for task in tasks), size, strict=True)
        ]
    )
    of_groups = np.einsum(
        "gt,cts->cgs", member / member.sum(axis=1, keepdims=True), values[..., seeds] / units[:, None]
    )
    of_groups = of_groups - of_groups.mean(axis=2, keepdims=True)
    mean = of_groups.mean(axis=1)
    together = mean @ mean.T
    apart = np.einsum("igs,jgs->ij", of_groups, of_groups) / groups**2
    excess = (together - apart) / (n - 1) / n
    own = np.diag(excess)
    return own[:, None] + own - (2 * excess if paired else 0), n
