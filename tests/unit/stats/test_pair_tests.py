"""Tests of the t tests of two candidates against constants and with splits that overlap."""

import numpy as np
import pytest
from scipy import stats

from variability.stats import pair_tests, simultaneous

RUNS = np.array([0.80, 0.82, 0.81, 0.83, 0.79])


def facts_of(values, constant=(), held_out=0.0):
    facts = pair_tests.plain(values)
    return facts._replace(
        constant=np.isin(np.arange(len(values)), constant), held_out=np.full(len(values), held_out, dtype=float)
    )


def test_a_constant_is_compared_by_the_test_of_one_sample():
    values = np.array([RUNS, [0.78, *[np.nan] * 4]])
    pairs = pair_tests.compare(values, np.zeros((2, 2), dtype=bool), facts_of(values, constant=[1]))
    expected = stats.ttest_1samp(RUNS, 0.78)
    assert (pairs.t[0], pairs.p[0], pairs.df[0]) == pytest.approx((expected.statistic, expected.pvalue, 4))
    # Without the declaration a single run allows no comparison.
    assert np.isnan(pair_tests.compare(values, np.zeros((2, 2), dtype=bool)).p[0])


@pytest.mark.parametrize("paired", [False, True])
def test_decisions_with_a_constant_hold_the_interval_of_one_sample(paired):
    values = np.array([[0.78, *[np.nan] * 4], RUNS])
    result = simultaneous.decide(
        values,
        np.full((2, 2), paired),
        0.05,
        np.random.default_rng(0),
        2000,
        facts_of(values, constant=[0]),
    )
    interval = stats.ttest_1samp(RUNS - 0.78, 0).confidence_interval()
    assert (result.low[0], result.high[0]) == pytest.approx((interval.low, interval.high))
    assert result.beats[0] and result.order.tolist() == [1, 0]


def test_three_candidates_with_pairs_and_a_constant_are_decided_together():
    values = np.array([RUNS, RUNS - [0.02, 0.021, 0.019, 0.02, 0.022], [0.5, *[np.nan] * 4]])
    paired = np.ones((3, 3), dtype=bool)
    result = simultaneous.decide(values, paired, 0.05, np.random.default_rng(0), 2000, facts_of(values, constant=[2]))
    assert result.beats.all() and result.best and not np.isnan(result.p_all).any()


def test_two_constants_are_not_tested():
    values = np.array([[0.8], [0.7]])
    pairs = pair_tests.compare(values, np.zeros((2, 2), dtype=bool), facts_of(values, constant=[0, 1]))
    assert np.isnan(pairs.p[0]) and pairs.constant[0] and pairs.difference[0] == pytest.approx(0.1)


def test_overlapping_splits_have_the_variance_of_nadeau_and_bengio():
    # Differences with mean 0.03 and variance 0.00025: t = 0.03 / sqrt(0.00025 (1/5 + 1/4)) = 2 sqrt(2) instead of
    # 3 sqrt(2), with 4 degrees of freedom.
    other = RUNS - [0.02, 0.04, 0.03, 0.05, 0.01]
    values = np.array([RUNS, other])
    plain, corrected = (
        pair_tests.compare(values, np.ones((2, 2), dtype=bool), facts_of(values, held_out=share)) for share in (0, 0.25)
    )
    assert plain.t[0] == pytest.approx(3 * 2**0.5) and plain.p[0] == pytest.approx(0.01324, abs=1e-5)
    assert corrected.t[0] == pytest.approx(2 * 2**0.5) and corrected.p[0] == pytest.approx(0.04742, abs=1e-5)
    # Unpaired: variances 0.00025 of both sides and of both means.
    unpaired = pair_tests.compare(values, np.zeros((2, 2), dtype=bool), facts_of(values, held_out=0.25))
    variances = values.var(axis=1, ddof=1)
    assert unpaired.se[0] == pytest.approx(np.sqrt(variances.sum() * (1 / 5 + 1 / 4)))


def test_the_correction_holds_the_level_where_runs_share_a_part_of_their_variance():
    # Runs with correlation rho = share / (1 + share): the case for which the estimator is unbiased.
    rng, share, n = np.random.default_rng(0), 0.25, 5
    common = np.sqrt(share / (1 + share)) * rng.standard_normal((1500, 2, 1))
    values = common + np.sqrt(1 / (1 + share)) * rng.standard_normal((1500, 2, n))
    rejected = np.zeros(2)
    for two in values:
        for column, held_out in enumerate((0.0, share)):
            pairs = pair_tests.compare(two, np.ones((2, 2), dtype=bool), facts_of(two, held_out=held_out))
            rejected[column] += pairs.p[0] <= 0.05
    assert rejected[0] / 1500 > 0.1 and abs(rejected[1] / 1500 - 0.05) < 0.018
