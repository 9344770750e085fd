"""Tests of intervals against published tables, SciPy and arithmetic by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from variability.stats import intervals

VALUES = np.array([0.93, 0.95, 0.94, 0.96, 0.92])
MOMENTS = (VALUES.mean(), VALUES.std(ddof=1), len(VALUES))


def test_the_t_interval_is_scipys():
    expected = stats.t.interval(0.95, 4, VALUES.mean(), stats.sem(VALUES))
    assert intervals.t_interval(*MOMENTS, 0.95) == pytest.approx(expected, rel=1e-12)


def test_the_t_interval_by_hand():
    # t(0.975, 4) = 2.776445 (any table); SD = 0.0158114; half-width = 2.776445 * 0.0158114 / sqrt(5) = 0.0196324
    low, high = intervals.t_interval(*MOMENTS, 0.95)
    assert (low, high) == pytest.approx((0.94 - 0.0196324, 0.94 + 0.0196324), abs=1e-7)


def test_the_prediction_interval_by_hand():
    # Half-width 2.776445 * 0.0158114 * sqrt(1 + 1/5) = 0.0480893
    low, high = intervals.prediction_interval(*MOMENTS, 0.95)
    assert (low, high) == pytest.approx((0.94 - 0.0480893, 0.94 + 0.0480893), abs=1e-6)


def test_the_sd_of_five_runs_is_uncertain_by_the_published_factors():
    # chi2(4): 0.484419 and 11.143287 (any table), so sqrt(4 / 11.143287) = 0.5991 and sqrt(4 / 0.484419) = 2.8736
    assert intervals.sd_interval(1.0, 5, 0.95) == pytest.approx((0.5991, 2.8736), abs=1e-4)


def test_the_welch_interval_is_scipys():
    other = np.array([0.80, 0.91, 0.85])
    low, high = intervals.welch_interval(*MOMENTS, other.mean(), other.std(ddof=1), 3, 0.9)
    expected = stats.ttest_ind(VALUES, other, equal_var=False).confidence_interval(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_wilsons_interval_gives_the_published_numbers():
    # Newcombe (1998), Table I, method 3: 81/263 -> 0.2553 to 0.3662; 0/20 -> 0 to 0.1611; 1/29 -> 0.0061 to 0.1718
    low, high = intervals.wilson_interval([81, 0, 1], [263, 20, 29], 0.95)
    assert low == pytest.approx([0.2553, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1611, 0.1718], abs=5e-5)


@pytest.mark.parametrize("n", [0, 1, np.nan])
def test_fewer_than_two_runs_have_no_interval(n):
    for ends in (
        intervals.t_interval(0.5, 0.1, n, 0.95),
        intervals.prediction_interval(0.5, 0.1, n, 0.95),
        intervals.sd_interval(0.1, n, 0.95),
        intervals.welch_interval(0.5, 0.1, 5, 0.5, 0.1, n, 0.95),
    ):
        assert np.isnan(ends).all()


def test_missing_moments_have_no_interval():
    assert np.isnan(intervals.t_interval(np.nan, 0.1, 5, 0.95)).all()
    assert np.isnan(intervals.welch_interval(0.5, np.nan, 5, 0.5, 0.1, 5, 0.95)).all()


def test_runs_without_any_spread_have_intervals_of_zero_width():
    assert intervals.t_interval(0.5, 0.0, 5, 0.95) == (0.5, 0.5)
    assert intervals.sd_interval(0.0, 5, 0.95) == (0.0, 0.0)
    assert intervals.welch_interval(0.75, 0.0, 5, 0.5, 0.0, 3, 0.95) == (0.25, 0.25)


def test_no_examples_have_no_proportion():
    assert np.isnan(intervals.wilson_interval(0, 0, 0.95)).all()


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_that_is_not_a_probability_is_refused(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.t_interval(0.5, 0.1, 5, level)


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3), st.integers(2, 200), st.floats(0.5, 0.99))
def test_the_next_run_is_less_certain_than_the_mean(mean, sd, n, level):
    low, high = intervals.t_interval(mean, sd, n, level)
    wider_low, wider_high = intervals.prediction_interval(mean, sd, n, level)
    assert wider_low <= low <= mean <= high <= wider_high


def test_the_t_interval_covers_at_its_level():
    rng = np.random.default_rng(0)
    runs = rng.normal(0.9, 0.02, (20_000, 3))
    low, high = intervals.t_interval(runs.mean(axis=1), runs.std(axis=1, ddof=1), 3, 0.95)
    # Binomial SE of the coverage: 0.0015
    assert np.mean((low <= 0.9) & (high >= 0.9)) == pytest.approx(0.95, abs=0.006)


def test_the_prediction_interval_covers_the_next_run_at_its_level():
    rng = np.random.default_rng(1)
    runs, following = rng.normal(0.9, 0.02, (20_000, 5)), rng.normal(0.9, 0.02, 20_000)
    low, high = intervals.prediction_interval(runs.mean(axis=1), runs.std(axis=1, ddof=1), 5, 0.95)
    assert np.mean((low <= following) & (high >= following)) == pytest.approx(0.95, abs=0.006)


def test_wilson_intervals_contain_the_share_in_every_bit():
    for n in range(1, 200):
        successes = np.arange(n + 1)
        low, high = intervals.wilson_interval(successes, n, 0.95)
        assert (low <= successes / n).all() and (successes / n <= high).all(), n
        assert (low[0], high[-1]) == (0, 1)
