"""Tests of numbers of runs against textbooks, statsmodels and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from variability.stats import sample_size

LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.9999])


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("effect", [0.01, 0.2, 0.5, 1.0, 3.0, 8.0])
def test_power_at_equal_sds_is_statsmodels(effect, level):
    n = np.array([2, 3, 5, 10, 100, 2000])
    expected = [TTestIndPower().power(effect, nobs1=count, alpha=1 - level, ratio=1.0) for count in n]
    result = sample_size.power(effect * 0.02, 0.02, 0.02, n, level)
    # In some far tails, statsmodels has NaN; see the test below.
    known = ~np.isnan(expected)
    assert known.sum() >= 2
    assert result[known] == pytest.approx(np.array(expected)[known], abs=1e-12)


@pytest.mark.parametrize(("effect", "n", "level"), [(0.2, 2000, 0.999), (8, 2, 0.999), (8, 3, 0.999), (1, 20, 0.95)])
def test_power_is_the_integral_over_the_samples_sd(effect, n, level):
    freedom, shift = 2 * n - 2, effect * np.sqrt(n / 2)
    critical = stats.t.ppf(0.5 + level / 2, freedom)

    def seen(quantile):
        bound = critical * np.sqrt(stats.chi2.ppf(quantile, freedom) / freedom)
        return stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)

    expected, _ = integrate.quad(seen, 0, 1)
    assert sample_size.power(effect, 1, 1, n, level) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("power", "level"), [(0.8, 0.95), (0.9, 0.99), (0.95, 0.8)])
def test_runs_for_power_are_statsmodels_rounded_up(power, level):
    effects = np.array([0.06, 0.1, 0.2, 0.5, 0.8, 1.3, 2.0])
    solve = TTestIndPower().solve_power
    expected = [np.ceil(solve(effect, alpha=1 - level, power=power, ratio=1.0)) for effect in effects]
    assert sample_size.for_power(effects, 1.0, 1.0, power, level).tolist() == expected


def test_pairs_for_power_are_statsmodels_rounded_up():
    effects = np.array([0.1, 0.2, 0.5, 0.8, 1.3, 2.0])
    expected = [np.ceil(TTestPower().solve_power(effect, alpha=0.01, power=0.8)) for effect in effects]
    assert sample_size.for_paired_power(effects * 3, 3.0, 0.8, 0.99).tolist() == expected
    assert sample_size.paired_power(0.6, 1.2, 9, 0.95) == pytest.approx(TTestPower().power(0.5, 9, 0.05))
    assert sample_size.for_paired_power([1, 0], 0.0, 0.8, 0.95).tolist() == [2, sample_size.MOST]
    assert np.isnan(sample_size.for_paired_power(1.0, np.nan, 0.8, 0.95))


@pytest.mark.parametrize(("goal", "level"), [(0.8, 0.95), (0.9, 0.99)])
def test_detectable_effects_are_statsmodels(goal, level):
    n = [2, 3, 5, 10, 50]
    solve = TTestIndPower().solve_power
    expected = [solve(nobs1=count, alpha=1 - level, power=goal, ratio=1.0) for count in n[1:]]
    result = sample_size.detectable_effect([1, *n], goal, level)
    assert np.isnan(result[0]) and result[2:] == pytest.approx(np.array(expected), rel=1e-5)
    assert sample_size.power(result[1:], 1.0, 1.0, n, level) == pytest.approx(goal, abs=1e-9)


def test_detectable_effects_are_those_of_cohens_table():
    # Cohen 1988, table 2.4.1, two-tailed 0.05, power 0.80: d = 0.8, 0.5 and 0.2 with 26, 64 and 393 runs.
    assert sample_size.detectable_effect([26, 64, 393], 0.8, 0.95) == pytest.approx([0.8, 0.5, 0.2], abs=0.01)


def test_cohens_medium_effect_needs_64_runs_per_model():
    # Cohen 1988, table 2.4.1: d = 0.5, alpha two-sided 0.05, power 0.80.
    assert sample_size.for_power(0.5, 1, 1, 0.8, 0.95) == 64


@pytest.mark.parametrize(("sd", "other", "n"), [(1.0, 3.0, 6), (2.0, 1.0, 12), (1.0, 0.0, 5)])
def test_power_at_unequal_sds_is_that_of_simulated_welch_tests(sd, other, n):
    rng = np.random.default_rng(0)
    one, two = rng.normal(2.5, sd, (40_000, n)), rng.normal(0, other, (40_000, n))
    p = stats.ttest_ind(one, two, axis=1, equal_var=False).pvalue
    assert sample_size.power(2.5, sd, other, n, 0.95) == pytest.approx((p < 0.05).mean(), abs=0.015)


@given(st.floats(1e-6, 1e4), st.floats(1e-6, 1e4), st.floats(0, 1e4), st.floats(0.1, 0.99), LEVELS)
def test_the_smallest_sufficient_number_of_runs_is_returned(difference, sd, other, goal, level):
    n = sample_size.for_power(difference, sd, other, goal, level)
    assert 2 <= n <= sample_size.MOST
    if n < sample_size.MOST:
        assert sample_size.power(difference, sd, other, n, level) >= goal
    if n > 2:
        assert sample_size.power(difference, sd, other, n - 1, level) < goal


@given(st.floats(0.001, 100), st.floats(0.001, 100), LEVELS)
def test_the_half_width_is_reached_with_the_smallest_number(sd, half_width, level):
    n = float(sample_size.for_half_width(sd, half_width, level))

    def half(n):
        return stats.t.ppf(0.5 + level / 2, n - 1) * sd / np.sqrt(n)

    if n < sample_size.MOST:
        assert half(n) <= half_width * (1 + 1e-9)
    if n > 2:
        assert half(n - 1) > half_width * (1 - 1e-9)


def test_half_widths_by_hand():
    # t(6, 0.975) / sqrt(7) = 2.447 / 2.646 < 1 < 2.571 / 2.449 = t(5, 0.975) / sqrt(6)
    assert sample_size.for_half_width(1, 1, 0.95) == 7
    # 1.960 * sqrt(100) would be 384.1 runs; the t quantile needs 387.
    assert sample_size.for_half_width(1, 0.1, 0.95) == 387
    assert sample_size.for_half_width([0.0, 1.0, np.nan], [1.0, 1e-9, 1.0], 0.95).tolist()[:2] == [2, sample_size.MOST]
    assert np.isnan(sample_size.for_half_width(np.nan, 1, 0.95))


def test_noethers_29():
    # Noether 1987; the number that Bouthillier et al. 2021 recommend: 10.82 / (6 * 0.0625) = 28.9.
    assert sample_size.for_probability_of_better(0.75, alpha=0.05, beta=0.05) == 29
    assert sample_size.for_probability_of_better(0.9, alpha=0.05, beta=0.1) == 9
    assert sample_size.for_probability_of_better(1.0, alpha=0.4, beta=0.4) == 2
    with pytest.raises(ValueError, match="gamma"):
        sample_size.for_probability_of_better(0.5, 0.05, 0.05)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_upper_limit_covers_the_true_sd_at_its_level(n, level):
    # sd_upper >= sigma if and only if chi2 = (n - 1) sd^2 / sigma^2 is at least the quantile in the factor.
    factor = sample_size.sd_upper(1.0, n, level)
    assert stats.chi2.sf((n - 1) / factor**2, n - 1) == pytest.approx(level)


def test_the_upper_limit_of_five_runs_is_half_as_large_again():
    # sqrt(4 / 1.6488), chi-square tables: 20 % quantile at 4 degrees of freedom.
    assert sample_size.sd_upper(0.01, 5, 0.8) == pytest.approx(0.015576, abs=1e-6)
    assert np.isnan(sample_size.sd_upper(0.01, 1, 0.8))


def test_without_spread_every_difference_is_detected_and_equality_only_by_error():
    assert sample_size.power([1, 0], 0, 0, 5, 0.95).tolist() == pytest.approx([1, 0.05])
    assert sample_size.for_power([1, 0], [0, 1], [0, 1], 0.8, 0.95).tolist() == [2, sample_size.MOST]
    assert np.isnan(sample_size.for_power(np.nan, 1, 1, 0.8, 0.95))
    assert np.isnan(sample_size.power(1, np.nan, 1, 5, 0.95))


@pytest.mark.parametrize(("cv", "runs", "power"), [(0.3, 20, 0.8158453)])
def test_runs_for_equivalence_are_those_of_powertost(cv, runs, power):
    # power.TOST(CV = 0.3, n = 40): a crossover of 40 subjects has the variance and degrees of freedom of 20 + 20 runs
    # with this SD, on the scale of logarithms; a ratio of 0.95, limits of 0.8 and 1.25, one-sided tests at 5 %.
    sd, difference, margin = np.sqrt(np.log1p(cv**2) / 2), np.log(0.95), np.log(1.25)
    both = [sample_size.power(margin + sign * difference, sd, sd, runs, 0.9) for sign in (1, -1)]
    assert sum(both) - 1 == pytest.approx(power, abs=2e-5)
    assert sample_size.for_equivalence(difference, margin, sd, sd, power - 5e-5, 0.95) == runs
    assert sample_size.for_equivalence(-difference, margin, sd, sd, power + 5e-5, 0.95) == runs + 1


def test_runs_for_equivalence_are_at_most_one_more_than_by_integration():
    def exact(difference, margin, sd, n):
        """Return the power of both paired tests, over the distribution of the SD of the sample."""

        def shown(quantile):
            half = stats.t.ppf(0.95, n - 1) * sd * np.sqrt(stats.chi2.ppf(quantile, n - 1) / (n - 1) / n)
            ends = (np.array([margin - half, half - margin]) - difference) / (sd / np.sqrt(n))
            return max(0.0, stats.norm.cdf(ends[0]) - stats.norm.cdf(ends[1]))

        return integrate.quad(shown, 0, 1)[0]

    for difference in (0.0, 0.3, -0.6):
        needed = int(sample_size.for_paired_equivalence(difference, 1.0, 1.5, 0.8, 0.95))
        assert exact(difference, 1.0, 1.5, needed) >= 0.8 > exact(difference, 1.0, 1.5, needed - 2)


def test_equivalence_needs_a_difference_within_the_margin():
    needed = sample_size.for_equivalence([0.0, 0.5, 1.0, 2.0, np.nan], 1.0, 1.0, 1.0, 0.8, 0.95)
    assert (needed[2:4] == sample_size.MOST).all() and np.isnan(needed[4]) and needed[0] < needed[1] < 200
    assert sample_size.for_equivalence(0.0, 1.0, 0.0, 0.0, 0.8, 0.95) == 2
