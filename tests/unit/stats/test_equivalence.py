"""Tests of equivalence: known values, the adjustment for several pairs, and the rate of false statements."""

import numpy as np
import pytest
from scipy import stats

from variability.stats import comparisons, equivalence, pair_tests

A = np.array([0.912, 0.905, 0.921, 0.899, 0.915, 0.908])
B = np.array([0.904, 0.911, 0.896, 0.907, 0.902, 0.899])


def compared(values, margin, paired=False):
    pairs = pair_tests.compare(np.asarray(values), np.full((len(values), len(values)), paired))
    return pairs, equivalence.one_sided(pairs.difference, pairs.se, pairs.df, margin)


def test_a_published_comparison_by_hand():
    """Means and SDs of the study that Lakens (2017) compares: 5.25 (0.95, n = 95) and 5.22 (0.83, n = 89)."""
    squares = 0.95**2 / 95, 0.83**2 / 89
    df = sum(squares) ** 2 / (squares[0] ** 2 / 94 + squares[1] ** 2 / 88)
    result = equivalence.one_sided([0.03], [sum(squares) ** 0.5], [df], [0.384])
    # (0.384 - 0.03) / 0.1313 = 2.696 and (0.384 + 0.03) / 0.1313 = 3.153 with 181.1 degrees of freedom.
    assert df == pytest.approx(181.13, abs=0.01)
    assert stats.t.isf(result.not_worse_b, df) == pytest.approx(2.696, abs=2e-3)
    assert stats.t.isf(result.not_worse, df) == pytest.approx(3.153, abs=2e-3)
    assert result.p_equivalent()[0] == result.not_worse_b[0] < 0.005


@pytest.mark.parametrize(
    ("paired", "p_not_worse", "p_not_worse_b"),
    # ttost_ind (usevar="unequal") and ttost_paired of statsmodels 0.15.0.
    [
        (False, 3.427337663350774e-05, 0.003897260100891711),
        (True, 0.001550521389725583, 0.023606875841972137),
    ],
)
def test_the_tests_are_those_of_statsmodels(paired, p_not_worse, p_not_worse_b):
    _, result = compared([A, B], 0.02, paired)
    assert result.not_worse == pytest.approx([p_not_worse])
    assert result.not_worse_b == pytest.approx([p_not_worse_b])
    _, turned = compared([B, A], 0.02, paired)
    assert turned.not_worse == pytest.approx([p_not_worse_b])
    assert turned.p_equivalent() == pytest.approx(result.p_equivalent())


def test_without_spread_and_without_a_margin_nothing_is_compared():
    assert np.isnan(compared([[1.0, 1.0], [1.0, 1.0]], 0.5)[1]).all()
    assert np.isnan(compared([A, B], 0.0)[1]).all()
    assert np.isnan(compared([A, [0.9] + [np.nan] * 5], 0.5)[1]).all()


def test_adjusted_p_values_by_hand():
    nan = np.nan
    p = equivalence.OneSided(np.array([0.001, 0.004, nan, 0.012]), np.array([0.010, 0.700, nan, 0.030]))
    result = equivalence.adjusted(p)
    # In order: 0.001 x 3, 0.004 x 3, 0.010 x 3 closes the first pair, 0.012 x 2 is not less than 0.030, 0.030 x 2
    # closes the last, 0.700 x 1.
    assert result.not_worse == pytest.approx([0.003, 0.012, nan, 0.030], nan_ok=True)
    assert result.not_worse_b == pytest.approx([0.030, 0.700, nan, 0.060], nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_of_equivalence_the_adjustment_is_holms(seed):
    rng = np.random.default_rng(seed)
    p = equivalence.OneSided(*np.power(rng.random((2, 9)), 3))
    assert equivalence.adjusted(p).p_equivalent() == pytest.approx(comparisons.holm(p.p_equivalent()))


def test_false_statements_are_rare_at_the_margin():
    """Three candidates, of which two differ from the third by exactly the margin: at most 5 % of 2,000 studies."""
    rng, wrong = np.random.default_rng(0), 0
    truth = np.array([[0.0], [1.5], [1.5]])
    for _ in range(2000):
        pairs, result = compared(truth + rng.standard_normal((3, 6)), 1.5)
        p = equivalence.adjusted(result)
        at_margin = (pairs.a == 0) | (pairs.b == 0)
        # Candidate 0 is worse by the margin, and so not equivalent.
        shown = np.where(pairs.a == 0, p.not_worse, p.not_worse_b)
        wrong += (shown[at_margin] <= 0.05).any()
    assert 0.01 < wrong / 2000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_differences_that_are_known_are_within_the_margin_or_not():
    known = equivalence.of_known([0.005, -0.005, 0.02, -0.02, 0.0], 0.01)
    assert known.not_worse.tolist() == [0, 0, 0, 1, 0] and known.not_worse_b.tolist() == [0, 0, 1, 0, 0]
    # The limit of the tests for a small standard error; nothing is within a margin of 0.
    limit = equivalence.one_sided([0.005, 0.02], 1e-12, 4.0, 0.01)
    assert np.allclose([limit.not_worse, limit.not_worse_b], [[0, 0], [0, 1]], atol=1e-6)
    assert np.isnan(equivalence.of_known([0.0], 0.0).p_equivalent()).all()
