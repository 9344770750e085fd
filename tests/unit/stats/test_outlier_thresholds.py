"""Tests of the thresholds of outliers: their exact value for three values, and their rate of false alarms."""

import numpy as np
import pytest
from scipy import stats

from variability.stats import outlier_thresholds


def test_the_threshold_of_three_values_is_exact():
    # The gaps u > v of three normal values: P(u / v > r) = (3 / pi) (pi / 2 - atan((2 r + 1) / sqrt(3))) = 0.01.
    ratio = (np.sqrt(3) * np.tan(np.pi / 2 - 0.01 * np.pi / 3) - 1) / 2
    assert outlier_thresholds.of(3) == pytest.approx(ratio / outlier_thresholds.MAD_TO_SD, abs=0.05)


def test_the_factor_is_that_of_normal_values():
    assert pytest.approx(1 / stats.norm.ppf(0.75), abs=5e-5) == outlier_thresholds.MAD_TO_SD


@pytest.mark.parametrize("n", [3, 4, 5, 7, 10, 15, 23, 35, 60])
def test_one_percent_of_normal_samples_have_a_false_alarm(n):
    samples = 20_000
    values = np.random.default_rng(n).normal(0.9, 0.02, (samples, n))
    below = np.median(values, axis=1) - values.min(axis=1)
    alarms = (
        below > outlier_thresholds.of(n) * stats.median_abs_deviation(values, axis=1) * outlier_thresholds.MAD_TO_SD
    )
    # Three standard errors of a binomial share, and the step between an even and an odd n in the table.
    assert alarms.mean() == pytest.approx(0.01, abs=3 * np.sqrt(0.01 * 0.99 / samples) + 0.0005)


def test_large_samples_have_the_threshold_of_the_distribution():
    # 0.99 ** (1 / 10,000) is the probability that a single value is above the threshold.
    assert outlier_thresholds.of([10_000]) == pytest.approx(-stats.norm.ppf(1 - 0.99**1e-4))
    thresholds = outlier_thresholds.of(np.arange(100, 5000))
    assert thresholds.min() > 4 and thresholds.max() < 4.7 and np.abs(np.diff(thresholds)).max() < 0.06
    assert list(outlier_thresholds.of([0, 1, 2])) == [55.4, 55.4, 55.4]
