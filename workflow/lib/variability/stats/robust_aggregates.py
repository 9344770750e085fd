"""Interquartile mean, performance profile and probability of improvement (Agarwal et al. 2021).

A bootstrap replicate is never expanded into scores: it is a row of weights on the scores, which are sorted once, so
that a trimmed mean is a clipped cumulative sum and a matrix product. Every task has the same weight, whatever its
number of runs: the weights of a task's runs sum to runs / tasks, and each is exactly 1 where tasks have equally many
runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

#: Replicates per batch: few enough for their weights to stay in the processor's cache. Fixed, because the random
#: samples depend on it.
ROWS = 25
#: Share of the runs that the interquartile mean cuts off at each end.
TRIM = 0.25


@dataclass(frozen=True)
class Pool:
    """Scores of one candidate, larger is better.

    scores (runs,) in ascending order; task, seed (runs,), numbered from 0. tasks, seeds: how many there are. A seed may
    lack a score on some tasks.
    """

    scores: np.ndarray
    task: np.ndarray
    seed: np.ndarray
    tasks: int
    seeds: int

    @classmethod
    def of(cls, scores: ArrayLike, task: ArrayLike, seed: ArrayLike, tasks: int, seeds: int) -> Pool:
        """Build a pool from runs in any order.

        Equal scores are ordered by task and seed, so that the order of the runs does not matter. Raises ValueError for
        a missing score and for a task without a score.
        """
        scores, task, seed = np.asarray(scores, dtype=float), np.asarray(task), np.asarray(seed)
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        if len(np.unique(task)) < tasks:
            raise ValueError("every task needs a score")
        order = np.lexsort((seed, task, scores))
        return cls(scores[order], task[order], seed[order], tasks, seeds)

    @cached_property
    def task_indices(self) -> list[np.ndarray]:
        """For every task, the indices of its runs in ``scores``."""
        return [np.flatnonzero(self.task == task) for task in range(self.tasks)]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(tasks,): number of runs of each task."""
        return np.bincount(self.task, minlength=self.tasks)

    @cached_property
    def task_order(self) -> np.ndarray:
        """(runs,): indices that sort the runs by task first, and by score within a task."""
        return np.concatenate(self.task_indices)

    @cached_property
    def membership(self) -> np.ndarray:
        """(runs, tasks): 1 where the run belongs to the task."""
        return (self.task[:, None] == np.arange(self.tasks)).astype(float)


def observed(pool: Pool) -> np.ndarray:
    """Return the weights (1, runs) of the runs as observed."""
    return _weights(pool, np.ones((1, len(pool.scores))), pool.sizes[None])


def stratified(pool: Pool, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """Yield weights (rows, runs) of bootstrap replicates, at most ROWS at a time.

    Runs are resampled within each task.
    """
    offsets = _offsets(np.repeat(np.cumsum(pool.sizes) - pool.sizes, pool.sizes))
    position = np.argsort(pool.task_order)
    for rows in _rows(resamples):
        counts = _counts(_sample(rng, pool.sizes, rows), offsets)
        yield _weights(pool, np.take(counts, position, axis=1).astype(float), pool.sizes[None])


def clustered(pool: Pool, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """Yield weights like ``stratified``, but resample whole seeds, with their runs on all tasks.

    Where a seed has no run on a task, the task's replicate has fewer runs; if it would have none, one of the task's
    runs is sampled instead.
    """
    # Generators with equal states must sample the same seeds whatever is missing, so the substitutes come from another
    # generator.
    substitutes = rng.spawn(1)[0]
    offsets = _offsets(np.zeros(pool.seeds, dtype=int))
    crossed = len(pool.scores) == pool.seeds * pool.tasks
    for rows in _rows(resamples):
        seed_counts = _counts(_sample(rng, np.array([pool.seeds]), rows), offsets)
        counts = np.take(seed_counts.astype(float), pool.seed, axis=1)
        yield counts if crossed else _weights(pool, counts, _fill_empty_tasks(pool, counts, substitutes))


def without_seeds(pool: Pool) -> np.ndarray:
    """Return the weights (seeds, runs) of the runs without one seed each.

    Every seed must have a run on every task.
    """
    return (pool.seed != np.arange(pool.seeds)[:, None]) * (pool.seeds / (pool.seeds - 1))


def jackknife_interval(estimate: float, without: np.ndarray, level: float) -> tuple[float, float]:
    """Return Student's t interval from the estimates without each of the n seeds (Tukey 1958).

    n - 1 degrees of freedom.
    """
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    half = special.stdtrit(n - 1, 0.5 + level / 2) * error
    return estimate - half, estimate + half


def cumulative(weights: np.ndarray) -> np.ndarray:
    """Return (rows, runs) cumulative weights: of each run and all below it."""
    return np.cumsum(weights, axis=1)


def interquartile_mean(pool: Pool, cumulative_weights: np.ndarray) -> np.ndarray:
    """Return the (rows,) interquartile means: a quarter of the weight is cut off at each end.

    cumulative_weights: see ``cumulative``. The quarter is rounded down to whole runs, as in SciPy's ``trim_mean``,
    which gives the same value where tasks have equally many runs; otherwise the run at a cut counts with the part of
    its weight that remains.
    """
    runs = len(pool.scores)
    cut = int(TRIM * runs)
    inner = np.clip(cumulative_weights, cut, runs - cut)[:, :-1]
    # Summation by parts, over the gaps between neighbours, so that equal scores have exactly that score as their mean.
    gaps = np.diff(pool.scores)
    return pool.scores[0] + ((runs - cut) * gaps.sum() - inner @ gaps) / (runs - 2 * cut)


def task_means(pool: Pool, weights: np.ndarray) -> np.ndarray:
    """Return the (rows, tasks) means of each task's runs."""
    lowest = np.array([pool.scores[indices[0]] for indices in pool.task_indices])
    # Measured from the lowest score, so that equal scores have exactly that score as their mean.
    above = (pool.scores - lowest[pool.task])[:, None] * pool.membership
    return lowest + weights @ above * (pool.tasks / len(pool.scores))


def profile(pool: Pool, cumulative_weights: np.ndarray, thresholds: ArrayLike) -> np.ndarray:
    """Return the (rows, thresholds) shares of runs whose score exceeds the threshold.

    cumulative_weights: see ``cumulative``.
    """
    at_most = np.searchsorted(pool.scores, thresholds, side="right")
    shares = 1 - cumulative_weights[:, np.maximum(at_most, 1) - 1] / len(pool.scores)
    return np.clip(np.where(at_most == 0, 1.0, shares), 0, 1)


def insertion_points(pool: Pool, other: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every run of ``other``, how many runs of ``pool`` are below it, and below or equal.

    Both pools are ordered by task; the counts include all runs of earlier tasks. They are all that ``improvement``
    needs of the scores, whatever the weights.
    """
    below, at_most = [], []
    start = 0
    for indices, other_indices in zip(pool.task_indices, other.task_indices, strict=True):
        scores, other_scores = pool.scores[indices], other.scores[other_indices]
        below.append(start + np.searchsorted(scores, other_scores, side="left"))
        at_most.append(start + np.searchsorted(scores, other_scores, side="right"))
        start += len(indices)
    return np.concatenate(below), np.concatenate(at_most)


def cumulative_by_task(pool: Pool, weights: np.ndarray) -> np.ndarray:
    """Return (rows, runs + 1) weights before each run, with runs in task order; the last is the total."""
    cumulative_weights = np.zeros((len(weights), len(pool.scores) + 1))
    np.cumsum(np.take(weights, pool.task_order, axis=1), axis=1, out=cumulative_weights[:, 1:])
    return cumulative_weights


def improvement(
    pool: Pool, cumulative_weights: np.ndarray, other: Pool, weights: np.ndarray, points: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return P(X > Y) + P(X = Y) / 2 of runs X of ``pool`` and Y of ``other``, averaged over tasks: (rows,).

    cumulative_weights: those of ``pool``, see ``cumulative_by_task``. weights: those of ``other``. points:
    ``insertion_points(pool, other)``. This is the Mann-Whitney statistic divided by the number of pairs.
    """
    below, at_most = points
    not_above = np.take(cumulative_weights, below, axis=1)
    not_above += np.take(cumulative_weights, at_most, axis=1)
    task_weight = len(pool.scores) / pool.tasks
    # A task's cumulative weights include the weight of all tasks before it, which is the same in every replicate.
    earlier_tasks = task_weight * (pool.tasks - 1) / 2
    mean_not_above = np.einsum("ij,ij->i", not_above, np.take(weights, other.task_order, axis=1)) / (
        2 * len(other.scores)
    )
    return np.clip(1 - (mean_not_above - earlier_tasks) / task_weight, 0, 1)


def _rows(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, ROWS):
        yield min(ROWS, resamples - start)


def _sample(rng: np.random.Generator, sizes: np.ndarray, rows: int) -> np.ndarray:
    """Sample members of groups: (rows, sum of sizes), for each group as many members as it has, from 0."""
    dtype = np.uint16 if sizes.max() < 2**16 else np.uint32
    if (sizes == sizes[0]).all():
        return rng.integers(0, sizes[0], (rows, sizes.sum()), dtype=dtype)
    return np.concatenate([rng.integers(0, size, (rows, size), dtype=dtype) for size in sizes], axis=1)


def _offsets(firsts: np.ndarray) -> np.ndarray:
    """Return (ROWS, units) numbers that make units of different rows and groups distinct.

    firsts: those of the first row.
    """
    return firsts + len(firsts) * np.arange(ROWS)[:, None]


def _counts(sampled: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Count how often each unit occurs in a row of the sampled numbers, in the same shape.

    offsets: what is added to the sampled numbers, see ``_offsets``.
    """
    units = sampled + offsets[: len(sampled)]
    return np.bincount(units.ravel(), minlength=sampled.size).reshape(sampled.shape)


def _weights(pool: Pool, counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Scale the counts so that those of a task sum to runs / tasks.

    sizes: (rows or 1, tasks), the sums of the counts.
    """
    factors = len(pool.scores) / pool.tasks / sizes
    return counts if (factors == 1).all() else counts * np.take(factors, pool.task, axis=1)


def _fill_empty_tasks(pool: Pool, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give one run to every task without any, in place; return the sums of the counts, (rows, tasks)."""
    sizes = counts @ pool.membership
    for task in np.flatnonzero((sizes == 0).any(axis=0)):
        empty, indices = np.flatnonzero(sizes[:, task] == 0), pool.task_indices[task]
        counts[empty, indices[rng.integers(0, len(indices), len(empty))]] = 1
        sizes[empty, task] = 1
    return sizes
