"""Randomisation of Student's t, for pairs of candidates of which some runs are far from the others of their cell.

Where single runs collapse, a t distribution is a poor model of t: it is blind where the collapsed runs are on the side
with few runs, and finds too much where they are all on the side with many. The distribution of the same statistic over
all assignments of the runs to the two sides is exact if both are samples of one distribution, whatever its form, and
tends to that of equal means where they are not (Janssen, Stat. Probab. Lett. 36 (1997) 9; Chung & Romano, Ann. Stat. 41
(2013) 484). Pairs of runs change their signs instead (Fisher 1935).
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from variability.stats import comparisons, resampling
from variability.stats.pair_tests import Pairs, RunFacts

#: Number of statistics (arrangements times pairs) that are computed at most, and the fewest arrangements all the same.
MOST_STATISTICS, FEWEST = 20_000_000, 2_000
# Statistics that differ by less than this share are equal.
_SLACK = 1e-9


class Permuted(NamedTuple):
    """Randomisation tests of pairs, in the order of ``Pairs``.

    separate: (pairs,), True where runs of a side are far from its others; of pairs of runs, only one run of the two. p:
    (pairs,) two-sided, twice the smaller tail, for unpaired runs at least ``p_supporting``; NaN for pairs that are not
    tested in this way. floor: (pairs,) the smallest p that this number of runs can give. samples: {pair:
    (arrangements,) statistics, ascending}. exact: {pair: True if these are all arrangements}.
    """

    separate: np.ndarray
    p: np.ndarray
    floor: np.ndarray
    samples: dict[int, np.ndarray]
    exact: dict[int, bool]

    def interval(self, pairs: Pairs, pair: int, p: float) -> tuple[float, float]:
        """Return the ends of the differences of a pair whose two-sided p is above ``p``; NaN if that holds for all."""
        lower, upper = self._quantiles(pair, p)
        if not np.isfinite(upper):
            return np.nan, np.nan
        difference, se = float(pairs.difference[pair]), float(pairs.se[pair])
        return difference - upper * se, difference - lower * se

    def _quantiles(self, pair: int, p: float) -> tuple[float, float]:
        """Return the statistics beyond which the two-sided p of a pair is at most ``p``; infinite if none is."""
        sample = self.samples[pair]
        count = len(sample)
        tail = int(p / 2 * count + _SLACK) if self.exact[pair] else int(p / 2 * (count + 1) + _SLACK) - 1
        # All arrangements contain the observed one, so that no tail of them is empty.
        if tail < (1 if self.exact[pair] else 0) or tail >= count:
            return -np.inf, np.inf
        return float(sample[tail]), float(sample[count - 1 - tail])


def floor(n: ArrayLike, n_b: ArrayLike, paired: ArrayLike) -> np.ndarray:
    """Return the smallest two-sided p of a randomisation test: 2 / (n + n_b over n), of pairs 2 / 2^n."""
    n, n_b, paired = np.broadcast_arrays(n, n_b, paired)
    arrangements = [
        2.0 ** min(int(a), 1000) if is_paired else float(min(comb(int(a) + int(b), int(a)), 10**300))
        for a, b, is_paired in zip(n.ravel(), n_b.ravel(), paired.ravel(), strict=True)
    ]
    return np.minimum(1, 2 / np.array(arrangements)).reshape(n.shape)


def of_separate(
    values: np.ndarray,
    paired: np.ndarray,
    pairs: Pairs,
    facts: RunFacts,
    alpha: float,
    rng: np.random.Generator,
    resamples: int,
) -> Permuted:
    """Test the pairs with runs that are separate from the others of their side, if so few runs can show anything.

    The choice depends on the runs within each side and on their number, never on how far the sides differ. Runs whose
    splits overlap are left out: they are not exchangeable with those of the other side. Arguments: see ``test``.
    """
    is_paired = paired[pairs.a, pairs.b]
    a, b = facts.separate[pairs.a], facts.separate[pairs.b]
    separate = np.where(is_paired, (a ^ b).any(axis=1), (a | b).any(axis=1))
    reachable = floor(pairs.n, pairs.n_b, is_paired) <= alpha
    own_split = (facts.held_out[pairs.a] > 0) | (facts.held_out[pairs.b] > 0)
    chosen = separate & reachable & ~own_split & ~np.isnan(pairs.p) & (np.minimum(pairs.n, pairs.n_b) >= 2)
    result = test(values, paired, pairs, chosen, rng, resamples)
    p = result.p.copy()
    for pair in np.flatnonzero(chosen & ~is_paired):
        sides = [(values[row], facts.separate[row]) for row in (pairs.a[pair], pairs.b[pair])]
        (first, far), (second, far_b) = ((side[~np.isnan(side)], marks[~np.isnan(side)]) for side, marks in sides)
        p[pair] = max(p[pair], p_supporting(first, second, far, far_b))
    return result._replace(separate=separate, p=p)


def p_supporting(first: np.ndarray, second: np.ndarray, far: np.ndarray, far_b: np.ndarray) -> float:
    """Return the smaller p of two tests, of which one has to agree that two sides differ.

    Brunner & Munzel's of P(A > B) = 1/2, and Fisher's exact test of equal shares of runs that are far off. It only ever
    raises the p-value of the randomisation test, whose level it therefore cannot exceed. first, second: (n,), (n_b,)
    values; far, far_b: the marks of their runs.
    """
    counts = [[np.count_nonzero(marks), np.count_nonzero(~marks)] for marks in (far, far_b)]
    p_shares = float(np.asarray(stats.fisher_exact(counts), dtype=float)[1])
    if first.min() > second.max() or first.max() < second.min():
        # No run of one side is below a run of the other: the estimated variance of P(A > B) is 0.
        return 0.0
    equal = max(first.max(), second.max()) == min(first.min(), second.min())
    return p_shares if equal else min(p_shares, float(stats.brunnermunzel(first, second).pvalue))


def test(
    values: np.ndarray, paired: np.ndarray, pairs: Pairs, chosen: np.ndarray, rng: np.random.Generator, resamples: int
) -> Permuted:
    """Test the chosen pairs by the distribution of their t over all arrangements, or ``resamples`` random ones.

    values: (candidates, seeds); paired: (candidates, candidates); pairs: of ``pair_tests.compare`` of them. chosen:
    (pairs,) bool, with a standard error; these are the ``separate`` ones of the result.
    """
    is_paired = paired[pairs.a, pairs.b]
    p = np.full(len(pairs.a), np.nan)
    result = Permuted(chosen, p, floor(pairs.n, pairs.n_b, is_paired), {}, {})
    resamples = min(resamples, max(FEWEST, MOST_STATISTICS // max(int(chosen.sum()), 1)))
    labels: dict[tuple[int, int], tuple[np.ndarray, bool]] = {}
    for pair in np.flatnonzero(chosen):
        first, second = values[pairs.a[pair]], values[pairs.b[pair]]
        if is_paired[pair]:
            differences = (first - second)[~np.isnan(first - second)]
            key = (len(differences), 0)
            if key not in labels:
                labels[key] = comparisons.signs_of(key[0], rng, resamples)
            sample, observed = _one_sample(labels[key][0], differences), _one_sample(np.ones((1, key[0])), differences)
        else:
            first, second = first[~np.isnan(first)], second[~np.isnan(second)]
            key = (len(first), len(second))
            if key not in labels:
                labels[key] = comparisons.labels_of(*key, rng, resamples)
            pooled = np.concatenate([first, second])
            own = (np.arange(len(pooled)) < key[0])[None].astype(float)
            sample, observed = (_welch(weights, pooled, key[0]) for weights in (labels[key][0], own))
        exact, t = labels[key][1], observed[0]
        slack = _SLACK * max(1.0, abs(t))
        tail = min(np.count_nonzero(sample >= t - slack), np.count_nonzero(sample <= t + slack))
        share = tail / len(sample) if exact else float(resampling.p_value(tail, len(sample)))
        p[pair] = min(1.0, 2 * share)
        result.samples[int(pair)], result.exact[int(pair)] = np.sort(sample), exact
    return result


def _welch(labels: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Return Welch's t of each arrangement. labels: (arrangements, runs), 1 for the n runs of the first side."""
    centred, n_b = values - values.mean(), len(values) - n
    squares = np.square(centred)
    mean = labels @ centred / n
    mean_b = (centred.sum() - n * mean) / n_b
    within = np.maximum(labels @ squares - n * np.square(mean), 0)
    within_b = np.maximum(squares.sum() - labels @ squares - n_b * np.square(mean_b), 0)
    variance = within / (max(n - 1, 1) * n) + within_b / (max(n_b - 1, 1) * n_b)
    return _ratio(mean - mean_b, variance, np.abs(centred).max())


def _one_sample(signs: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Return Student's t of the differences with each arrangement of signs."""
    n = len(differences)
    mean = signs @ differences / n
    variance = np.maximum(np.square(differences).sum() - n * np.square(mean), 0) / (n - 1) / n
    return _ratio(mean, variance, np.abs(differences).max())


def _ratio(difference, variance, size):
    """Return difference / root of variance, infinite where nothing varies and 0 where nothing differs."""
    difference = np.where(np.abs(difference) <= _SLACK * size, 0.0, difference)
    se = np.sqrt(np.where(variance <= (_SLACK * size) ** 2, 0.0, variance))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = difference / se
    return np.where(difference == 0, 0.0, t)
