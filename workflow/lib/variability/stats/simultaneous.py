"""Decisions about all candidates of a task together: which beats which, and which is the best.

Every two candidates are compared by Student's t: paired where their runs are pairs, otherwise Welch's. A parametric
bootstrap of the largest statistic adjusts for the number of comparisons. It allows for unequal numbers of runs and
unequal variances; statistics with different degrees of freedom are made comparable by their normal scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from variability.stats import resampling
from variability.stats.rounding import ROUNDING

#: Number of statistics (resamples times pairs) that are simulated at most, and the fewest resamples all the same.
MOST_STATISTICS, FEWEST_RESAMPLES = 4_000_000, 2_000
# Number of elements of temporary arrays.
_CHUNK = 250_000


class Pairs(NamedTuple):
    """Comparisons of every two candidates; all arrays are (pairs,).

    a, b: their indices; a has the better mean. difference: a minus b. se: its standard error. df, t, p: of the
    two-sided t test, NaN where a side has fewer than two runs and where nothing varies. n, n_b: numbers of runs of a
    and b, or of pairs. constant: True where both sides have two runs or more, and nothing varies.
    """

    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    se: np.ndarray
    df: np.ndarray
    t: np.ndarray
    p: np.ndarray
    n: np.ndarray
    n_b: np.ndarray
    constant: np.ndarray


class Decisions(NamedTuple):
    """Decisions about the candidates of a task. All arrays are (pairs,), except for order and first.

    p_all: adjusted over all pairs. p_best: adjusted for the comparisons with the best, NaN for pairs without the
    leader. p_adjusted: the p-value that decides: a beats b if it is at most alpha. low, high: interval of the
    difference, which contains 0 unless a beats b (an end may be 0); a point where nothing varies. order: candidates
    from the best mean to the worst. first: (candidates,), True for those that nobody beats. best: True if the leader,
    order[0], beats each other candidate.
    """

    pairs: Pairs
    p_all: np.ndarray
    p_best: np.ndarray
    p_adjusted: np.ndarray
    beats: np.ndarray
    low: np.ndarray
    high: np.ndarray
    order: np.ndarray
    first: np.ndarray
    best: bool
    resamples: int


class _Null(NamedTuple):
    """Normal scores that the bootstrap samples for candidates with equal means.

    scores: (pairs, resamples), absolute. leads: (candidates, resamples), the largest lead over each candidate.
    """

    scores: np.ndarray
    leads: np.ndarray


def decide(values: np.ndarray, paired: np.ndarray, alpha: float, rng: np.random.Generator, resamples: int) -> Decisions:
    """Decide which candidates beat which, which share the first place, and which is the best.

    values: (candidates, seeds), larger is better, NaN where there is no value; each candidate has at least one. paired:
    (candidates, candidates), True where runs with equal seeds are pairs. alpha: level of significance. resamples: of
    the bootstrap; fewer if there are more than MOST_STATISTICS / resamples pairs.

    All pairs: p_all is adjusted by the step-down method of Romano & Wolf (2005), which limits the probability of any
    false statement "A differs from B" to alpha. Comparisons with the best (Hsu 1984): p_best is twice the probability
    that any candidate leads over b by as much as the leader does, if all are equal. If b is the best or shares the
    first place, the leader is called the best with a probability of at most alpha / 2; so if two or more share it, a
    winner is named with at most alpha.

    A beats B if p_all is at most alpha; if A is the leader and p_best is at most alpha against every other candidate;
    and if A beats a candidate that beats B. So the best beats each, and there is a best candidate if and only if a
    single one is not beaten.
    """
    # Equal means of runs that were summed in different orders differ in their last bits.
    # Powers of two scale exactly: decisions do not depend on the unit of the metric, and no square overflows.
    exponent = int(np.frexp(np.nanmax(np.abs(values), initial=0))[1])
    values = np.ldexp(values, -exponent)
    unit = ROUNDING * np.nanmax(np.abs(values), initial=0) or 1.0
    means = np.nanmean(values, axis=1)
    order = np.argsort(-np.round(means / unit) * unit, kind="stable")
    # From here on in the order of the means, so that the first of two candidates is the better one.
    values, paired = values[order], paired[np.ix_(order, order)]
    pairs = compare(values, paired)
    null = _null(values, paired, pairs, rng, resamples)
    p_all, critical = _all_pairs(pairs, null.scores, alpha)
    p_best, critical_best = _with_the_best(pairs, null.leads, alpha)
    of_leader = pairs.a == 0
    p_adjusted, score = p_all.copy(), np.full(p_all.shape, critical)
    if of_leader.any() and (p_best[of_leader] <= alpha).all():
        p_adjusted[of_leader] = np.fmin(p_all, p_best)[of_leader]
        score[of_leader] = np.fmin(critical, critical_best)[of_leader]
    # Where values are missing, the pairs can point the other way than the means; then nothing is decided.
    ahead = (pairs.difference > 0) & (means[order][pairs.a] - means[order][pairs.b] > unit)
    p_adjusted = np.where(~ahead & (p_adjusted <= alpha), np.nan, p_adjusted)
    p_adjusted = _with_implied(pairs, p_adjusted, ahead, alpha)
    beats = p_adjusted <= alpha
    half = _t_of_score(score, pairs.df) * pairs.se
    low, high = pairs.difference - half, pairs.difference + half
    low, high = np.where(beats, np.maximum(low, 0), np.minimum(low, 0)), np.maximum(high, 0)
    constant = pairs.constant & ~beats
    low, high = (np.where(constant, pairs.difference, end) for end in (low, high))
    beaten = np.zeros(len(order), dtype=bool)
    beaten[order[pairs.b[beats]]] = True
    low, high, difference, se = (np.ldexp(part, exponent) for part in (low, high, pairs.difference, pairs.se))
    pairs = pairs._replace(a=order[pairs.a], b=order[pairs.b], difference=difference, se=se)
    best = len(order) > 1 and (~beaten).sum() == 1
    return Decisions(
        pairs, p_all, p_best, p_adjusted, beats, low, high, order, ~beaten, bool(best), null.leads.shape[1]
    )


# The observed statistics -------------------------------------------------------------------------------------------


def compare(values: np.ndarray, paired: np.ndarray) -> Pairs:
    """Return the t tests of every two candidates, a before b. Arguments are those of ``decide``."""
    a, b = np.triu_indices(len(values), 1)
    is_paired = paired[a, b]
    rounding = ROUNDING * np.nanmax(np.abs(values), initial=0)
    n, mean, variance = _moments(values, rounding)
    of_mean = variance / np.maximum(n, 1)
    difference, square = mean[a] - mean[b], of_mean[a] + of_mean[b]
    df = welch_df(of_mean[a], of_mean[b], n[a], n[b])
    n_a, n_b = n[a], n[b]
    if is_paired.any():
        n_pairs, mean, variance = _moments(values[a[is_paired]] - values[b[is_paired]], rounding)
        difference[is_paired], square[is_paired] = mean, variance / np.maximum(n_pairs, 1)
        df[is_paired], n_a[is_paired], n_b[is_paired] = n_pairs - 1, n_pairs, n_pairs
    difference[np.abs(difference) <= rounding] = 0.0
    enough = np.minimum(n_a, n_b) >= 2
    known = enough & (square > 0)
    se, df = np.where(known, np.sqrt(square), np.nan), np.where(known, df, np.nan)
    t = difference / se
    return Pairs(a, b, difference, se, df, t, 2 * special.stdtr(df, -np.abs(t)), n_a, n_b, enough & ~known)


def welch_df(variance: np.ndarray, variance_b: np.ndarray, n: np.ndarray, n_b: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of Welch's test (1947). variance, variance_b: of the two means."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.square(variance + variance_b) / (np.square(variance) / (n - 1) + np.square(variance_b) / (n_b - 1))


def _moments(values, rounding):
    """Return number, mean and variance of the values of each row; the variance is 0 where they are equal."""
    missing = np.isnan(values)
    n = (~missing).sum(axis=1)
    filled = np.where(missing, 0, values)
    mean = np.where(n > 0, filled.sum(axis=1) / np.maximum(n, 1), np.nan)
    deviations = np.where(missing, 0, values - mean[:, None])
    variance = np.square(deviations).sum(axis=1) / np.maximum(n - 1, 1)
    spread = deviations.max(axis=1, initial=0) - deviations.min(axis=1, initial=0)
    return n, mean, np.where(n < 2, np.nan, np.where(spread <= rounding, 0.0, variance))


# The bootstrap -----------------------------------------------------------------------------------------------------


def _null(values, paired, pairs, rng, resamples) -> _Null:
    """Sample the statistics of candidates with equal means and the spread that was observed.

    Candidates are sampled independently of each other, also where runs are pairs: the distribution of a paired t does
    not depend on what the pair has in common. A covariance that is estimated from a few seeds has too small a rank, and
    would make the largest of many statistics too small.
    """
    count, known = len(pairs.a), ~np.isnan(pairs.t)
    resamples = min(resamples, max(FEWEST_RESAMPLES, MOST_STATISTICS // max(count, 1)))
    scores = np.zeros((count, resamples), dtype=np.float32)
    leads = np.zeros((len(values), resamples), dtype=np.float32)
    if not known.any():
        return _Null(scores, leads)
    sample = _paired_sampler(values, paired, pairs) if paired[pairs.a, pairs.b].any() else _sampler(values, pairs)
    step = max(1, _CHUNK // max(count, values.size))
    for start in range(0, resamples, step):
        columns = slice(start, min(start + step, resamples))
        # Pairs that cannot be compared have a variance of 0 or too few runs.
        with np.errstate(invalid="ignore", divide="ignore"):
            difference, square, df = sample(rng, columns.stop - start)
            signed = _score(np.square(difference) / square, df)
        signed[~known] = 0
        scores[:, columns] = signed
        np.copysign(signed, difference, out=signed)
        _add_leads(leads[:, columns], signed)
    return _Null(scores, leads)


def _sampler(values, pairs):
    """Return the sampler for unpaired candidates: of their means and variances."""
    n, _, variance = _moments(values, ROUNDING * np.nanmax(np.abs(values)))
    freedom, of_mean = np.maximum(n - 1, 1), np.nan_to_num(variance / n)
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


def _paired_sampler(values, paired, pairs):
    """Return the sampler for candidates of which some are paired: of the values of every run."""
    present = (~np.isnan(values)).astype(float)
    _, _, variance = _moments(values, ROUNDING * np.nanmax(np.abs(values)))
    is_paired = paired[pairs.a, pairs.b][:, None]
    # A paired t does not depend on the scale; equal scales allow for the most directions.
    scale = np.ones(len(values)) if is_paired.all() else np.sqrt(np.nan_to_num(variance))
    scale = scale / scale.max()
    # Sums over the runs of a that have a partner in b, and over all runs of unpaired candidates.
    first, second = (np.where(is_paired[:, 0], side, own) for side, own in ((pairs.b, pairs.a), (pairs.a, pairs.b)))
    common = present @ present.T
    n, n_b = common[pairs.a, first][:, None], common[pairs.b, second][:, None]

    def sample(rng, count):
        runs = rng.standard_normal((count, *values.shape)) * (scale[:, None] * present)
        sums, squares = (np.ascontiguousarray((one @ present.T).transpose(1, 2, 0)) for one in (runs, np.square(runs)))
        products = np.ascontiguousarray((runs @ runs.transpose(0, 2, 1)).transpose(1, 2, 0))
        mean, mean_b = sums[pairs.a, first] / n, sums[pairs.b, second] / n_b
        square_a, square_b = squares[pairs.a, first] / n, squares[pairs.b, second] / n_b
        of_pairs = square_a + square_b - 2 * products[pairs.a, pairs.b] / n - np.square(mean - mean_b)
        variance_a, variance_b = (square_a - np.square(mean)) / (n - 1), (square_b - np.square(mean_b)) / (n_b - 1)
        square = np.maximum(np.where(is_paired, of_pairs / (n - 1), variance_a + variance_b), 0)
        df = np.where(is_paired, n - 1, welch_df(variance_a, variance_b, n, n_b))
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


def _score(square, df):
    """Return the normal score of t, approximately (Wallace 1959). square: t squared."""
    return np.sqrt(df * np.log(1 + square / df)) * ((8 * df + 1) / (8 * df + 3))


def _t_of_score(score, df):
    """Invert ``_score``."""
    with np.errstate(over="ignore"):
        return np.sqrt(df * np.expm1(np.square(score * (8 * df + 3) / (8 * df + 1)) / df))


# The two families --------------------------------------------------------------------------------------------------


def _all_pairs(pairs, null, alpha):
    """Return the p-values adjusted step by step, and the critical score of the step at which rejection stops."""
    known = np.flatnonzero(~np.isnan(pairs.p))
    adjusted = np.full(pairs.p.shape, np.nan)
    if not len(known):
        return adjusted, np.nan
    score = _score(np.square(pairs.t[known]), pairs.df[known])
    # From the smallest statistic to the largest: the hypotheses that are left at each step come before it.
    ascending = np.argsort(score, kind="stable")
    index, score = known[ascending], score[ascending]
    p, largest = pairs.p[index].copy(), np.zeros(null.shape[1], dtype=np.float32)
    critical = _score(np.square(special.stdtrit(pairs.df[index[0]], 1 - alpha / 2)), pairs.df[index[0]])
    for step, (row, limit) in enumerate(zip(index, score.astype(np.float32), strict=True)):
        np.maximum(largest, null[row], out=largest)
        # The last hypothesis alone is tested by its own t distribution.
        if step:
            p[step] = max(p[step], resampling.p_value(np.count_nonzero(largest >= limit), len(largest)))
            if p[step] > alpha:
                critical = _upper(largest, alpha)
    adjusted[index] = np.maximum.accumulate(p[::-1])[::-1]
    return adjusted, critical


def _with_the_best(pairs, leads, alpha):
    """Return the p-values of the leader against each candidate, doubled, and their critical scores."""
    p, critical = np.full(pairs.p.shape, np.nan), np.full(pairs.p.shape, np.nan)
    of_leader = np.flatnonzero((pairs.a == 0) & ~np.isnan(pairs.p))
    if np.count_nonzero(~np.isnan(pairs.p)) == 1:
        p[of_leader] = pairs.p[of_leader]
        return p, critical
    score = np.sign(pairs.t[of_leader]) * _score(np.square(pairs.t[of_leader]), pairs.df[of_leader])
    over = leads[pairs.b[of_leader]]
    exceeding = np.count_nonzero(over >= score.astype(np.float32)[:, None], axis=1)
    p[of_leader] = np.clip(2 * resampling.p_value(exceeding, leads.shape[1]), pairs.p[of_leader], 1)
    critical[of_leader] = [_upper(row, alpha / 2) for row in over]
    return p, critical


def _upper(sample, alpha):
    """Return the value that a score must exceed for its Monte-Carlo p-value to be at most alpha."""
    rank = int(alpha * (len(sample) + 1) + 1e-9)
    return float(np.partition(sample, len(sample) - rank)[len(sample) - rank]) if rank else float("inf")


def _with_implied(pairs, p, ahead, alpha):
    """Return the p-values with those of pairs that other pairs decide: a beats c and c beats b."""
    count = pairs.b.max(initial=0) + 1
    paths = np.full((count, count), np.inf)
    paths[pairs.a, pairs.b] = np.where(ahead & (p <= alpha), p, np.inf)
    for middle in range(count):
        np.minimum(paths, np.maximum(paths[:, [middle]], paths[[middle]]), out=paths)
    implied = paths[pairs.a, pairs.b]
    return np.where(np.isfinite(implied) & ~(p <= alpha), implied, p)
