"""Tests and effect sizes for the comparison of two sets of runs, or of many candidates over tasks.

Arrays in, arrays out. Every p-value is two-sided, and NaN where it is not defined. A row is a pair of candidates, so
that thousands of pairs cost a few matrix products. Randomisation tests double the smaller tail; their statistic is the
difference of means.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from variability.stats import resampling, rounding
from variability.stats.intervals import Interval

#: Largest number of arrangements of labels or signs that are enumerated.
ENUMERABLE = 20_000
NOT_SIGNIFICANT = "not significant"
NOT_MEANINGFUL = "significant, not meaningful"
MEANINGFUL = "significant and meaningful"
NOT_ESTIMABLE = "not estimable"
# Largest number of elements of temporary arrays, which grow with pairs times arrangements.
_CHUNK = 1_000_000


# Student's t ------------------------------------------------------------------------------------------------------


def welch_p(
    mean: ArrayLike, sd: ArrayLike, n: ArrayLike, mean_b: ArrayLike, sd_b: ArrayLike, n_b: ArrayLike
) -> np.ndarray:
    """Return the p-value of equal means of unpaired runs with unequal variances (Welch 1947).

    The arguments are moments of the two sides (SDs with ddof 1). NaN where a side has fewer than two runs, and where
    neither side has any spread: t is then 0/0 or infinite.
    """
    moments = [np.array(moment, dtype=float) for moment in np.broadcast_arrays(mean, sd, n, mean_b, sd_b, n_b)]
    known = (moments[2] >= 2) & (moments[5] >= 2) & ((moments[1] > 0) | (moments[4] > 0))
    p = np.full(known.shape, np.nan)
    p[known] = stats.ttest_ind_from_stats(*(moment[known] for moment in moments), equal_var=False).pvalue
    return p


def paired_p(mean: ArrayLike, sd: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Return the p-value of a mean difference of 0 in n pairs (Student 1908).

    mean, sd: moments of the differences (ddof 1). NaN with fewer than two pairs, and where all differences are equal.
    """
    mean, sd, n = (np.asarray(moment, dtype=float) for moment in (mean, sd, n))
    n, sd = np.where(n >= 2, n, np.nan), np.where(sd > 0, sd, np.nan)
    return 2 * special.stdtr(n - 1, -np.abs(mean / sd * np.sqrt(n)))


# Randomisation ----------------------------------------------------------------------------------------------------


class RandomisationTest(NamedTuple):
    """Result of a randomisation test of several pairs of candidates.

    p: (pairs,). floor: the smallest p that data without ties could give. arrangements: the number that was evaluated.
    exact: True if these are all arrangements.
    """

    p: np.ndarray
    floor: float
    arrangements: int
    exact: bool


def sign_flip(differences: np.ndarray, rng: np.random.Generator, resamples: int) -> RandomisationTest:
    """Test a mean difference of 0, for differences that are symmetric about it (Fisher 1935, sect. 21).

    differences: (pairs of candidates, n). Evaluates all 2**n signs if they can be enumerated, and ``resamples`` random
    ones otherwise.
    """
    signs, exact = signs_of(differences.shape[1], rng, resamples)
    return _randomisation_test(signs, differences, exact)


def permutation(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, resamples: int) -> RandomisationTest:
    """Test that a and b have the same distribution (Pitman 1937).

    a: (pairs of candidates, n); b: (pairs, n_b). Evaluates all assignments of the labels if they can be enumerated, and
    ``resamples`` random ones otherwise, the same for all pairs.
    """
    n, n_b = a.shape[1], b.shape[1]
    labels, exact = labels_of(n, n_b, rng, resamples)
    pooled = np.concatenate([a, b], axis=1)
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    centred[rounding.is_rounding(np.abs(centred), pooled)] = 0
    # The sum of a's values orders the arrangements in the same way as the difference of means.
    return _randomisation_test(labels, centred, exact, observed=np.arange(n + n_b) < n)


def signs_of(n: int, rng: np.random.Generator, resamples: int) -> tuple[np.ndarray, bool]:
    """Return (arrangements, n) signs of 1 and -1, and whether these are all."""
    exact = 2**n <= ENUMERABLE
    return (_all_signs(n) if exact else rng.choice([-1.0, 1.0], size=(resamples, n))), exact


def labels_of(n: int, n_b: int, rng: np.random.Generator, resamples: int) -> tuple[np.ndarray, bool]:
    """Return (arrangements, n + n_b) labels, 1 for n of the runs and otherwise 0, and whether these are all."""
    if comb(n + n_b, n) <= ENUMERABLE:
        return _all_labels(n, n_b), True
    return rng.permuted(np.tile(np.repeat([1.0, 0.0], [n, n_b]), (resamples, 1)), axis=1), False


@lru_cache(maxsize=8)
def _all_signs(n: int) -> np.ndarray:
    return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


@lru_cache(maxsize=8)
def _all_labels(n: int, n_b: int) -> np.ndarray:
    labels = np.zeros((comb(n + n_b, n), n + n_b))
    np.put_along_axis(labels, np.array(list(combinations(range(n + n_b), n))), 1.0, axis=1)
    return labels


def _randomisation_test(
    weights: np.ndarray, values: np.ndarray, exact: bool, observed: ArrayLike = True
) -> RandomisationTest:
    """Test each row of values against the weighted sums that the arrangements give.

    weights: (arrangements, n); values: (pairs, n); observed: the weights of the data as observed.
    """
    count = len(weights)
    step = max(1, _CHUNK // count)
    chunks = [values[start : start + step] for start in range(0, len(values), step)]
    tails = [_smaller_tail(weights, chunk, observed) for chunk in chunks]
    tail = np.concatenate(tails) if tails else np.empty(0)
    share = tail / count if exact else resampling.p_value(tail, count)
    floor = 2 / count if exact else 2 / (count + 1)
    return RandomisationTest(np.minimum(1, 2 * share), min(1.0, floor), count, exact)


def _smaller_tail(weights: np.ndarray, values: np.ndarray, observed: ArrayLike) -> np.ndarray:
    sums = weights @ values.T
    observed_sum = np.where(observed, values, 0).sum(axis=1)
    # Sums of different terms that are equal differ in their last bits, and must count as equal.
    slack = 1e-9 * np.abs(values).sum(axis=1)
    return np.minimum((sums <= observed_sum + slack).sum(axis=0), (sums >= observed_sum - slack).sum(axis=0))


def mcnemar_p(repaired: ArrayLike, broken: ArrayLike) -> np.ndarray:
    """Return the p-value of the exact McNemar test of one run before and after fine-tuning (McNemar 1947).

    Tests that half of the changed examples changed for the better. 1 where nothing changed.
    """
    repaired, broken = np.asarray(repaired, dtype=float), np.asarray(broken, dtype=float)
    return np.minimum(1, 2 * special.bdtr(np.minimum(repaired, broken), (repaired + broken).astype(int), 0.5))


def holm(p: ArrayLike) -> np.ndarray:
    """Adjust the p-values of one family by Holm's step-down method (1979).

    A NaN stays NaN and does not count as a test of the family.
    """
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


# Probability of being better --------------------------------------------------------------------------------------


def superiority(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(A > B) + P(A = B) / 2 over all pairs of runs, and the share of ties.

    a: (pairs of candidates, n); b: (pairs, n_b). The first is the Mann-Whitney U / (n n_b).
    """
    count = a.shape[1] * b.shape[1]
    step = max(1, _CHUNK // count)
    greater, equal = np.empty(len(a)), np.empty(len(a))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        runs, other_runs = a[rows, :, None], b[rows, None, :]
        greater[rows] = (runs > other_runs).reshape(-1, count).sum(axis=1)
        equal[rows] = (runs == other_runs).reshape(-1, count).sum(axis=1)
    return (greater + equal / 2) / count, equal / count


def superiority_interval(share: ArrayLike, n: ArrayLike, n_b: ArrayLike, level: float) -> Interval:
    """Return the interval of P(A > B) from unpaired runs (Newcombe 2006, part 2, method 5).

    It is also valid where the runs separate completely. It holds all values t with |share - t| <= z * SD(t), where the
    SD is that of Hanley & McNeil with both sample sizes replaced by their mean.
    """
    share, n, n_b = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in (share, n, n_b)))
    z = special.ndtri(0.5 + level / 2)

    def within(t: np.ndarray) -> np.ndarray:
        size = (n + n_b) / 2 - 1
        variance = t * (1 - t) * (1 + size * (1 - t) / (2 - t) + size * t / (1 + t)) / (n * n_b)
        return np.square(share - t) <= z**2 * variance

    low, high = (_boundary(within, share, np.full(share.shape, end)) for end in (0.0, 1.0))
    return low, high


def share_interval(share: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Return the exact interval of a proportion of n pairs (Clopper & Pearson 1934).

    It excludes 1/2 exactly where the sign test rejects. A score interval is narrower, and would call 5 of 5 significant
    at 5 %, where the exact test has p = 1/16.
    """
    share, n = (np.asarray(value, dtype=float) for value in (share, n))
    tail, hits = (1 - level) / 2, np.asarray(share * n)
    # betaincinv refuses a parameter of 0; there the end of the interval is known.
    low = special.betaincinv(np.maximum(hits, 1e-9), n - hits + 1, tail)
    high = special.betaincinv(hits + 1, np.maximum(n - hits, 1e-9), 1 - tail)
    return np.where(hits > 0, low, 0.0), np.where(hits < n, high, 1.0)


def _boundary(within: Callable[[np.ndarray], np.ndarray], inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    # Bisect to the last bit; an end of 0 or 1 that is itself within remains the limit.
    for _ in range(60):
        middle = (inside + outside) / 2
        is_within = within(middle)
        inside, outside = np.where(is_within, middle, inside), np.where(is_within, outside, middle)
    return outside


def verdicts(low: ArrayLike, high: ArrayLike, gamma: float) -> np.ndarray:
    """Return the verdicts that intervals of P(A > B) support, in either direction (Bouthillier et al. 2021).

    A difference is significant if the interval excludes 1/2, and meaningful if the interval extends beyond gamma (or,
    in favour of B, below 1 - gamma).
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    extreme = np.where(low > 0.5, high, 1 - low)
    cases = [np.isnan(low) | np.isnan(high), (low <= 0.5) & (high >= 0.5), extreme <= gamma]
    return np.select(cases, [NOT_ESTIMABLE, NOT_SIGNIFICANT, NOT_MEANINGFUL], MEANINGFUL)


# Many candidates over tasks ---------------------------------------------------------------------------------------


class Friedman(NamedTuple):
    """Statistics of the ranks of candidates over tasks; f and p belong to the tie-corrected chi-square."""

    chi2: float
    chi2_ties: float
    f: float
    p: float


def friedman(ranks: np.ndarray) -> Friedman:
    """Test that all candidates are equal. ranks: (tasks, candidates), 1 is best, ties have their average.

    chi2 is the statistic of Demsar (2006, sect. 3.2.2), which ignores ties; chi2_ties is corrected for ties (Conover
    1999, sect. 5.8); f and p follow Iman & Davenport (1980). NaN where all values of every task are tied. If all tasks
    give the same ranking, f is unbounded and p is the exact probability of that.
    """
    tasks, candidates = ranks.shape
    squares = np.square(ranks.mean(axis=0) - (candidates + 1) / 2).sum()
    chi2 = 12 * tasks / (candidates * (candidates + 1)) * squares
    spread = np.square(ranks - (candidates + 1) / 2).sum()
    if spread == 0:
        return Friedman(chi2, np.nan, np.nan, np.nan)
    corrected = (candidates - 1) * tasks**2 * squares / spread
    if (ranks == ranks[0]).all():
        return Friedman(chi2, corrected, np.nan, float(np.exp((1 - tasks) * _log_orders(ranks[0]))))
    f = iman_davenport(corrected, tasks, candidates)
    return Friedman(chi2, corrected, f, float(stats.f.sf(f, candidates - 1, (candidates - 1) * (tasks - 1))))


def friedman_permutation(ranks: np.ndarray, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Return the Monte-Carlo p-value of Friedman's statistic, and the smallest possible one.

    Ranks are shuffled within every task. The test is valid for any number of tasks: with two tasks and six candidates
    the p of F is ten times too small. The smallest possible value is that of ranks without ties, which is 1/k! for two
    tasks, however many resamples there are.
    """
    tasks, candidates = ranks.shape
    shuffled = np.zeros((resamples, candidates))
    for row in ranks:
        shuffled += rng.permuted(np.tile(row, (resamples, 1)), axis=1)
    # Ties within tasks are the same in all shuffles, so the sum of squares orders them as chi2_ties does.
    observed = np.square(ranks.sum(axis=0)).sum()
    extreme = (np.square(shuffled).sum(axis=1) >= observed * (1 - 1e-9)).sum()
    floor = max(1 / (resamples + 1), float(np.exp((1 - tasks) * special.gammaln(candidates + 1))))
    return float(resampling.p_value(extreme, resamples)), floor


def iman_davenport(chi2: float, tasks: int, candidates: int) -> float:
    """Convert Friedman's chi-square to F with k - 1 and (k - 1)(N - 1) degrees of freedom."""
    return (tasks - 1) * chi2 / (tasks * (candidates - 1) - chi2)


def _log_orders(ranks: np.ndarray) -> float:
    """Return the logarithm of the number of distinct orders of one task's ranks."""
    ties = np.unique(ranks, return_counts=True)[1]
    return special.gammaln(len(ranks) + 1) - special.gammaln(ties + 1).sum()


def nemenyi_cd(candidates: int, tasks: int, level: float) -> float:
    """Return the critical difference of two average ranks (Nemenyi 1963; Demsar 2006, sect. 3.2.2)."""
    q = stats.studentized_range.ppf(level, candidates, np.inf) / np.sqrt(2)
    return q * np.sqrt(candidates * (candidates + 1) / (6 * tasks))


def not_different(ranks: ArrayLike, cd: float) -> list[tuple[int, int]]:
    """Return the largest sets of average ranks that differ by less than cd, as (first, last) positions.

    ranks: in ascending order. Sets of one are left out.
    """
    ranks = np.asarray(ranks, dtype=float)
    # Rounding must not turn a difference of exactly cd into a smaller one.
    lasts = np.searchsorted(ranks, ranks + cd - 1e-9, side="left") - 1
    sets = [(first, int(last)) for first, last in enumerate(lasts) if last > first]
    return [(first, last) for i, (first, last) in enumerate(sets) if i == 0 or last > sets[i - 1][1]]
