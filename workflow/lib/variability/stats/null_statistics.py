"""Parametric bootstrap of the t statistics of all pairs of candidates, if all have equal means.

Statistics with different degrees of freedom are made comparable by their normal scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from variability.stats.pair_tests import Pairs, RunFacts, moments, welch_df
from variability.stats.rounding import ROUNDING

#: Number of statistics (resamples times pairs) that are simulated at most, and the fewest resamples all the same.
MOST_STATISTICS, FEWEST_RESAMPLES = 4_000_000, 2_000
# Number of elements of temporary arrays.
_CHUNK = 250_000


class Null(NamedTuple):
    """Normal scores that the bootstrap samples for candidates with equal means.

    scores: (pairs, resamples), absolute. leads: (candidates, resamples), the largest lead over each candidate.
    """

    scores: np.ndarray
    leads: np.ndarray


def sample_null(
    values: np.ndarray,
    paired: np.ndarray,
    pairs: Pairs,
    facts: RunFacts,
    rng: np.random.Generator,
    resamples: int,
) -> Null:
    """Sample the statistics of candidates with equal means and the spread that was observed.

    Candidates are sampled independently of each other, also where runs are pairs: the distribution of a paired t does
    not depend on what the pair has in common. A covariance that is estimated from a few seeds has too small a rank, and
    would make the largest of many statistics too small. Constants do not vary. Overlapping splits are not sampled: the
    t of either estimator of the variance has the same distribution, if that estimator is right.
    """
    count, known = len(pairs.a), ~np.isnan(pairs.t)
    resamples = min(resamples, max(FEWEST_RESAMPLES, MOST_STATISTICS // max(count, 1)))
    scores = np.zeros((count, resamples), dtype=np.float32)
    leads = np.zeros((len(values), resamples), dtype=np.float32)
    if not known.any():
        return Null(scores, leads)
    sample = (
        _paired_sampler(values, paired, pairs, facts)
        if paired[pairs.a, pairs.b].any()
        else _sampler(values, pairs, facts)
    )
    step = max(1, _CHUNK // max(count, values.size))
    for start in range(0, resamples, step):
        columns = slice(start, min(start + step, resamples))
        # Pairs that cannot be compared have a variance of 0 or too few runs.
        with np.errstate(invalid="ignore", divide="ignore"):
            difference, square, df = sample(rng, columns.stop - start)
            signed = normal_score(np.square(difference) / square, df)
        signed[~known] = 0
        scores[:, columns] = signed
        np.copysign(signed, difference, out=signed)
        _add_leads(leads[:, columns], signed)
    return Null(scores, leads)


def _sampler(values, pairs, facts):
    """Return the sampler for unpaired candidates: of their means and variances."""
    n, _, variance = moments(values, ROUNDING * np.nanmax(np.abs(values)))
    freedom, of_mean = np.maximum(n - 1, 1), np.nan_to_num(variance * (1 / n + facts.held_out))
    of_mean = np.where(facts.constant, 0.0, of_mean)
    of_mean = of_mean / of_mean.max()
    a, b = pairs.a, pairs.b
    freedom_a, freedom_b = (freedom[side][:, None].astype(np.float32) for side in (a, b))

    def sample(rng, count):
        size = (count, len(n))
        # A matrix of candidates in rows, whose rows are faster to select than columns.
        means = np.ascontiguousarray((rng.standard_normal(size) * np.sqrt(of_mean)).T, dtype=np.float32)
        of_means = np.ascontiguousarray((rng.chisquare(freedom, size) / freedom * of_mean).T)
        of_means = of_means.astype(np.float32)
        square = of_means[a] + of_means[b]
        # The degrees of freedom from shares, because squares of small variances are 0 in single precision.
        share = of_means[a] / square
        return means[a] - means[b], square, 1 / (np.square(share) / freedom_a + np.square(1 - share) / freedom_b)

    return sample


def _paired_sampler(values, paired, pairs, facts):
    """Return the sampler for candidates of which some are paired: of the values of every run."""
    present = (~np.isnan(values)).astype(float)
    _, _, variance = moments(values, ROUNDING * np.nanmax(np.abs(values)))
    is_paired = paired[pairs.a, pairs.b][:, None]
    # A paired t does not depend on the scale; equal scales allow for the most directions.
    scale = np.ones(len(values)) if is_paired.all() else np.sqrt(np.nan_to_num(variance))
    scale = scale / scale.max()
    # Sums over the runs of a that have a partner in b, and over all runs of unpaired candidates.
    first, second = (np.where(is_paired[:, 0], side, own) for side, own in ((pairs.b, pairs.a), (pairs.a, pairs.b)))
    common = present @ present.T
    n, n_b = common[pairs.a, first][:, None], common[pairs.b, second][:, None]
    divisor, divisor_b = (
        np.where(facts.constant[side][:, None], np.inf, own - 1) for side, own in ((pairs.a, n), (pairs.b, n_b))
    )

    def sample(rng, count):
        runs = rng.standard_normal((count, *values.shape)) * (scale[:, None] * present)
        sums, squares = (np.ascontiguousarray((one @ present.T).transpose(1, 2, 0)) for one in (runs, np.square(runs)))
        products = np.ascontiguousarray((runs @ runs.transpose(0, 2, 1)).transpose(1, 2, 0))
        mean, mean_b = sums[pairs.a, first] / n, sums[pairs.b, second] / n_b
        square_a, square_b = squares[pairs.a, first] / n, squares[pairs.b, second] / n_b
        of_pairs = square_a + square_b - 2 * products[pairs.a, pairs.b] / n - np.square(mean - mean_b)
        variance_a, variance_b = (square_a - np.square(mean)) / divisor, (square_b - np.square(mean_b)) / divisor_b
        square = np.maximum(np.where(is_paired, of_pairs / (n - 1), variance_a + variance_b), 0)
        df = np.where(is_paired, n - 1, welch_df(variance_a, variance_b, divisor + 1, divisor_b + 1))
        return tuple(array.astype(np.float32) for array in (mean - mean_b, square, df))

    return sample


def _add_leads(leads, signed):
    """Raise leads (candidates, resamples) to the largest signed score over each candidate."""
    start, count = 0, len(leads)
    for first in range(count - 1):
        block = signed[start : start + count - 1 - first]
        np.maximum(leads[first + 1 :], block, out=leads[first + 1 :])
        np.maximum(leads[first], -block.min(axis=0), out=leads[first])
        start += len(block)


def normal_score(square: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the normal score of t, approximately (Wallace 1959). square: t squared."""
    return np.sqrt(df * np.log(1 + square / df)) * ((8 * df + 1) / (8 * df + 3))


def t_of_score(score: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Invert ``normal_score``."""
    with np.errstate(over="ignore"):
        return np.sqrt(df * np.expm1(np.square(score * (8 * df + 3) / (8 * df + 1)) / df))
