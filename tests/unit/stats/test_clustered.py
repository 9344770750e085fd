"""Standard errors of means over grouped examples, and McNemar's test with groups."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from variability.stats import clustered, comparisons


def test_without_groups_the_standard_error_is_that_of_a_mean():
    values = np.array([0.2, 1.0, 0.4, 0.0])
    result = clustered.mean(values)
    assert result == pytest.approx((0.4, stats.sem(values), 4))
    assert clustered.mean(values, np.arange(4)) == pytest.approx(result)


def test_with_groups_it_is_that_of_miller_up_to_the_correction_of_few_groups():
    values, groups = np.array([1.0, 1.0, 0.0, 0.0, 1.0]), np.array([0, 0, 1, 1, 2])
    deviations = values - values.mean()
    # Miller's clustered standard error: the variance of independent examples, n instead of n - 1, and the covariances
    # within groups.
    covariances = sum(
        deviations[i] * deviations[j] for i, j in product(range(5), repeat=2) if i != j and groups[i] == groups[j]
    )
    miller = (np.square(deviations).sum() + covariances) / 25
    assert clustered.mean(values, groups).se == pytest.approx(np.sqrt(miller * 3 / 2))
    assert clustered.mean(values, groups).units == 3


def test_it_is_the_cluster_robust_error_of_a_regression_on_a_constant():
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=40), rng.integers(9, size=40)
    fit = OLS(values, np.ones(40)).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True})
    # statsmodels corrects by G / (G - 1) * (n - 1) / (n - k), whose second factor is 1 with one parameter.
    numbers = np.unique(groups, return_inverse=True)[1]
    assert clustered.mean(values, numbers).se == pytest.approx(fit.bse[0])


def test_one_unit_has_no_standard_error():
    assert np.isnan(clustered.mean(np.array([1.0, 0.0]), np.zeros(2, int)).se)
    assert np.isnan(clustered.t_test(0.1, float("nan"), 1, 0.95)).all()


def test_the_interval_and_p_are_students():
    values = np.array([0.2, 0.5, 0.4, 0.9])
    result = clustered.mean(values)
    low, high, p = clustered.t_test(*result[:2], result.units, 0.95)
    expected = stats.ttest_1samp(values, 0)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("gained", "lost"), [(6, 2), (0, 5), (3, 3), (0, 0), (1, 0)])
def test_without_groups_the_test_is_mcnemars(gained, lost):
    changes = np.repeat([1, -1, 0], [gained, lost, 4])
    p = clustered.mcnemar_p(changes > 0, changes < 0)
    assert p == pytest.approx(float(comparisons.mcnemar_p(gained, lost)))
    assert clustered.mcnemar_p(changes > 0, changes < 0, np.arange(len(changes))) == pytest.approx(p)


def test_with_groups_all_signs_of_the_groups_are_counted():
    changes, groups = np.array([1, 1, 1, -1, 1, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 2, 3, 3])
    sums = np.array([3, 0, 0, 2])
    flipped = [abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=4)]
    expected = np.mean(np.array(flipped) >= abs(sums.sum()))
    assert clustered.mcnemar_p(changes > 0, changes < 0, groups) == pytest.approx(expected) == pytest.approx(0.5)


def test_groups_of_examples_that_change_together_are_not_counted_as_evidence_of_their_own():
    changes, groups = np.ones(20, int), np.repeat([0, 1], 10)
    assert clustered.mcnemar_p(changes > 0, changes < 0) < 1e-5
    assert clustered.mcnemar_p(changes > 0, changes < 0, groups) == 0.5
