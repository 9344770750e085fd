"""Tests of variance components against textbooks, another library, and simulations with known truth."""

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from variability.stats import intervals, variance_components

# Houf & Berman (1988): thermal impedance of 10 power modules, 3 operators, 3 repetitions. Intervals as in Burdick,
# Borror & Montgomery (2005), sect. 3.
IMPEDANCE = """
37 38 37 41 41 40 41 42 41   42 41 43 42 42 42 43 42 43   30 31 31 31 31 31 29 30 28   42 43 42 43 43 43 42 42 42
28 30 29 29 30 29 31 29 29   42 42 43 45 45 45 44 46 45   25 26 27 28 28 30 29 27 27   40 40 40 43 42 42 43 43 41
25 25 25 27 29 28 26 26 26   35 34 34 35 35 34 35 34 35
"""


def impedance():
    return np.array(IMPEDANCE.split(), dtype=float).reshape(10, 3, 3)


def cells(values, codes):
    """Return ``variance_components.Cells`` of runs: values (runs,), codes (runs, factors)."""
    levels, cell = np.unique(codes, axis=0, return_inverse=True)
    counts = np.bincount(cell.ravel())
    means = np.bincount(cell.ravel(), values) / counts
    return variance_components.Cells(means, counts, levels, np.square(values - means[cell.ravel()]).sum())


def cells_of(table):
    """Return the cells of a complete table, with the replicates in its last axis."""
    return cells(table.ravel(), np.indices(table.shape)[:-1].reshape(table.ndim - 1, -1).T)


def simulated(rng, shape, runs, variances):
    """Return a complete table of random effects with known variances, in the order of ``terms``, then the noise."""
    values = rng.normal(0, np.sqrt(variances[-1]), (*shape, runs))
    for term, size in zip(variance_components.terms(len(shape)), variances, strict=False):
        effect = rng.normal(0, np.sqrt(size), [length if axis in term else 1 for axis, length in enumerate(shape)])
        values = values + effect[..., None]
    return values


def with_gaps(rng, table, share):
    """Return the cells of a table without a share of its runs."""
    codes = np.indices(table.shape)[:-1].reshape(table.ndim - 1, -1).T
    selected = rng.random(len(codes)) >= share
    return cells(table.ravel()[selected], codes[selected])


def test_one_way_by_hand():
    # Means 2, 4, 6: between 3 * 8 / 2 = 12, within (2 + 8 + 2) / 6 = 2, component (12 - 2) / 3.
    result = variance_components.anova(np.array([[1.0, 2, 3], [2, 4, 6], [5, 6, 7]]))
    assert result.df.tolist() == [2, 6]
    assert result.ms == pytest.approx([12, 2])
    assert result.variances == pytest.approx([10 / 3, 2])


def test_without_repetitions_the_interaction_is_the_residual():
    # Row means 2 and 5, column means 2, 3, 5.5: rows 13.5, columns 6.5, rest 0.5.
    result = variance_components.anova(np.array([[1.0, 2, 3], [3, 4, 8]])[..., None])
    assert result.terms == [(0,), (1,)]
    assert result.ms == pytest.approx([13.5, 6.5, 1.5])
    assert result.variances == pytest.approx([4, 2.5, 1.5])


def test_nested_by_hand():
    # Backbones 0 and 1, two models in each, two runs of each model.
    values = np.array([[[1.0, 3], [5, 7]], [[10, 10], [14, 18]]])
    result = variance_components.anova(values, {1: [0]})
    assert result.terms == [(0,), (0, 1)]
    assert result.df.tolist() == [1, 2, 4]
    # Models' means 2, 6 | 10, 16, backbones' 4, 13: 8 * 4.5^2, then 2 * (4 + 4 + 9 + 9) / 2, then (2 + 2 + 0 + 8) / 4.
    assert result.ms == pytest.approx([162, 26, 3])
    assert result.variances == pytest.approx([(162 - 26) / 4, (26 - 3) / 2, 3])


def test_a_published_two_way_study():
    result = variance_components.anova(impedance())
    assert result.variances == pytest.approx([48.29259259, 0.56460905, 0.72798354, 0.51111111])
    ends = [variance_components.mls_interval(weights, result.ms, result.df, 0.95) for weights in result.weights]
    expected = [
        (22.694519080, 161.6391841517),
        (0.072961525, 25.7507696003),
        (0.332725386, 1.7927201819),
        (0.368157535, 0.7575430447),
    ]
    assert np.array(ends) == pytest.approx(np.array(expected))


def test_published_intervals_of_sums():
    result = variance_components.anova(impedance())
    reproducibility = result.weights[1] + result.weights[2]
    ends = variance_components.mls_interval(reproducibility, result.ms, result.df, 0.95)
    assert ends == pytest.approx((0.612491664, 26.4986365504))
    gauge = reproducibility + result.weights[3]
    assert variance_components.mls_interval(gauge, result.ms, result.df, 0.95) == pytest.approx(
        (1.206225574, 27.0172388372)
    )


def test_the_interval_of_one_mean_square_is_chi_square():
    ends = variance_components.mls_interval(np.array([0.0, 1.0]), np.array([3.0, 2.0]), np.array([4, 7]), 0.9)
    assert ends == pytest.approx(np.square(intervals.sd_interval(np.sqrt(2.0), 8, 0.9)))


def test_a_component_below_the_noise_is_not_known_to_be_absent():
    weights, df = np.array([1.0, -1.0]) / 5, np.array([40, 500])
    at_zero = variance_components.mls_interval(weights, np.array([1.0, 1.0]), df, 0.95)
    # With a mean square far below its expectation, the formula alone would end at 0.
    for ms in (0.4, 0.9, 0.0):
        assert variance_components.mls_interval(weights, np.array([ms, 1.0]), df, 0.95) == pytest.approx(at_zero)
    assert at_zero[0] == 0 < at_zero[1]


def test_equal_values_have_variances_of_exactly_zero():
    result = variance_components.anova(np.full((3, 2, 4), 0.1))
    assert (result.ms == 0).all() and (result.variances == 0).all()
    assert variance_components.mls_interval(result.weights[0], result.ms, result.df, 0.95) == (0, 0)


def test_rounding_is_not_spread():
    # 0.1 + 0.2 is not 0.3; a difference by rounding alone is not an interaction.
    values = np.add.outer([0.1, 0.2, 0.4], [0.7, 0.3])[..., None].repeat(3, axis=2)
    assert variance_components.anova(values).ms[2:].tolist() == [0, 0]


TABLES = st.tuples(st.integers(2, 4), st.integers(2, 3), st.integers(2, 3)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(-9, 9).map(float))
)


@given(TABLES)
@settings(max_examples=60, deadline=None)
def test_in_a_complete_grid_adjusted_sums_of_squares_are_those_of_anova(table):
    expected, result = (
        variance_components.anova(table),
        variance_components.adjusted(cells_of(table), variance_components.terms(2)),
    )
    assert result.df.tolist() == expected.df.tolist()
    assert result.ms == pytest.approx(expected.ms, abs=1e-9)
    assert result.variances == pytest.approx(expected.variances, abs=1e-9)


@given(TABLES, st.floats(-100, 100), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_components_do_not_depend_on_origin_and_unit(table, shift, scale):
    expected = variance_components.anova(table).variances * scale**2
    assert variance_components.anova(shift + scale * table).variances == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("single", [False, True])
def test_three_factors(single):
    table = simulated(np.random.default_rng(5), (4, 3, 2), 1 if single else 3, [1, 2, 0.5, 0.3, 0.1, 0.1, 0.05, 0.2])
    terms = variance_components.terms(3)[: -1 if single else None]
    expected, result = variance_components.anova(table), variance_components.adjusted(cells_of(table), terms)
    assert expected.terms == result.terms
    assert result.variances == pytest.approx(expected.variances)
    assert result.weights == pytest.approx(expected.weights)


def test_streams_crossed_within_cells_are_those_of_the_nested_anova():
    rng = np.random.default_rng(2)
    table = rng.normal(0, 1, (3, 2, 4, 5)) + rng.normal(0, 1, (3, 2, 4, 1)) + rng.normal(0, 1, (3, 1, 1, 1))
    whole = variance_components.anova(table[..., None], {2: [0, 1], 3: [0, 1]})
    inner = variance_components.anova(table.reshape(6, 4, 5, 1), {1: [0], 2: [0]})
    streams = variance_components.Anova(inner.terms[1:], inner.df[1:], inner.ms[1:], inner.weights[1:, 1:])
    grid = cells_of(table.reshape(3, 2, 20))
    # Of 20 runs of a cell, 5 share an init and 4 an order.
    noise = np.tile([5.0, 4.0, 1.0], (6, 1))
    result = variance_components.adjusted(grid, variance_components.terms(2), streams, noise)
    assert result.variances == pytest.approx(whole.variances)


def test_reml_of_a_complete_grid_is_the_method_of_moments_where_none_is_negative():
    table = impedance()
    start = np.array([1.0, 1.0, 1.0, 1.0])
    result = variance_components.reml(cells_of(table), variance_components.terms(2), start)
    assert result == pytest.approx(variance_components.anova(table).variances, rel=1e-5)


def statsmodels_reml(values, codes, terms):
    """Return the estimates of statsmodels, and its profile likelihood as a function."""
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

    columns = [np.unique(codes[:, list(term)], axis=0, return_inverse=True)[1].ravel() for term in terms]
    matrices = [np.eye(column.max() + 1)[column] for column in columns]
    names = [[[str(at) for at in range(matrix.shape[1])]] for matrix in matrices]
    spec = VCSpec([str(term) for term in terms], names, [[matrix] for matrix in matrices])
    model = MixedLM(values, np.ones((len(values), 1)), np.zeros(len(values)), exog_vc=spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(reml=True, method=["bfgs", "lbfgs"], gtol=1e-8)

    def likelihood(variances):
        # The likelihood takes the logarithm of each variance, which 0 does not have.
        ratios = np.maximum(variances[:-1] / variances[-1], 1e-9)
        return model.loglike(MixedLMParams.from_components(np.zeros(1), vcomp=ratios))

    return np.append(fitted.vcomp, fitted.scale), likelihood


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reml_of_a_grid_with_gaps_is_that_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    table = simulated(rng, (6, 4), 4, [1, 0.8, 0.4, 0.3])
    codes = np.indices(table.shape)[:-1].reshape(2, -1).T
    selected = (rng.random(len(codes)) > 0.15) & ~((codes[:, 0] > 3) & (codes[:, 1] == 0))
    values, codes, terms = table.ravel()[selected], codes[selected], variance_components.terms(2)
    result = variance_components.reml(cells(values, codes), terms, np.ones(4))
    expected, likelihood = statsmodels_reml(values, codes, terms)
    assert likelihood(result) >= likelihood(expected) - 1e-6
    # If the best value of a component is 0, as that of the models for seed 2, statsmodels stops before it.
    assert result == pytest.approx(expected, rel=2e-3, abs=3e-3 * (result == 0).any())


def test_reml_leaves_a_component_at_zero_where_its_likelihood_is_highest_there():
    # Rows differ by less than their noise: the moment estimate is negative.
    table = np.array([[1.0, 5, 9], [2, 5, 8.5], [3, 5, 7]])
    grid = cells(np.append(table.ravel(), 6.0), np.append(np.repeat([0, 1, 2], 3), 0)[:, None])
    assert variance_components.adjusted(grid, [(0,)]).variances[0] < 0
    result = variance_components.reml(grid, [(0,)], np.ones(2))
    assert result[0] == 0
    assert result[1] == pytest.approx(np.var(np.append(table.ravel(), 6.0), ddof=1))


def test_confounded_terms_are_left_out():
    codes = np.array([[0, 0], [0, 0], [1, 1], [1, 1]])
    result = variance_components.adjusted(cells(np.array([1.0, 2, 5, 6]), codes), variance_components.terms(2))
    assert result.terms == []
    assert result.variances == pytest.approx([0.5])


@pytest.mark.slow
def test_adjusted_estimates_are_right_on_average():
    rng = np.random.default_rng(0)
    truth = np.array([1, 0.5, 0.2, 0.1])
    result = [
        variance_components.adjusted(
            with_gaps(rng, simulated(rng, (5, 4), 4, truth), 0.3), variance_components.terms(2)
        ).variances
        for _ in range(800)
    ]
    error = np.std(result, axis=0) / np.sqrt(len(result))
    assert (np.abs(np.mean(result, axis=0) - truth) < 4 * error).all()


def coverage(truth, tables):
    """Return how often the interval of each component contains its true value. tables: mean squares, one per study."""
    hits, studies = np.zeros(len(truth)), 0
    for result in tables:
        assert result.terms == variance_components.terms(2)
        for at, weights in enumerate(result.weights):
            low, high = variance_components.mls_interval(weights, result.ms, result.df, 0.95)
            hits[at] += low <= truth[at] <= high
        studies += 1
    return hits / studies


@pytest.mark.slow
@pytest.mark.parametrize("truth", list(product([1.0], [0.01, 0.5], [0.05, 0.5], [0.1, 1])))
def test_intervals_cover_at_their_level(truth):
    rng = np.random.default_rng(1)
    tables = (variance_components.anova(simulated(rng, (5, 3), 5, truth)) for _ in range(800))
    assert (coverage(truth, tables) >= 0.925).all()


@pytest.mark.slow
def test_intervals_from_adjusted_mean_squares_cover_nearly_as_often():
    rng, truth = np.random.default_rng(1), [1, 0.5, 0.2, 0.1]
    gaps = (
        variance_components.adjusted(
            with_gaps(rng, simulated(rng, (5, 3), 5, truth), 0.1), variance_components.terms(2)
        )
        for _ in range(800)
    )
    assert (coverage(truth, gaps) >= 0.92).all()
    # The controls have no linear probe: half of the models lack the first method.
    codes = np.indices((6, 3, 5))[:-1].reshape(2, -1).T
    probed = (codes[:, 0] < 3) | (codes[:, 1] != 0)
    controls = (
        variance_components.adjusted(
            cells(simulated(rng, (6, 3), 5, truth).ravel()[probed], codes[probed]), variance_components.terms(2)
        )
        for _ in range(800)
    )
    assert (coverage(truth, controls) >= 0.92).all()
