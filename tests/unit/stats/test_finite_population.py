"""Tests of the contributions to a grid's variance: by hand, against other libraries, and by simulation."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse, stats

from variability.stats import finite_population, variance_components

#: 2 models x 2 methods, 2 runs each. Cells' means 1, 5, 3, 11: grand mean 5; models -2, 2; methods -3, 3; rest 1, -1.
BY_HAND = np.array([[[0.0, 2.0], [4.0, 6.0]], [[2.0, 4.0], [10.0, 12.0]]])


def cells_of(table):
    """Return means, variances and numbers of runs of the cells, and their codes. table: replicates in the last axis."""
    codes = np.indices(table.shape[:-1]).reshape(table.ndim - 1, -1).T
    runs = table.reshape(len(codes), -1)
    return runs.mean(axis=1), runs.var(axis=1, ddof=1), np.full(len(codes), table.shape[-1]), codes


def contributions(table, seed=0, groups=(), samples=4000):
    means, variances, counts, codes = cells_of(table)
    model = finite_population.Decomposition(codes, variance_components.terms(codes.shape[1]))
    rng = np.random.default_rng(seed)
    noise = finite_population.noise_of_cells(variances, counts, rng, samples)
    return model, finite_population.contributions(model, means, noise, rng, groups)


def test_a_grid_of_two_by_two_by_hand():
    model, found = contributions(BY_HAND)
    assert model.terms == [(0,), (1,), (0, 1)]
    assert model.levels.tolist() == [2, 2, 4] and model.df.tolist() == pytest.approx([1, 1, 1])
    # Each cell has a variance of 2, so its mean one of 1, of which 1 df of 4 is in each term's mean square.
    assert found.raw == pytest.approx([2**2 - 1 / 4, 3**2 - 1 / 4, 1 - 1 / 4, 2])
    assert found.shares() == pytest.approx(np.array([3.75, 8.75, 0.75, 2]) / 15.25)


def test_without_noise_the_contributions_are_those_of_the_means():
    table = np.repeat(BY_HAND.mean(axis=2)[..., None], 3, axis=2)
    _, found = contributions(table)
    assert found.sizes == pytest.approx([4, 9, 1, 0])
    for source, size in enumerate([4, 9, 1, 0]):
        assert found.intervals([source], 0.95) == (pytest.approx((size, size)), pytest.approx((size / 14, size / 14)))


def test_equal_values_have_no_shares():
    _, found = contributions(np.full((3, 2, 4), 0.1))
    assert (found.sizes == 0).all()
    assert np.isnan(found.shares()).all()


def test_a_source_below_the_noise_counts_as_nothing_and_the_shares_add_up():
    table = np.array([[[0.0, 10.0], [1.0, 9.0]], [[2.0, 8.0], [0.0, 11.0]]])
    _, found = contributions(table)
    assert (found.raw[:3] < 0).all()
    assert found.shares().tolist() == pytest.approx([0, 0, 0, 1])
    for source in range(3):
        (low, high), (share_low, share_high) = found.intervals([source], 0.95)
        assert low == share_low == 0 < high and 0 < share_high < 1


@given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 20))
@settings(max_examples=15, deadline=None)
def test_shares_do_not_depend_on_origin_and_unit(seed, shift, scale):
    table = np.random.default_rng(seed).normal(size=(3, 2, 3)) + np.arange(3)[:, None, None]
    expected, found = contributions(table)[1], contributions(shift + scale * table)[1]
    assert found.shares() == pytest.approx(expected.shares(), abs=1e-9)
    assert found.shares().sum() == pytest.approx(1)
    assert found.intervals([0], 0.95)[1] == pytest.approx(expected.intervals([0], 0.95)[1], abs=1e-6)


def test_mean_squares_are_those_of_the_analysis_of_variance():
    """Gelman (2005), sect. 3.5: subtract the noise alone, where that of a superpopulation also subtracts others."""
    rng = np.random.default_rng(3)
    table = rng.normal(size=(4, 3, 5)) + 3 * rng.normal(size=(4, 1, 1)) + rng.normal(size=(1, 3, 1))
    anova = variance_components.anova(table)
    model, found = contributions(table)
    per_level = [table.size / levels for levels in (4, 3, 12)]
    expected = [(ms - anova.ms[-1]) / runs for ms, runs in zip(anova.ms[:3], per_level, strict=True)]
    assert found.raw[:3] * model.levels / model.df == pytest.approx(expected)


HOLES = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 1], [2, 2], [3, 0], [3, 2]])


def test_with_holes_the_sums_of_squares_are_averaged_over_orders():
    """Sequential sums of squares of statsmodels in both orders of the main effects (Lindeman, Merenda & Gold 1980)."""
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    means = np.random.default_rng(1).normal(size=len(HOLES)) + HOLES[:, 0]
    data = pd.DataFrame({"value": means, "a": HOLES[:, 0], "b": HOLES[:, 1]})
    orders = [anova_lm(ols(f"value ~ C({x}) + C({y})", data).fit())["sum_sq"] for x, y in permutations("ab")]
    expected = [np.mean([order[f"C({name})"] for order in orders]) for name in "ab"]
    model = finite_population.Decomposition(HOLES, variance_components.terms(2))
    squares = [model.form([at]).square(means) for at in range(3)]
    assert squares[:2] == pytest.approx(expected)
    assert squares[2] == pytest.approx(orders[0]["Residual"])
    assert sum(squares) == pytest.approx(np.square(means - means.mean()).sum())
    first, last = model.extremes(0)
    assert [first.square(means), last.square(means)] == pytest.approx([order["C(a)"] for order in orders])


def test_large_grids_have_the_same_forms(monkeypatch):
    means = np.random.default_rng(1).normal(size=len(HOLES))
    covariance = sparse.csr_array(sparse.diags_array(np.linspace(1, 3, len(HOLES))))
    numbers = []
    for limit in (finite_population._SMALL, 0):
        monkeypatch.setattr(finite_population, "_SMALL", limit)
        model = finite_population.Decomposition(HOLES, variance_components.terms(2))
        for at in range(3):
            form = model.form([at])
            numbers.append([form.square(means), form.expected(covariance), form.freedom(covariance), form.rank])
    assert np.array(numbers[:3]) == pytest.approx(np.array(numbers[3:]))


def test_factors_that_vary_together_are_one_source():
    model = finite_population.Decomposition(np.array([[0, 0], [1, 1], [2, 1]]), variance_components.terms(2))
    assert model.terms == [(0,)]


@pytest.mark.parametrize(("df", "square"), [(1, 4.0), (3, 9.0), (2.5, 20.0), (7, 3.0)])
def test_noncentralities_have_their_confidence_distribution(df, square):
    drawn = finite_population.noncentrality(np.full(40_000, square), df, np.random.default_rng(0))
    assert (drawn == 0).mean() == pytest.approx(stats.chi2.sf(square, df), abs=0.01)
    for limit in (1, 4, 10, 25):
        assert (drawn <= limit).mean() == pytest.approx(stats.ncx2.sf(square, df, limit), abs=0.01)


def test_the_share_of_the_noise_has_the_exact_interval_of_the_noncentral_f():
    """Steiger & Fouladi (1997): between cells, F is non-central with n cells times the ratio of the variances."""
    # Cells of equal variances, with 18 degrees of freedom.
    table = np.arange(6)[:, None] * 0.6 + np.array([-1.0, -0.5, 0.5, 1.0])
    _, found = contributions(table, samples=100_000)
    means, variances, counts, _ = cells_of(table)
    f = 4 * means.var(ddof=1) / variances.mean()
    ends = [
        optimize.brentq(lambda nc, tail=tail: stats.ncf.cdf(f, 5, 18, nc) - tail, 1e-6, 500) for tail in (0.975, 0.025)
    ]
    shares = sorted(1 / (1 + nc / counts.sum()) for nc in ends)
    assert found.intervals([1], 0.95)[1] == pytest.approx(shares, abs=0.005)


def test_at_two_levels_the_interval_is_that_of_t():
    rng = np.random.default_rng(8)
    table = rng.normal(size=(2, 5)) + np.array([[0.0], [9.0]])
    variances = table.var(axis=1, ddof=1)
    _, found = contributions(table, samples=100_000)
    df = min(np.square(variances.sum()) / (np.square(variances) / 6).sum(), 8)
    half = stats.t.ppf(0.975, df) * np.sqrt(variances.sum() / 5)
    difference = abs(np.diff(table.mean(axis=1)).item())
    ends = np.sqrt(found.intervals([0], 0.95)[0])
    assert 2 * ends == pytest.approx([difference - half, difference + half], rel=0.01)


def test_what_paired_runs_share_is_no_noise_of_differences_between_their_cells():
    # Two cells with three common pairs: the pairs move both means alike.
    anova = variance_components.Anova(
        [(0,), (1,)], np.array([2, 2]), np.array([5.0, 1.0]), np.array([[0.5, -0.5], [0, 1]])
    )
    shared, own = sparse.csr_array(np.full((2, 2), 1 / 3)), sparse.csr_array(np.eye(2) / 3)
    rng = np.random.default_rng(0)
    noise = finite_population.noise_of_components(anova, [0, 1], [shared, own], rng, 1000)
    assert noise.sizes.tolist() == [2, 1]
    model = finite_population.Decomposition(np.array([[0], [1]]), [(0,)])
    found = finite_population.contributions(model, np.array([1.0, 3.0]), noise, rng)
    assert found.raw.tolist() == pytest.approx([1 - 1 / 6, 2, 1])


def test_a_collapsing_cell_makes_the_noise_less_certain_and_single_runs_have_the_average_noise():
    rng = np.random.default_rng(0)
    even = finite_population.noise_of_cells(np.ones(6), np.full(6, 5), rng, 20_000)
    uneven = finite_population.noise_of_cells(np.array([100.0, 1, 1, 1, 1, 1]), np.full(6, 5), rng, 20_000)
    widths = [np.ptp(np.quantile(np.log(noise.samples), [0.05, 0.95])) for noise in (even, uneven)]
    assert widths[1] > 1.5 * widths[0]
    gaps = finite_population.noise_of_cells(np.array([2.0, np.nan, 4.0]), np.array([2, 1, 2]), rng, 10)
    assert gaps.covariances[0].diagonal() * gaps.sizes[0] == pytest.approx([1, 3, 2])
    assert finite_population.noise_of_cells(np.array([np.nan]), np.array([1]), rng, 10) is None


@pytest.mark.slow
def test_estimates_are_right_on_average():
    rng, truth = np.random.default_rng(0), np.array([4 / 6, 0.25, 0])
    effects = np.array([-1, 0, 1])[:, None] + np.array([-0.5, 0.5])[None]
    raw = [contributions(effects[..., None] + rng.normal(size=(3, 2, 3)), samples=10)[1].raw for _ in range(400)]
    error = np.std(raw, axis=0) / np.sqrt(len(raw))
    assert (np.abs(np.mean(raw, axis=0) - np.r_[truth, 1]) < 4 * error).all()
