"""Tests of the randomisation of t: against SciPy, by hand, and of what it can and cannot show."""

import numpy as np
import pytest
from scipy import stats

from variability.stats import pair_tests, permuted_t, simultaneous

GOOD = np.array([0.950, 0.951, 0.949, 0.952, 0.948])
COLLAPSED = np.array([0.900, 0.901, 0.899, 0.902, 0.110])


def stacked(*sides):
    values = np.full((len(sides), max(map(len, sides))), np.nan)
    for row, side in zip(values, sides, strict=True):
        row[: len(side)] = side
    return values


def rearranged(*sides, paired=False, resamples=4000):
    values = stacked(*sides)
    every = np.full((len(values), len(values)), paired)
    pairs = pair_tests.compare(values, every)
    chosen = np.ones(len(pairs.a), dtype=bool)
    return pairs, permuted_t.test(values, every, pairs, chosen, np.random.default_rng(0), resamples)


def decided(*sides, paired=False, separate=True):
    values = stacked(*sides)
    facts = pair_tests.plain(values)._replace(separate=values < 0.5 if separate else np.zeros(values.shape, bool))
    every = np.full((len(values), len(values)), paired)
    return simultaneous.decide(values, every, 0.05, np.random.default_rng(0), 2000, facts)


@pytest.mark.parametrize("seed", range(3))
def test_the_p_value_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_t(2, 5), rng.standard_t(2, 6) + 1
    statistic = lambda x, y, axis: stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic  # noqa: E731
    expected = stats.permutation_test((a, b), statistic, vectorized=True, n_resamples=np.inf).pvalue
    _, result = rearranged(a, b)
    assert result.p == pytest.approx([expected]) and result.floor == pytest.approx([2 / 462])


def test_pairs_flip_their_signs():
    a, b = np.array([1.0, 2, 3, 4, 5, 60]), np.array([0.5, 1.2, 2.1, 3.6, 4.7, 6.1])
    statistic = lambda x, axis: stats.ttest_1samp(x, 0, axis=axis).statistic  # noqa: E731
    expected = stats.permutation_test((a - b,), statistic, permutation_type="samples", vectorized=True).pvalue
    _, result = rearranged(a, b, paired=True)
    # All six differences have one sign: the smallest of the 64 sums, in both directions.
    assert result.p == pytest.approx([expected]) == [2 / 64] == result.floor


def test_the_floor_limits_what_few_runs_can_show():
    sizes = [(3, 3), (3, 4), (3, 5), (4, 4), (5, 5)]
    floors = permuted_t.floor(*np.transpose(sizes), False)
    assert floors == pytest.approx([2 / 20, 2 / 35, 2 / 56, 2 / 70, 2 / 252])
    assert permuted_t.floor([5, 6], [5, 6], True) == pytest.approx([2 / 32, 2 / 64])
    few = decided(GOOD[:3], COLLAPSED[2:])
    assert few.separate[0] and not few.permuted[0] and not few.beats[0]
    assert few.p_adjusted[0] == pytest.approx(stats.ttest_ind(GOOD[:3], COLLAPSED[2:], equal_var=False).pvalue)


def test_a_collapsed_run_no_longer_hides_that_all_runs_are_worse():
    blind, result = decided(GOOD, COLLAPSED, separate=False), decided(GOOD, COLLAPSED)
    assert not blind.beats[0] and blind.p_adjusted[0] > 0.2
    # The observed arrangement is the most extreme of 252.
    assert result.permuted[0] and result.beats[0] and result.p_adjusted == pytest.approx([2 / 252])
    # The end of the interval is the difference less the sixth largest t of the arrangements, in standard errors.
    pairs, permuted = rearranged(GOOD, COLLAPSED)
    limit = permuted.samples[0][-7]
    assert result.low[0] == pytest.approx(pairs.difference[0] - limit * pairs.se[0]) and result.low[0] > 0


def test_five_runs_above_a_hundred_others_are_better():
    rng = np.random.default_rng(1)
    others = 0.1 + 0.001 * rng.standard_normal(100)
    lucky = np.array([0.15, 0.15, 0.151, 0.149, 0.95])
    blind = simultaneous.decide(
        stacked(lucky, others), np.zeros((2, 2), dtype=bool), 0.05, np.random.default_rng(0), 2000
    )
    assert not blind.beats[0]
    values = stacked(lucky, others)
    facts = pair_tests.plain(values)._replace(separate=values > 0.5)
    result = simultaneous.decide(values, np.zeros((2, 2), dtype=bool), 0.05, np.random.default_rng(0), 2000, facts)
    assert result.beats[0] and result.p_adjusted[0] < 0.003


def test_the_best_of_many_is_named_although_no_pair_alone_is_shown():
    rng = np.random.default_rng(2)
    others = [0.9 + 0.001 * rng.standard_normal(5) for _ in range(20)]
    for row in others:
        row[0] = 0.1
    result = decided(GOOD, *others)
    leading = result.pairs.a == 0
    # 210 comparisons are too many for p-values of 2/252 each, but twice that for all of them together names the best.
    assert (result.p_all[leading] > 0.05).all()
    assert result.best and result.p_adjusted[leading] == pytest.approx(4 / 252)
    tie = decided(GOOD, GOOD + 0.0001, *others)
    assert not tie.best


def test_runs_that_are_far_off_in_both_of_a_pair_leave_the_paired_t():
    shared = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.10])
    noise = 0.001 * np.array([1, -1, 2, -2, 1, -1])
    both = decided(shared + 0.01 + noise, shared, paired=True)
    assert not both.separate[0] and not both.permuted[0]
    one = decided(np.where(shared < 0.5, 0.95, shared + 0.01 + noise), shared, paired=True)
    assert one.separate[0] and one.permuted[0] and one.p_adjusted == pytest.approx([2 / 64])


def test_equal_values_give_no_evidence():
    _, result = rearranged([0.9, 0.9, 0.9, 0.1], [0.9, 0.9, 0.9, 0.1])
    assert result.p == [1.0]
    # Five ones: 5 of 70 arrangements put four of them on the first side, as observed.
    _, result = rearranged([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0])
    assert result.p == pytest.approx([2 * 5 / 70])
    # Four ones: 16 arrangements as observed, and one without any spread, whose t is infinite.
    _, result = rearranged([1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    assert result.p == pytest.approx([2 * 17 / 70])


def test_a_second_test_has_to_agree():
    some, none = np.array([True, False, False, False]), np.zeros(4, dtype=bool)
    a, b = np.array([5.0, 3, 4, 1]), np.array([2.0, 6, 7, 8])
    ranks, shares = stats.brunnermunzel(a, b).pvalue, 1.0
    assert permuted_t.p_supporting(a, b, some, none) == pytest.approx(min(ranks, shares))
    # Three of three against none of four: 1 of 35 tables is as extreme in this direction, and none in the other.
    assert permuted_t.p_supporting(a[:3], b, ~none[:3], none) == pytest.approx(
        min(stats.brunnermunzel(a[:3], b)[1], 1 / 35)
    )
    assert permuted_t.p_supporting(a + 10, b, none, none) == 0 == permuted_t.p_supporting(b - 10, a, none, none)
    assert permuted_t.p_supporting(np.ones(3), np.ones(4), none[:3], none) == 1


def test_collapsed_runs_on_the_larger_side_alone_show_nothing():
    # Five runs with a large spread, of which none happened to collapse, and a hundred that agree but for five.
    quantiles = stats.norm.ppf((np.arange(95) + 0.5) / 95)
    few, many = np.array([0.969, 0.934, 0.929, 0.924, 0.889]), np.r_[0.9 + 0.01 * quantiles, np.full(5, 0.1)]
    pairs, alone = rearranged(few, many)
    assert alone.p[0] < 0.05 and pairs.difference[0] > 0.05
    result = decided(few, many)
    assert result.permuted[0] and result.p[0] > alone.p[0] and not result.beats[0] and result.low[0] <= 0


def test_more_runs_that_collapse_are_worse_although_the_others_are_better():
    rng = np.random.default_rng(5)
    steady, risky = 0.9 + 0.01 * rng.standard_normal(30), 0.91 + 0.01 * rng.standard_normal(30)
    risky[:14] = 0.1 + 0.01 * rng.standard_normal(14)
    assert stats.brunnermunzel(steady, risky).pvalue > 0.05
    result = decided(steady, risky)
    assert result.permuted[0] and result.beats[0] and result.pairs.a[0] == 0


def test_rearranged_comparisons_are_not_adjusted_as_if_they_were_the_same():
    # The SD of the collapsed candidate is all that its t statistics have in common.
    rng = np.random.default_rng(6)
    sides = [0.9 + 0.01 * rng.standard_normal(10) for _ in range(3)]
    sides[0][0] = 0.1
    result = decided(*sides)
    of_collapsed = result.permuted
    assert of_collapsed.sum() == 2
    smallest = np.flatnonzero(of_collapsed)[np.argmin(result.p[of_collapsed])]
    independent = 1 - (1 - result.p[smallest]) ** 2
    assert result.p_all[smallest] >= independent - 0.03
