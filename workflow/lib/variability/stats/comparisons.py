"""Tests and effect sizes that tell two sets of runs apart, or many candidates over tasks.

Arrays in, arrays out; every p-value is two-sided, and NaN where it cannot be had. Rows are pairs of candidates, one
after another, so that thousands of pairs cost a few matrix products. Randomisation tests double the smaller tail; the
difference of means is their statistic.
"""

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from variability.stats import resampling
from variability.stats.intervals import Interval

#: Up to so many arrangements of the labels or signs are enumerated.
ENUMERABLE = 20_000
NOT_SIGNIFICANT = "not significant"
NOT_MEANINGFUL = "significant, not meaningful"
MEANINGFUL = "significant and meaningful"
NOT_ESTIMABLE = "not estimable"
# Numbers held at once, by arrays that grow with pairs times arrangements.
_BLOCK = 1_000_000


# Student's t ------------------------------------------------------------------------------------------------------


def welch_p(
    mean: ArrayLike, sd: ArrayLike, n: ArrayLike, mean_b: ArrayLike, sd_b: ArrayLike, n_b: ArrayLike
) -> np.ndarray:
    """p-value of equal means of unpaired runs with unequal variances (Welch 1947), from moments (ddof 1).

    NaN with fewer than two runs on a side, and where neither side has any spread: t is then 0/0 or without bound.
    """
    moments = [np.array(each, dtype=float) for each in np.broadcast_arrays(mean, sd, n, mean_b, sd_b, n_b)]
    known = (moments[2] >= 2) & (moments[5] >= 2) & ((moments[1] > 0) | (moments[4] > 0))
    found = np.full(known.shape, np.nan)
    found[known] = stats.ttest_ind_from_stats(*(each[known] for each in moments), equal_var=False).pvalue
    return found


def paired_p(mean: ArrayLike, sd: ArrayLike, n: ArrayLike) -> np.ndarray:
    """p-value of a mean difference of 0 (Student 1908), from the moments (ddof 1) of the differences of n pairs.

    NaN with fewer than two pairs, and where all differences are equal.
    """
    mean, sd, n = (np.asarray(each, dtype=float) for each in (mean, sd, n))
    n, sd = np.where(n >= 2, n, np.nan), np.where(sd > 0, sd, np.nan)
    return 2 * special.stdtr(n - 1, -np.abs(mean / sd * np.sqrt(n)))


# Randomisation ----------------------------------------------------------------------------------------------------


class Randomised(NamedTuple):
    """p: (pairs,); floor: the smallest p that data without ties could give; arrangements: how many were looked at."""

    p: np.ndarray
    floor: float
    arrangements: int
    exact: bool


def sign_flip(differences: np.ndarray, rng: np.random.Generator, resamples: int) -> Randomised:
    """Of a mean difference of 0, for differences symmetric about it (Fisher 1935, sect. 21).

    differences: (pairs of candidates, n). All 2**n signs where they are few enough, else ``resamples`` random ones.
    """
    n = differences.shape[1]
    exact = 2**n <= ENUMERABLE
    signs = _all_signs(n) if exact else rng.choice([-1.0, 1.0], size=(resamples, n))
    return _randomised(signs, differences, exact)


def permutation(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, resamples: int) -> Randomised:
    """Of a and b having the same distribution (Pitman 1937).

    a: (pairs of candidates, n); b: (pairs, n_b). All ways to deal out the labels where they are few enough, else
    ``resamples`` random ones, the same for all pairs.
    """
    n, n_b = a.shape[1], b.shape[1]
    exact = comb(n + n_b, n) <= ENUMERABLE
    if exact:
        labels = _all_labels(n, n_b)
    else:
        labels = rng.permuted(np.tile(np.repeat([1.0, 0.0], [n, n_b]), (resamples, 1)), axis=1)
    pooled = np.concatenate([a, b], axis=1)
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    # Equal values must not differ by the rounding of their mean.
    centred[np.abs(centred) <= 1e-12 * np.abs(pooled)] = 0
    # The sum of a's values orders the arrangements as the difference of means does.
    return _randomised(labels, centred, exact, observed=np.arange(n + n_b) < n)


@lru_cache(maxsize=8)
def _all_signs(n: int) -> np.ndarray:
    return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


@lru_cache(maxsize=8)
def _all_labels(n: int, n_b: int) -> np.ndarray:
    labels = np.zeros((comb(n + n_b, n), n + n_b))
    np.put_along_axis(labels, np.array(list(combinations(range(n + n_b), n))), 1.0, axis=1)
    return labels


def _randomised(weights: np.ndarray, values: np.ndarray, exact: bool, observed: ArrayLike = True) -> Randomised:
    """weights: (arrangements, n) for the sum of values (pairs, n); observed: the weights of the data as they came."""
    count = len(weights)
    step = max(1, _BLOCK // count)
    blocks = [values[at : at + step] for at in range(0, len(values), step)]
    tails = [_smaller_tail(weights, block, observed) for block in blocks]
    tail = np.concatenate(tails) if tails else np.empty(0)
    share = tail / count if exact else resampling.p_value(tail, count)
    floor = 2 / count if exact else 2 / (count + 1)
    return Randomised(np.minimum(1, 2 * share), min(1.0, floor), count, exact)


def _smaller_tail(weights: np.ndarray, values: np.ndarray, observed: ArrayLike) -> np.ndarray:
    sums = weights @ values.T
    seen = np.where(observed, values, 0).sum(axis=1)
    # Equal sums of other addends differ in their last bits, and must count as equal.
    slack = 1e-9 * np.abs(values).sum(axis=1)
    return np.minimum((sums <= seen + slack).sum(axis=0), (sums >= seen - slack).sum(axis=0))


def mcnemar_p(repaired: ArrayLike, broken: ArrayLike) -> np.ndarray:
    """Exact McNemar test of one run before and after: of the changed examples, half for the better (McNemar 1947).

    1 where nothing changed.
    """
    repaired, broken = np.asarray(repaired, dtype=float), np.asarray(broken, dtype=float)
    return np.minimum(1, 2 * special.bdtr(np.minimum(repaired, broken), (repaired + broken).astype(int), 0.5))


def holm(p: ArrayLike) -> np.ndarray:
    """Step-down adjusted p-values of one family (Holm 1979); a NaN stays one and is none of the family's tests."""
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


# Probability of being better --------------------------------------------------------------------------------------


def superiority(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(A > B) + P(A = B) / 2 over all pairs of runs, the Mann-Whitney U / (n n_b); and the share of ties.

    a: (pairs of candidates, n); b: (pairs, n_b).
    """
    count = a.shape[1] * b.shape[1]
    step = max(1, _BLOCK // count)
    greater, equal = np.empty(len(a)), np.empty(len(a))
    for at in range(0, len(a), step):
        own, other = a[at : at + step, :, None], b[at : at + step, None, :]
        greater[at : at + step] = (own > other).reshape(-1, count).sum(axis=1)
        equal[at : at + step] = (own == other).reshape(-1, count).sum(axis=1)
    return (greater + equal / 2) / count, equal / count


def superiority_interval(share: ArrayLike, n: ArrayLike, n_b: ArrayLike, level: float) -> Interval:
    """Interval of P(A > B) from unpaired runs, which works at complete separation (Newcombe 2006, part 2, method 5).

    All values t with |share - t| <= z * SD(t), the SD being Hanley & McNeil's with both sample sizes replaced by their
    mean.
    """
    share, n, n_b = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (share, n, n_b)))
    z = special.ndtri(0.5 + level / 2)

    def within(t):
        size = (n + n_b) / 2 - 1
        variance = t * (1 - t) * (1 + size * (1 - t) / (2 - t) + size * t / (1 + t)) / (n * n_b)
        return np.square(share - t) <= z**2 * variance

    return tuple(_boundary(within, share, np.full(share.shape, end)) for end in (0.0, 1.0))


def share_interval(share: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Exact interval of a proportion of n pairs (Clopper & Pearson 1934): it excludes 1/2 where the sign test does.

    A score interval is narrower, and calls 5 of 5 significant at 5 % where the exact test has p = 1/16.
    """
    share, n = (np.asarray(each, dtype=float) for each in (share, n))
    tail, hits = (1 - level) / 2, np.asarray(share * n)
    # A parameter of 0, where the end is known, would be refused.
    low = special.betaincinv(np.maximum(hits, 1e-9), n - hits + 1, tail)
    high = special.betaincinv(hits + 1, np.maximum(n - hits, 1e-9), 1 - tail)
    return np.where(hits > 0, low, 0.0), np.where(hits < n, high, 1.0)


def _boundary(within, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    # Bisection to the last bit; an end of 0 or 1 that lies within stays the limit.
    for _ in range(60):
        middle = (inside + outside) / 2
        held = within(middle)
        inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
    return outside


def verdicts(low: ArrayLike, high: ArrayLike, gamma: float) -> np.ndarray:
    """What an interval of P(A > B) supports, whichever of the two is the better (Bouthillier et al. 2021).

    Significant if it excludes 1/2; meaningful if it reaches beyond gamma (or, for B, below 1 - gamma).
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    far = np.where(low > 0.5, high, 1 - low)
    cases = [np.isnan(low) | np.isnan(high), (low <= 0.5) & (high >= 0.5), far <= gamma]
    return np.select(cases, [NOT_ESTIMABLE, NOT_SIGNIFICANT, NOT_MEANINGFUL], MEANINGFUL)


# Many candidates over tasks ---------------------------------------------------------------------------------------


class Friedman(NamedTuple):
    """Statistics of the ranks of candidates over tasks; f and p are of the tie-corrected chi-square."""

    chi2: float
    chi2_ties: float
    f: float
    p: float


def friedman(ranks: np.ndarray) -> Friedman:
    """Of all candidates being equal: ranks (tasks, candidates), 1 is best, ties have their average.

    chi2 as Demsar (2006, sect. 3.2.2) writes it, without regard to ties; chi2_ties corrected for them (Conover 1999,
    sect. 5.8); f and p of Iman & Davenport (1980). NaN where all values of every task are tied. Where all tasks rank
    alike, f has no bound and p is the exact probability of that.
    """
    tasks, candidates = ranks.shape
    squares = np.square(ranks.mean(axis=0) - (candidates + 1) / 2).sum()
    chi2 = 12 * tasks / (candidates * (candidates + 1)) * squares
    spread = np.square(ranks - (candidates + 1) / 2).sum()
    if spread == 0:
        return Friedman(chi2, np.nan, np.nan, np.nan)
    corrected = (candidates - 1) * tasks**2 * squares / spread
    if (ranks == ranks[0]).all():
        return Friedman(chi2, corrected, np.nan, np.exp((1 - tasks) * _log_orders(ranks[0])))
    f = iman_davenport(corrected, tasks, candidates)
    return Friedman(chi2, corrected, f, stats.f.sf(f, candidates - 1, (candidates - 1) * (tasks - 1)))


def friedman_permutation(ranks: np.ndarray, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Monte-Carlo p-value of Friedman's statistic, ranks shuffled within every task, and the least it could be.

    It holds for any number of tasks: with two tasks and six candidates F's p is ten times too small. The floor is
    that of ranks without ties, which is 1/k! for two tasks, however many resamples.
    """
    tasks, candidates = ranks.shape
    shuffled = np.zeros((resamples, candidates))
    for row in ranks:
        shuffled += rng.permuted(np.tile(row, (resamples, 1)), axis=1)
    # Ties within tasks stay as they are, so that the sum of squares orders as chi2_ties does.
    seen = np.square(ranks.sum(axis=0)).sum()
    extreme = (np.square(shuffled).sum(axis=1) >= seen * (1 - 1e-9)).sum()
    floor = max(1 / (resamples + 1), float(np.exp((1 - tasks) * special.gammaln(candidates + 1))))
    return float(resampling.p_value(extreme, resamples)), floor


def iman_davenport(chi2: float, tasks: int, candidates: int) -> float:
    """F with (k - 1) and (k - 1)(N - 1) degrees of freedom from Friedman's chi-square (Iman & Davenport 1980)."""
    return (tasks - 1) * chi2 / (tasks * (candidates - 1) - chi2)


def _log_orders(ranks: np.ndarray) -> float:
    """Logarithm of the number of orders in which one task's ranks could have come."""
    ties = np.unique(ranks, return_counts=True)[1]
    return special.gammaln(len(ranks) + 1) - special.gammaln(ties + 1).sum()


def nemenyi_cd(candidates: int, tasks: int, level: float) -> float:
    """How far average ranks must lie apart to differ, any two of them (Nemenyi 1963; Demsar 2006, sect. 3.2.2)."""
    q = stats.studentized_range.ppf(level, candidates, np.inf) / np.sqrt(2)
    return q * np.sqrt(candidates * (candidates + 1) / (6 * tasks))


def alike(ranks: ArrayLike, cd: float) -> list[tuple[int, int]]:
    """First and last position of every largest set of average ranks, in ascending order, that lie less than cd apart.

    Sets of one are left out.
    """
    ranks = np.asarray(ranks, dtype=float)
    # Rounding must not make a difference of exactly cd a smaller one.
    lasts = np.searchsorted(ranks, ranks + cd - 1e-9, side="left") - 1
    found = [(first, int(last)) for first, last in enumerate(lasts) if last > first]
    return [(first, last) for at, (first, last) in enumerate(found) if at == 0 or last > found[at - 1][1]]
