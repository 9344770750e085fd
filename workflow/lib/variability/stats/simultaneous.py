"""Decisions about all candidates of a task together: which beats which, and which is the best.

Every two candidates are compared by Student's t (``pair_tests``); where single runs are far from the others, by the
distribution of that t over rearrangements of the runs (``permuted_t``). A parametric bootstrap of the largest statistic
(``null_statistics``) adjusts for the number of comparisons; it allows for unequal numbers of runs and
unequal variances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from variability.stats import permuted_t, resampling
from variability.stats.null_statistics import normal_score, sample_null, t_of_score
from variability.stats.pair_tests import Pairs, RunFacts, compare, plain
from variability.stats.rounding import ROUNDING


class Decisions(NamedTuple):
    """Decisions about the candidates of a task. All arrays are (pairs,), except for order and first.

    p: of the test that decides the pair in the family of all pairs. p_all: adjusted over all pairs. p_best: adjusted
    for the comparisons with the best, NaN for pairs without the leader. p_adjusted: the p-value that decides: a beats b
    if it is at most alpha. low, high: interval of the difference, which contains 0 unless a beats b (an end may be 0);
    a point where nothing varies, NaN where the test excludes no difference. separate: True where single runs are far
    from the others. permuted: True where the randomisation test decides. order: candidates from the best mean to the
    worst. first: (candidates,), True for those that nobody beats. best: True if the leader, order[0], beats each other
    candidate.
    """

    pairs: Pairs
    p: np.ndarray
    p_all: np.ndarray
    p_best: np.ndarray
    p_adjusted: np.ndarray
    beats: np.ndarray
    low: np.ndarray
    high: np.ndarray
    separate: np.ndarray
    permuted: np.ndarray
    order: np.ndarray
    first: np.ndarray
    best: bool
    resamples: int


def decide(
    values: np.ndarray,
    paired: np.ndarray,
    alpha: float,
    rng: np.random.Generator,
    resamples: int,
    facts: RunFacts | None = None,
) -> Decisions:
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

    Two constants are not tested: no seed changes either, so their difference is known and has a p_all and p_best of 0
    (the limit of t for an SD of 0) unless they are equal. Statements about it cannot be false, so it is no part of the
    families.

    Pairs with runs that are separate from the others of their side are compared by ``permuted_t`` where so few runs can
    show anything: in the family of all pairs if its smallest possible p, times the number of pairs, is at most alpha;
    against the leader if twice that p is. p_best is then twice the p-value of the single comparison. That the leader in
    truth beats *each* other candidate, which all of them have to show, is an intersection-union test, whose level for
    naming the winner is that of one comparison (Gutmann & Maymin, Ann. Stat. 15 (1987) 456; Hung & Fithian, Ann. Stat.
    47 (2019) 758); it is doubled for the two families, unless there is a single pair. The choice depends on the runs
    within each side and on their number, never on how far the sides differ.
    """
    facts = facts or plain(values)
    # Equal means of runs that were summed in different orders differ in their last bits.
    # Powers of two scale exactly: decisions do not depend on the unit of the metric, and no square overflows.
    exponent = int(np.frexp(np.nanmax(np.abs(values), initial=0))[1])
    values = np.ldexp(values, -exponent)
    unit = ROUNDING * np.nanmax(np.abs(values), initial=0) or 1.0
    means = np.nanmean(values, axis=1)
    order = np.argsort(-np.round(means / unit) * unit, kind="stable")
    # From here on in the order of the means, so that the first of two candidates is the better one.
    values, paired, facts = values[order], paired[np.ix_(order, order)], facts.of(order)
    paired = paired & ~facts.constant[:, None] & ~facts.constant
    pairs = compare(values, paired, facts)
    null = sample_null(values, paired, pairs, facts, rng, resamples)
    permuted = permuted_t.of_separate(values, paired, pairs, facts, alpha, rng, resamples)
    tests = np.count_nonzero(~np.isnan(pairs.p))
    of_all = ~np.isnan(permuted.p) & (permuted.floor * tests <= alpha)
    tested = _Tested.of(pairs, np.where(of_all, permuted.p, np.nan))
    # Runs that are far off raise the SD of their candidate, so that the bootstrap would treat its comparisons as nearly
    # the same, which their randomisation tests are not. Independent ones are on the safe side (Sidak 1967).
    null.scores[of_all] = np.abs(rng.standard_normal((int(of_all.sum()), null.scores.shape[1])))
    p_all, critical = _all_pairs(pairs, tested, null.scores, alpha)
    # This family and that of all pairs; two candidates are one pair.
    families = 1 if tests == 1 else 2
    of_best = ~np.isnan(permuted.p) & (pairs.a == 0) & (permuted.floor * families <= alpha)
    if of_best.any():
        p_best = np.where(pairs.a == 0, np.where(of_best, permuted.p, pairs.p), np.nan)
        critical_best = np.where(pairs.a == 0, _Tested.of(pairs, p_best).critical(alpha / families), np.nan)
        p_best = np.minimum(1, families * p_best)
    else:
        p_best, critical_best = _with_the_best(pairs, null.leads, alpha)
    differ = pairs.known & (pairs.difference != 0)
    p_all, p_best = np.where(differ, 0.0, p_all), np.where(differ & (pairs.a == 0), 0.0, p_best)
    # Where values are missing, the pairs can point the other way than the means; then nothing is decided.
    ahead = (pairs.difference > 0) & (means[order][pairs.a] - means[order][pairs.b] > unit)
    p_adjusted, with_best = settle(pairs.a, pairs.b, p_all, p_best, ahead, alpha)
    score = np.where(with_best, np.fmin(critical, critical_best), critical)
    beats = p_adjusted <= alpha
    decided_by = of_all | (with_best & of_best & ~(p_all < p_best))
    half = t_of_score(score, pairs.df) * pairs.se
    low, high = pairs.difference - half, pairs.difference + half
    for pair in np.flatnonzero(decided_by):
        low[pair], high[pair] = permuted.interval(pairs, int(pair), 2 * special.ndtr(-score[pair]))
    low, high = np.where(beats, np.maximum(low, 0), np.minimum(low, 0)), np.maximum(high, 0)
    constant = pairs.constant & (~beats | pairs.known)
    low, high = (np.where(constant, pairs.difference, end) for end in (low, high))
    beaten = np.zeros(len(order), dtype=bool)
    beaten[order[pairs.b[beats]]] = True
    low, high, difference, se = (np.ldexp(part, exponent) for part in (low, high, pairs.difference, pairs.se))
    pairs = pairs._replace(a=order[pairs.a], b=order[pairs.b], difference=difference, se=se)
    best = len(order) > 1 and (~beaten).sum() == 1
    p = np.where(decided_by, permuted.p, pairs.p)
    return Decisions(
        **{"pairs": pairs, "p": p, "p_all": p_all, "p_best": p_best, "p_adjusted": p_adjusted, "beats": beats},
        **{"low": low, "high": high, "separate": permuted.separate, "permuted": decided_by, "order": order},
        **{"first": ~beaten, "best": bool(best), "resamples": null.leads.shape[1]},
    )


def settle(
    a: np.ndarray, b: np.ndarray, p_all: np.ndarray, p_best: np.ndarray, ahead: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-value that decides each pair, and the pairs that are decided as comparisons with the best.

    The rule of ``decide`` for candidates in order, the leader is 0 and a < b: a beats b if the p-value is at most
    alpha. p_all, p_best: adjusted p-values of the two families; ahead: True where the pair points in the direction of
    the order. All arrays are (pairs,).
    """
    of_leader = a == 0
    with_best = of_leader & bool(of_leader.any() and (p_best[of_leader] <= alpha).all())
    p = np.where(with_best, np.fmin(p_all, p_best), p_all)
    p = np.where(~ahead & (p <= alpha), np.nan, p)
    return _with_implied(a, b, p, ahead, alpha), with_best


# The two families --------------------------------------------------------------------------------------------------


class _Tested(NamedTuple):
    """P-values of pairs, and their normal scores; permuted: (pairs,) True where they are not those of t."""

    p: np.ndarray
    score: np.ndarray
    permuted: np.ndarray
    df: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs, p_permuted: np.ndarray) -> _Tested:
        permuted = ~np.isnan(p_permuted)
        p = np.where(permuted, p_permuted, pairs.p)
        of_t = normal_score(np.square(pairs.t), pairs.df)
        return cls(p, np.where(permuted, -special.ndtri(np.where(permuted, p, 1.0) / 2), of_t), permuted, pairs.df)

    def critical(self, alpha: float) -> np.ndarray:
        """Return the score of each pair whose p-value is alpha."""
        of_t = normal_score(np.square(special.stdtrit(self.df, 1 - alpha / 2)), self.df)
        return np.where(self.permuted, -special.ndtri(alpha / 2), of_t)


def _all_pairs(pairs, tested, null, alpha):
    """Return the p-values adjusted step by step, and the critical score of the step at which rejection stops."""
    known = np.flatnonzero(~np.isnan(pairs.p))
    adjusted = np.full(pairs.p.shape, np.nan)
    if not len(known):
        return adjusted, np.nan
    score = tested.score[known]
    # From the smallest statistic to the largest: the hypotheses that are left at each step come before it.
    ascending = np.argsort(score, kind="stable")
    index, score = known[ascending], score[ascending]
    p, largest = tested.p[index].copy(), np.zeros(null.shape[1], dtype=np.float32)
    critical = tested.critical(alpha)[index[0]]
    for step, (row, limit) in enumerate(zip(index, score.astype(np.float32), strict=True)):
        np.maximum(largest, null[row], out=largest)
        # The last hypothesis alone is tested by its own distribution.
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
    score = np.sign(pairs.t[of_leader]) * normal_score(np.square(pairs.t[of_leader]), pairs.df[of_leader])
    over = leads[pairs.b[of_leader]]
    exceeding = np.count_nonzero(over >= score.astype(np.float32)[:, None], axis=1)
    p[of_leader] = np.clip(2 * resampling.p_value(exceeding, leads.shape[1]), pairs.p[of_leader], 1)
    critical[of_leader] = [_upper(row, alpha / 2) for row in over]
    return p, critical


def _upper(sample, alpha):
    """Return the value that a score must exceed for its Monte-Carlo p-value to be at most alpha."""
    rank = int(alpha * (len(sample) + 1) + 1e-9)
    return float(np.partition(sample, len(sample) - rank)[len(sample) - rank]) if rank else float("inf")


def _with_implied(a, b, p, ahead, alpha):
    """Return the p-values with those of pairs that other pairs decide: a beats c and c beats b."""
    count = b.max(initial=0) + 1
    paths = np.full((count, count), np.inf)
    paths[a, b] = np.where(ahead & (p <= alpha), p, np.inf)
    for middle in range(count):
        np.minimum(paths, np.maximum(paths[:, [middle]], paths[[middle]]), out=paths)
    implied = paths[a, b]
    return np.where(np.isfinite(implied) & ~(p <= alpha), implied, p)
