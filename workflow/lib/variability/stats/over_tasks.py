"""Decisions about all candidates over many tasks: a task, or a group of tasks of one data set, is one observation.

The test is Wilcoxon's signed-rank test of the differences between two candidates (Benavoli, Corani & Mangili, J. Mach.
Learn. Res. 17 (2016) 5): unlike a test of average ranks, it does not depend on which other candidates there are. Its
p-values are adjusted step by step, as by Holm's method, but with the joint distribution of all statistics in place of
Bonferroni's bound, which is blind where there are few tasks and many pairs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from variability.stats import comparisons, resampling, simultaneous
from variability.stats.null_statistics import FEWEST_RESAMPLES, MOST_STATISTICS

#: Most tasks for which the distribution of the signed-rank statistic is enumerated.
EXACT = 50
# Scores whose difference is due to rounding.
_SLACK = 1e-9


class OverTasks(NamedTuple):
    """Decisions over tasks. All arrays are (pairs,), except for order and first.

    a, b: candidates; a is ahead of b in ``order``. difference: mean of the differences a minus b; se: its standard
    error over tasks. n: tasks that have both. wins, ties, losses: tasks on which a is ahead, equal, behind. p: of the
    signed-rank test; p_floor: its smallest possible value. p_all: adjusted by Holm's method. p_best: of the leader
    against b, adjusted for the candidates that could lead over b. p_adjusted, beats, order, first, best: see
    ``simultaneous.Decisions``.
    """

    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    se: np.ndarray
    n: np.ndarray
    wins: np.ndarray
    ties: np.ndarray
    losses: np.ndarray
    p: np.ndarray
    p_floor: np.ndarray
    p_all: np.ndarray
    p_holm: np.ndarray
    p_best: np.ndarray
    p_adjusted: np.ndarray
    beats: np.ndarray
    order: np.ndarray
    first: np.ndarray
    best: bool
    flips: int
    exact: bool


def decide(differences: np.ndarray, alpha: float, rng: np.random.Generator, resamples: int) -> OverTasks:
    """Decide which candidates beat which over all tasks, by the rule of ``simultaneous.decide``.

    differences: (candidates, candidates, tasks), row minus column, larger is better, NaN where a task lacks one of the
    two, and 0 where they are equal. alpha: level of significance. resamples: joint sign flips if they cannot be
    enumerated; fewer if there are many pairs.

    Families: all pairs, step by step from the largest statistic (Romano & Wolf 2005); and the leader against each b,
    twice the probability that any candidate leads over b by as much (Hsu 1984). Both flip the signs of all differences
    of a task together: without differences between candidates, each flip is equally likely. A decision needs mean and
    signed ranks of one direction. Candidates are in the order of their mean difference from the others, which for
    complete tables is that of their means.
    """
    count = len(differences)
    n = (~np.isnan(differences)).sum(axis=2)
    mean = np.where(n > 0, np.nansum(differences, axis=2) / np.maximum(n, 1), np.nan)
    np.fill_diagonal(mean, np.nan)
    against_others = [np.nanmean(row) if not np.isnan(row).all() else 0.0 for row in mean]
    size = np.nanmax(np.abs(mean), initial=0) or 1.0
    order = np.argsort(-np.round(np.array(against_others) / size, 12), kind="stable")
    first, second = np.triu_indices(count, 1)
    a, b = order[first], order[second]
    of_pairs = differences[a, b]
    ranks = signed_ranks(of_pairs)
    p, floor = signed_rank_p(of_pairs, ranks)
    signs, exact = _signs(of_pairs.shape[1], len(a), rng, resamples)
    norm = np.sqrt(np.square(ranks).sum(axis=1))
    # Of pairs without a difference nothing can be flipped.
    scale = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)
    scores = ranks.sum(axis=1) * scale
    p_all = _all_pairs(p, scores, ranks * scale[:, None], signs, exact)
    p_best = _with_the_best(p, scores, first, second, ranks * scale[:, None], signs, exact)
    ahead = (mean[a, b] > 0) & (scores > 0)
    p_adjusted, _ = simultaneous.settle(first, second, p_all, p_best, ahead, alpha)
    beats = p_adjusted <= alpha
    beaten = np.zeros(count, dtype=bool)
    beaten[b[beats]] = True
    counts = {
        "wins": (of_pairs > 0).sum(axis=1),
        "ties": (of_pairs == 0).sum(axis=1),
        "losses": (of_pairs < 0).sum(axis=1),
    }
    return OverTasks(
        **{"a": a, "b": b, "difference": mean[a, b], "se": standard_error(of_pairs), "n": n[a, b], **counts},
        **{"p": p, "p_floor": floor, "p_all": p_all, "p_holm": comparisons.holm(p), "p_best": p_best},
        **{"p_adjusted": p_adjusted, "beats": beats, "order": order, "first": ~beaten},
        **{"best": bool(count > 1 and (~beaten).sum() == 1), "flips": len(signs), "exact": exact},
    )


def standard_error(differences: np.ndarray) -> np.ndarray:
    """Return the standard error over tasks of the mean of each row; NaN with fewer than two values."""
    n = (~np.isnan(differences)).sum(axis=1)
    mean = np.nansum(differences, axis=1) / np.maximum(n, 1)
    squares = np.nansum(np.square(differences - mean[:, None]), axis=1)
    return np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1)), np.nan)


# Joint sign flips -------------------------------------------------------------------------------------------------


def _signs(tasks, pairs, rng, resamples):
    """Return (flips, tasks) signs and whether they are all; the sign of the first task is fixed if they are."""
    if 2 ** (tasks - 1) <= max(resamples, comparisons.ENUMERABLE // 2) and tasks <= 2 * EXACT:
        numbers = np.arange(2 ** (tasks - 1))[:, None]
        return 1.0 - 2.0 * (numbers >> np.arange(tasks - 1, -1, -1) & 1), True
    resamples = min(resamples, max(FEWEST_RESAMPLES, MOST_STATISTICS // max(pairs, 1)))
    return rng.choice([-1.0, 1.0], size=(resamples, tasks)), False


def _p_value(exceeding, count, exact):
    return exceeding / count if exact else resampling.p_value(exceeding, count)


def _all_pairs(p, scores, ranks, signs, exact):
    """Return the p-values adjusted step by step. scores: (pairs,); ranks: (pairs, tasks), scaled to them."""
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    index = known[np.argsort(np.abs(scores[known]), kind="stable")]
    steps, largest = np.empty(len(index)), np.zeros(len(signs))
    for step, pair in enumerate(index):
        np.maximum(largest, np.abs(signs @ ranks[pair]), out=largest)
        exceeding = np.count_nonzero(largest >= abs(scores[pair]) - _SLACK)
        # The last hypothesis alone is tested by its own distribution.
        steps[step] = max(p[pair], _p_value(exceeding, len(signs), exact)) if step else p[pair]
    adjusted[index] = np.maximum.accumulate(steps[::-1])[::-1]
    return adjusted


def _with_the_best(p, scores, first, second, ranks, signs, exact):
    """Return twice the probability of the leader's lead over each candidate as the largest lead over it."""
    adjusted = np.full(p.shape, np.nan)
    of_leader = np.flatnonzero((first == 0) & ~np.isnan(p))
    if np.count_nonzero(~np.isnan(p)) == 1:
        return np.where(first == 0, p, np.nan)
    # All flips have an opposite, which is not among those that are enumerated.
    for pair in of_leader:
        over = (second == second[pair]) | (first == second[pair])
        direction = np.where(second[over] == second[pair], 1.0, -1.0)
        leads = signs @ (ranks[over] * direction[:, None]).T
        limit = scores[pair] - _SLACK
        exceeding = np.count_nonzero(leads.max(axis=1) >= limit)
        if exact:
            exceeding = (exceeding + np.count_nonzero(-leads.min(axis=1) >= limit)) / 2
        adjusted[pair] = np.clip(2 * _p_value(exceeding, len(signs), exact), p[pair], 1)
    return adjusted


# The signed-rank test -----------------------------------------------------------------------------------------------


def signed_ranks(differences: np.ndarray) -> np.ndarray:
    """Return twice the signed ranks of each row, 0 where a difference is 0 or missing. differences: (pairs, tasks).

    Ties have their average rank. Differences of 0 are ranked and then have no sign (Pratt 1959).
    """
    sizes = np.abs(differences)
    largest = np.nanmax(sizes, axis=1, initial=0, keepdims=True)
    # Sizes that differ only by rounding are equal.
    sizes = np.round(sizes / np.where(largest > 0, largest, 1), 12)
    ranks = stats.rankdata(sizes, axis=1, nan_policy="omit")
    return np.where(np.isnan(differences), 0, np.round(2 * ranks) * np.sign(differences))


def signed_rank_p(differences: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p-value and smallest possible p-value of the signed-rank test of each row (Wilcoxon 1945).

    differences: (pairs, tasks), NaN where missing; ranks: their ``signed_ranks``. Tests that they are symmetric about
    0, two-sided. Exact up to EXACT tasks, also with ties: all signs are equally likely, given the ranks. p is 1 if all
    are 0, and NaN without any.
    """
    n = (~np.isnan(differences)).sum(axis=1)
    p = [
        _p_of_ranks(values, of_row) if count else np.nan
        for values, of_row, count in zip(differences, ranks, n, strict=True)
    ]
    return np.array(p, dtype=float), np.where(n > 0, np.minimum(1, 2.0 ** (1 - n)), np.nan)


def _p_of_ranks(values, ranks):
    of_signs = ranks[ranks != 0].astype(int)
    if not len(of_signs):
        return 1.0
    if len(of_signs) > EXACT:
        known = values[~np.isnan(values)]
        return float(np.asarray(stats.wilcoxon(known, zero_method="pratt", method="asymptotic"))[1])
    smaller = min(of_signs[of_signs > 0].sum(), -of_signs[of_signs < 0].sum())
    return min(1.0, 2 * _lower_tails(tuple(np.sort(np.abs(of_signs)).tolist()))[smaller])


@lru_cache(maxsize=4096)
def _lower_tails(ranks: tuple[int, ...]) -> np.ndarray:
    """Return P(S <= s) for s from 0, where S is the sum of a random half of the ranks: each counts or does not."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: len(chances) - rank]
        chances = (chances + moved) / 2
    return np.cumsum(chances)
