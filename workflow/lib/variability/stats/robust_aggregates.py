"""Interquartile mean, performance profile and probability of improvement over runs and tasks (Agarwal et al. 2021).

A bootstrap replicate is never drawn out as scores: it is a row of weights on the scores sorted once, so that a
trimmed mean is a clipped cumulative sum and a matrix product. Every task weighs the same, however many of its runs
there are: the weights of a task's runs sum to runs / tasks, which makes each exactly 1 where tasks have equally many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

#: Replicates at a time: few enough for their weights to stay in a processor's cache. Fixed, as draws depend on it.
ROWS = 25
#: Share of the runs that the interquartile mean leaves out at each end.
TRIM = 0.25


@dataclass(frozen=True)
class Pool:
    """Scores of one candidate, larger is better: scores (runs,) ascending; task, seed (runs,) from 0.

    tasks, seeds: their numbers. Not every seed need have a score on every task.
    """

    scores: np.ndarray
    task: np.ndarray
    seed: np.ndarray
    tasks: int
    seeds: int

    @classmethod
    def of(cls, scores: ArrayLike, task: ArrayLike, seed: ArrayLike, tasks: int, seeds: int) -> Pool:
        """Of runs in any order; equal scores are ordered by task and seed, so that theirs does not matter.

        Raises ValueError for a score that is missing and for a task without a score.
        """
        scores, task, seed = np.asarray(scores, dtype=float), np.asarray(task), np.asarray(seed)
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        if len(np.unique(task)) < tasks:
            raise ValueError("every task needs a score")
        order = np.lexsort((seed, task, scores))
        return cls(scores[order], task[order], seed[order], tasks, seeds)

    @cached_property
    def places(self) -> list[np.ndarray]:
        """For every task, where its runs stand among the sorted."""
        return [np.flatnonzero(self.task == task) for task in range(self.tasks)]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(tasks,): number of runs."""
        return np.bincount(self.task, minlength=self.tasks)

    @cached_property
    def by_task(self) -> np.ndarray:
        """(runs,): where the runs stand that are sorted by task first and by score within it."""
        return np.concatenate(self.places)

    @cached_property
    def membership(self) -> np.ndarray:
        """(runs, tasks): 1 where the run is one of the task."""
        return (self.task[:, None] == np.arange(self.tasks)).astype(float)


def observed(pool: Pool) -> np.ndarray:
    """(1, runs): the weights of the runs as they are."""
    return _weights(pool, np.ones((1, len(pool.scores))), pool.sizes[None])


def stratified(pool: Pool, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """Weights (rows, runs) of bootstrap replicates, at most ROWS at a time: runs resampled within each task."""
    starts = _starts(np.repeat(np.cumsum(pool.sizes) - pool.sizes, pool.sizes))
    of_sorted = np.argsort(pool.by_task)
    for rows in _rows(resamples):
        counts = _counts(_draws(rng, pool.sizes, rows), starts)
        yield _weights(pool, np.take(counts, of_sorted, axis=1).astype(float), pool.sizes[None])


def clustered(pool: Pool, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """As ``stratified``, but whole seeds are drawn, with their runs on all tasks.

    Where a seed has no run on a task, the task's replicate has fewer runs; one that would have none has one of its
    runs drawn by itself.
    """
    # Generators of equal state draw the same seeds whatever is missing, so the spare draws must not move them on.
    spare = rng.spawn(1)[0]
    starts = _starts(np.zeros(pool.seeds, dtype=int))
    crossed = len(pool.scores) == pool.seeds * pool.tasks
    for rows in _rows(resamples):
        drawn = _counts(_draws(rng, np.array([pool.seeds]), rows), starts)
        counts = np.take(drawn.astype(float), pool.seed, axis=1)
        yield counts if crossed else _weights(pool, counts, _filled(pool, counts, spare))


def without_seeds(pool: Pool) -> np.ndarray:
    """Weights (seeds, runs) of the runs without one seed each; every seed has a run on every task."""
    return (pool.seed != np.arange(pool.seeds)[:, None]) * (pool.seeds / (pool.seeds - 1))


def jackknife_interval(estimate: float, without: np.ndarray, level: float) -> tuple[float, float]:
    """Student's t interval from the estimates without each of the n seeds (Tukey 1958), n - 1 degrees of freedom."""
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    half = special.stdtrit(n - 1, 0.5 + level / 2) * error
    return estimate - half, estimate + half


def cumulated(weights: np.ndarray) -> np.ndarray:
    """(rows, runs): the weight of a run and of all below it."""
    return np.cumsum(weights, axis=1)


def interquartile_mean(pool: Pool, heaped: np.ndarray) -> np.ndarray:
    """(rows,) from cumulated weights: the mean of what is left when a quarter of the weight is cut off at each end.

    The quarter is rounded down to whole runs, as in SciPy's ``trim_mean``, whose value this is where tasks have
    equally many runs; else the run in which a cut falls counts with the part of its weight that is left.
    """
    runs = len(pool.scores)
    cut = int(TRIM * runs)
    kept = np.clip(heaped, cut, runs - cut)[:, :-1]
    # Summed by parts, over the gaps between neighbours, so that equal scores have exactly themselves as their mean.
    gaps = np.diff(pool.scores)
    return pool.scores[0] + ((runs - cut) * gaps.sum() - kept @ gaps) / (runs - 2 * cut)


def task_means(pool: Pool, weights: np.ndarray) -> np.ndarray:
    """(rows, tasks): the mean of each task's runs."""
    lowest = np.array([pool.scores[place[0]] for place in pool.places])
    # Above the lowest, so that equal scores have exactly themselves as their mean.
    above = (pool.scores - lowest[pool.task])[:, None] * pool.membership
    return lowest + weights @ above * (pool.tasks / len(pool.scores))


def profile(pool: Pool, heaped: np.ndarray, thresholds: ArrayLike) -> np.ndarray:
    """(rows, thresholds) from cumulated weights: the share of runs whose score is larger than the threshold."""
    upto = np.searchsorted(pool.scores, thresholds, side="right")
    shares = 1 - heaped[:, np.maximum(upto, 1) - 1] / len(pool.scores)
    return np.clip(np.where(upto == 0, 1.0, shares), 0, 1)


def standing(pool: Pool, other: Pool) -> tuple[np.ndarray, np.ndarray]:
    """For every run of ``other`` by task: how many runs of ``pool`` by task come before it, and before or level.

    What ``improvement`` needs to know of two candidates, whatever the weights.
    """
    before, level = [], []
    start = 0
    for own, theirs in zip(pool.places, other.places, strict=True):
        before.append(start + np.searchsorted(pool.scores[own], other.scores[theirs], side="left"))
        level.append(start + np.searchsorted(pool.scores[own], other.scores[theirs], side="right"))
        start += len(own)
    return np.concatenate(before), np.concatenate(level)


def cumulated_by_task(pool: Pool, weights: np.ndarray) -> np.ndarray:
    """(rows, runs + 1): the weight before a run, where runs are sorted by task first; in the end all of it."""
    heaped = np.zeros((len(weights), len(pool.scores) + 1))
    np.cumsum(np.take(weights, pool.by_task, axis=1), axis=1, out=heaped[:, 1:])
    return heaped


def improvement(
    pool: Pool, heaped: np.ndarray, other: Pool, weights: np.ndarray, stood: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(rows,): P(X > Y) + P(X = Y) / 2 of a run X of ``pool`` and one Y of ``other``, averaged over tasks.

    heaped: of ``pool``, cumulated by task; weights: of ``other``; stood: ``standing(pool, other)``. This is the
    Mann-Whitney statistic over the number of pairs.
    """
    before, level = stood
    below = np.take(heaped, before, axis=1)
    below += np.take(heaped, level, axis=1)
    of_task = len(pool.scores) / pool.tasks
    # In a task's part of the heap lies the weight of all tasks before it, which is the same in every replicate.
    earlier = of_task * (pool.tasks - 1) / 2
    not_above = np.einsum("ij,ij->i", below, np.take(weights, other.by_task, axis=1)) / (2 * len(other.scores))
    return np.clip(1 - (not_above - earlier) / of_task, 0, 1)


def _rows(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, ROWS):
        yield min(ROWS, resamples - start)


def _draws(rng: np.random.Generator, sizes: np.ndarray, rows: int) -> np.ndarray:
    """(rows, sum of sizes): for every group of that size as many draws of one of its members, numbered from 0."""
    narrow = np.uint16 if sizes.max() < 2**16 else np.uint32
    if (sizes == sizes[0]).all():
        return rng.integers(0, sizes[0], (rows, sizes.sum()), dtype=narrow)
    return np.concatenate([rng.integers(0, size, (rows, size), dtype=narrow) for size in sizes], axis=1)


def _starts(firsts: np.ndarray) -> np.ndarray:
    """(ROWS, units): what tells a row's units from those of other rows and groups, from that of the first row."""
    return firsts + len(firsts) * np.arange(ROWS)[:, None]


def _counts(drawn: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """As drawn: how often each unit is in a row; starts: what is added to the numbers drawn."""
    cells = drawn + starts[: len(drawn)]
    return np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)


def _weights(pool: Pool, counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The counts, scaled so that those of a task sum to runs / tasks; sizes: (rows or 1, tasks), what they sum to."""
    factors = len(pool.scores) / pool.tasks / sizes
    return counts if (factors == 1).all() else counts * np.take(factors, pool.task, axis=1)


def _filled(pool: Pool, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(rows, tasks): sums of the counts, of which a task's that had none have been given one run."""
    sizes = counts @ pool.membership
    for task in np.flatnonzero((sizes == 0).any(axis=0)):
        empty, place = np.flatnonzero(sizes[:, task] == 0), pool.places[task]
        counts[empty, place[rng.integers(0, len(place), len(empty))]] = 1
        sizes[empty, task] = 1
    return sizes
