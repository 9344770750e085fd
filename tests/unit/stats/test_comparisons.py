"""Tests of comparisons against published numbers, SciPy, statsmodels, scikit-posthocs and counting by hand."""

import numpy as np
import pytest
from demsar_2006 import DEMSAR, UNTIED
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from variability.stats import comparisons, intervals

RNG = np.random.default_rng(0)
A = RNG.normal(0.91, 0.01, (7, 5))
B = RNG.normal(0.90, 0.03, (7, 4))


def rng():
    return np.random.default_rng(1)


def moments(values):
    return values.mean(axis=1), values.std(axis=1, ddof=1), values.shape[1]


def ranks(scores):
    return stats.rankdata(-scores, axis=1)


# Student's t


def test_welch_from_moments_is_scipys_from_runs():
    expected = stats.ttest_ind(A, B, axis=1, equal_var=False).pvalue
    assert comparisons.welch_p(*moments(A), *moments(B)) == pytest.approx(expected, rel=1e-9)


def test_the_paired_t_from_moments_is_scipys_from_pairs():
    differences = A[:, :4] - B
    expected = stats.ttest_rel(A[:, :4], B, axis=1).pvalue
    assert comparisons.paired_p(*moments(differences)) == pytest.approx(expected, rel=1e-9)


def test_students_sleep_data():
    # Student (1908), as in every textbook: mean difference 1.58, SD 1.230, n 10, t = 4.06, p = 0.0028
    gained = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert comparisons.paired_p(gained.mean(), gained.std(ddof=1), 10) == pytest.approx(0.00283, abs=5e-6)


def test_without_spread_or_runs_t_has_no_p():
    assert np.isnan(comparisons.welch_p(0.9, 0.0, 5, 0.8, 0.0, 5))
    assert np.isnan(comparisons.welch_p(0.9, 0.1, 1, 0.8, 0.1, 5))
    assert np.isnan(comparisons.paired_p(0.1, 0.0, 5))
    assert np.isnan(comparisons.paired_p(0.1, np.nan, 1))
    assert 0 < comparisons.welch_p(0.9, 0.0, 5, 0.8, 0.1, 5) < 1


# Randomisation


def test_the_permutation_test_is_scipys():
    result = comparisons.permutation(A, B, rng(), 100)
    assert (result.exact, result.arrangements, result.floor) == (True, 126, 2 / 126)
    for at in range(len(A)):
        expected = stats.permutation_test((A[at], B[at]), lambda a, b: a.mean() - b.mean(), n_resamples=np.inf)
        assert result.p[at] == pytest.approx(expected.pvalue, rel=1e-12)


def test_the_sign_flip_test_is_scipys():
    differences = A[:, :4] - B
    result = comparisons.sign_flip(differences, rng(), 100)
    for at, row in enumerate(differences):
        expected = stats.permutation_test((row,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert result.p[at] == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize(("n", "floor"), [(5, 0.0625), (6, 0.03125)])
def test_five_pairs_cannot_be_significant(n, floor):
    result = comparisons.sign_flip(np.arange(1.0, n + 1)[None], rng(), 100)
    assert (result.p[0], result.floor) == (floor, floor)


def test_five_against_five_cannot_go_below_its_floor():
    result = comparisons.permutation(np.arange(5.0)[None] + 10, np.arange(5.0)[None], rng(), 100)
    assert (result.p[0], result.floor) == (2 / 252, 2 / 252)


def test_fishers_permutation_of_darwins_maize():
    # Fisher (1935, sect. 21): of 2**15 sign patterns 835 give a sum of at least 314, and 28 more exactly that
    heights = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    sums = comparisons._all_signs(15) @ np.array(heights, dtype=float)
    assert ((sums > 314).sum(), (sums >= 314).sum()) == (835, 863)


def test_more_arrangements_than_can_be_enumerated_are_sampled():
    a, b = RNG.normal(0.3, 1, (1, 20)), RNG.normal(0, 1, (1, 20))
    result = comparisons.permutation(a, b, rng(), 20_000)
    assert (result.exact, result.arrangements) == (False, 20_000)
    assert result.p[0] == pytest.approx(stats.ttest_ind(a[0], b[0]).pvalue, abs=0.02)
    separated = comparisons.permutation(a + 100, b, rng(), 199)
    assert separated.p[0] == separated.floor == 2 / 200
    flipped = comparisons.sign_flip(a + 100, rng(), 199)
    assert flipped.p[0] == flipped.floor == 2 / 200


def test_a_sampled_test_depends_only_on_its_generator():
    a, b = RNG.normal(0.3, 1, (3, 20)), RNG.normal(0, 1, (3, 20))
    once, again = (comparisons.permutation(a, b, rng(), 500).p for _ in range(2))
    assert (once == again).all()
    assert (once != comparisons.permutation(a, b, np.random.default_rng(2), 500).p).any()
    assert comparisons.permutation(a[1:], b[1:], rng(), 500).p == pytest.approx(once[1:])


def test_equal_values_are_not_different():
    same = np.full((1, 5), 0.1)
    assert comparisons.permutation(same, same, rng(), 100).p == 1
    assert comparisons.sign_flip(np.zeros((1, 5)), rng(), 100).p == 1


def test_ties_of_sums_count_whatever_their_last_bits():
    # Counted by hand in tenths: of C(4, 2) = 6 label patterns, sums of {1, 2, 2, 3} are 3, 3, 4, 4, 5, 5
    a, b = np.array([[0.2, 0.3]]), np.array([[0.1, 0.2]])
    assert comparisons.permutation(a, b, rng(), 100).p == pytest.approx(2 * 2 / 6)


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=8), st.integers(1, 7))
def test_the_permutation_test_is_symmetric(values, cut):
    values = np.array(values, dtype=float) / 10
    cut = min(cut, len(values) - 1)
    a, b = values[None, :cut], values[None, cut:]
    one, other = comparisons.permutation(a, b, rng(), 100), comparisons.permutation(b, a, rng(), 100)
    assert one.p == pytest.approx(other.p)
    assert one.p >= 1 / one.arrangements


@pytest.mark.parametrize(("repaired", "broken"), [(0, 0), (5, 0), (7, 12), (30, 10)])
def test_mcnemar_is_statsmodels(repaired, broken):
    from statsmodels.stats.contingency_tables import mcnemar

    expected = mcnemar([[50, repaired], [broken, 50]], exact=True).pvalue if repaired + broken else 1
    assert comparisons.mcnemar_p(repaired, broken) == pytest.approx(expected)


def test_holm_is_statsmodels_and_ignores_missing_values():
    from statsmodels.stats.multitest import multipletests

    p = np.array([0.01, 0.04, 0.03, np.nan, 0.005, 0.03])
    expected = multipletests(p[~np.isnan(p)], method="holm")[1]
    result = comparisons.holm(p)
    assert result[~np.isnan(p)] == pytest.approx(expected)
    assert np.isnan(result[3])
    assert len(comparisons.holm([])) == 0


# Probability of being better


def test_superiority_is_mann_whitneys_u():
    share, ties = comparisons.superiority(A.round(2), B.round(2))
    expected = stats.mannwhitneyu(A.round(2), B.round(2), axis=1).statistic / 20
    assert share == pytest.approx(expected)
    assert ties.max() > 0


@pytest.mark.parametrize(("share", "n", "n_b"), [(1.0, 5, 5), (0.88, 5, 5), (0.3, 4, 9), (0.0, 3, 3), (0.7, 40, 60)])
def test_newcombes_interval_ends_where_his_quartic_is_zero(share, n, n_b):
    # (share - t)^2 (2 - t)(1 + t) n n_b = z^2 t (1 - t) [(2 - t)(1 + t) + N (1 - t)(1 + t) + N t (2 - t)]
    t = np.polynomial.Polynomial([0, 1])
    size, z = (n + n_b) / 2 - 1, stats.norm.ppf(0.975)
    quartic = (share - t) ** 2 * (2 - t) * (1 + t) * n * n_b - z**2 * t * (1 - t) * (
        (2 - t) * (1 + t) + size * (1 - t) * (1 + t) + size * t * (2 - t)
    )
    roots = sorted(root.real for root in quartic.roots() if abs(root.imag) < 1e-9 and -1e-9 <= root.real <= 1 + 1e-9)
    low, high = comparisons.superiority_interval(share, n, n_b, 0.95)
    assert (low, high) == pytest.approx((roots[0], roots[-1]), abs=1e-9)


def test_one_against_one_is_wilsons():
    assert comparisons.superiority_interval(1.0, 1, 1, 0.95) == pytest.approx(intervals.wilson_interval(1, 1, 0.95))


@given(st.integers(0, 30), st.integers(2, 12), st.integers(2, 12), st.floats(0.5, 0.99))
def test_newcombes_interval_is_symmetric_and_contains_its_estimate(hits, n, n_b, level):
    share = min(hits, n * n_b) / (n * n_b)
    low, high = comparisons.superiority_interval(share, n, n_b, level)
    mirrored = comparisons.superiority_interval(1 - share, n_b, n, level)
    assert 0 <= low <= share <= high <= 1
    assert np.array([1 - high, 1 - low]) == pytest.approx(np.array(mirrored), abs=1e-9)


@pytest.mark.parametrize("truth", [0.5, 0.75, 0.9])
def test_newcombes_interval_covers_at_five_against_five(truth):
    random = np.random.default_rng(2)
    a = random.normal(np.sqrt(2) * stats.norm.ppf(truth), 1, (20_000, 5))
    share, _ = comparisons.superiority(a, random.normal(0, 1, (20_000, 5)))
    low, high = comparisons.superiority_interval(share, 5, 5, 0.95)
    # 0.944, 0.966, 0.947; the binomial SE is 0.0016
    assert 0.935 <= np.mean((low <= truth) & (truth <= high)) <= 0.975


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (3, 7), (25, 30)])
def test_the_share_of_pairs_has_the_exact_interval(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert comparisons.share_interval(hits / n, n, 0.95) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.4, 0.9, "not significant"),
        (0.55, 0.7, "significant, not meaningful"),
        (0.55, 0.8, "significant and meaningful"),
        (0.2, 0.45, "significant and meaningful"),
        (0.3, 0.45, "significant, not meaningful"),
        (0.5, 0.9, "not significant"),
        (np.nan, np.nan, "not estimable"),
    ],
)
def test_the_verdict_is_bouthilliers_in_both_directions(low, high, verdict):
    assert comparisons.verdicts(low, high, 0.75) == verdict


# Many candidates


def test_demsars_published_example():
    result = comparisons.friedman(ranks(UNTIED))
    assert ranks(UNTIED).mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert result.chi2 == pytest.approx(9.28, abs=0.005)
    assert comparisons.iman_davenport(result.chi2, 14, 4) == pytest.approx(3.69, abs=0.005)
    assert comparisons.nemenyi_cd(4, 14, 0.95) == pytest.approx(1.25, abs=0.005)
    assert comparisons.nemenyi_cd(4, 14, 0.90) == pytest.approx(1.12, abs=0.005)


def test_ties_change_demsars_example():
    result = comparisons.friedman(ranks(DEMSAR))
    assert result.chi2 == pytest.approx(9.86, abs=0.005)
    assert comparisons.iman_davenport(result.chi2, 14, 4) == pytest.approx(3.99, abs=0.005)
    assert result.chi2_ties == pytest.approx(10.95, abs=0.005)
    assert result.chi2_ties == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)


def test_iman_and_davenport_are_anova_of_the_ranks():
    result = comparisons.friedman(ranks(DEMSAR))
    of_ranks = ranks(DEMSAR)
    total = np.square(of_ranks - 2.5).sum()
    between = 14 * np.square(of_ranks.mean(axis=0) - 2.5).sum()
    f = (between / 3) / ((total - between) / 39)
    assert (result.f, result.p) == pytest.approx((f, stats.f.sf(f, 3, 39)))


def test_nemenyis_difference_is_the_threshold_of_scikit_posthocs():
    import pandas as pd
    import scikit_posthocs

    p = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(UNTIED)).to_numpy()
    differences = np.abs(np.subtract.outer(*[ranks(UNTIED).mean(axis=0)] * 2))
    for level in (0.95, 0.90, 0.80):
        assert ((differences >= comparisons.nemenyi_cd(4, 14, level)) == (p <= 1 - level)).all()


def test_equal_rankings_on_all_tasks_have_an_exact_probability():
    result = comparisons.friedman(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert np.isnan(result.f)
    assert result.p == pytest.approx(1 / 6**3)
    tied = comparisons.friedman(np.tile([1.5, 1.5, 3.0], (4, 1)))
    assert tied.p == pytest.approx(1 / 3**3)


def test_ties_everywhere_give_no_p():
    assert np.isnan(comparisons.friedman(np.full((4, 3), 2.0))[1:]).all()


def test_shuffled_ranks_find_the_exact_probability():
    # Two tasks, four candidates, equal ranks: one order of 24
    p, floor = comparisons.friedman_permutation(np.tile([1.0, 2, 3, 4], (2, 1)), rng(), 20_000)
    assert p == pytest.approx(1 / 24, abs=0.005)
    assert floor == pytest.approx(1 / 24)
    p, floor = comparisons.friedman_permutation(ranks(DEMSAR), rng(), 20_000)
    assert p == pytest.approx(comparisons.friedman(ranks(DEMSAR)).p, abs=0.005)
    assert floor == 1 / 20_001


def test_two_tasks_are_too_few_for_f():
    nearly = np.array([[1.0, 2, 3, 4, 5, 6], [1, 2, 4, 3, 5, 6]])
    p, _ = comparisons.friedman_permutation(nearly, rng(), 20_000)
    # Spearman's rho 0.943 at n = 6: p = 6/720 one-sided (any table)
    assert p == pytest.approx(6 / 720, abs=0.003)
    assert comparisons.friedman(nearly).p < p / 5


def test_bars_join_the_largest_sets_that_do_not_differ():
    assert comparisons.not_different([1.0, 1.5, 2.2, 4.0, 4.5], 1.0) == [(0, 1), (1, 2), (3, 4)]
    assert comparisons.not_different([1.0, 2.0, 3.0], 1.0) == []
    assert comparisons.not_different([1.0, 2.0, 3.0], 5.0) == [(0, 2)]
