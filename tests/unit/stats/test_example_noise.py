"""Components of the difference between two models over runs and examples, by hand and by simulation."""

import numpy as np
import pytest

from variability.stats import example_noise, sample_size


def simulated(rng, runs, examples, seed_sd, example_sd, crossed_sd, candidates=2):
    """Return losses of candidates: shared difficulty, which cancels, and the three parts of each candidate."""
    difficulty = rng.normal(0, 3, examples)
    return [
        difficulty
        + rng.normal(0, seed_sd, (runs, 1))
        + rng.normal(0, example_sd, examples)
        + rng.normal(0, crossed_sd, (runs, examples))
        for _ in range(candidates)
    ]


def test_by_hand():
    a = np.array([[0.0, 2.0], [2.0, 2.0]])
    b = np.array([[1.0, 1.0], [1.0, 3.0]])
    # Residuals of both are +-1/2: residual mean square 1. Means of runs: a 1, 2; b 1, 2: variance 1/2.
    runs, examples, crossed = example_noise.pair_parts([a, b])
    assert runs == pytest.approx(2 * (0.5 - 1 / 2)) and crossed == pytest.approx(2)
    # Means of examples: a 1, 2; b 1, 2. They do not differ: 0 - 2 / 2 is below 0.
    assert examples == 0
    # With b turned, the difference is -1, 1: variance 2, minus 2 / 2.
    assert example_noise.pair_parts([a, b[:, ::-1]])[1] == pytest.approx(2 - 1)


def test_the_parts_are_recovered_and_common_difficulty_cancels():
    rng = np.random.default_rng(0)
    estimates = [example_noise.pair_parts(simulated(rng, 6, 200, 0.5, 0.7, 1.1, 3)) for _ in range(200)]
    assert np.mean(estimates, axis=0) == pytest.approx([2 * 0.25, 2 * 0.49, 2 * 1.21], rel=0.05)


def test_the_difference_of_means_varies_as_planned():
    rng = np.random.default_rng(1)
    k, m = 3, 20
    differences = [np.subtract(*(each.mean() for each in simulated(rng, k, m, 0.1, 0.7, 1.1))) for _ in range(4000)]
    expected = 0.02 / k + 0.98 / m + 2.42 / (k * m)
    assert np.var(differences) == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(
    ("losses", "missing"),
    [
        ([np.zeros((1, 5)), np.zeros((1, 5))], [True] * 3),
        ([np.zeros((2, 1)), np.zeros((2, 1))], [True] * 3),
        ([np.zeros((2, 5))], [False, True, False]),
        ([np.zeros((2, 5)), np.zeros((1, 5))], [False] * 3),
    ],
)
def test_what_cannot_be_estimated_is_missing(losses, missing):
    assert list(np.isnan(example_noise.pair_parts(losses))) == missing


def test_power_is_that_of_the_t_test_if_only_runs_vary():
    expected = sample_size.power(0.02, 0.01, 0.01, [2, 5, 20], 0.95)
    assert sample_size.crossed_power(0.02, (0.0002, 0, 0), [2, 5, 20], 50, 0.95) == pytest.approx(expected)


def test_power_is_that_of_the_paired_t_test_over_examples_if_only_examples_vary():
    expected = sample_size.paired_power(0.02, 0.3, [100, 1000], 0.95)
    assert sample_size.crossed_power(0.02, (0, 0.09, 0), 5, [100, 1000], 0.95) == pytest.approx(expected)


def test_the_smallest_sufficient_number_of_examples_is_returned():
    parts, seeds = (0.0001, 0.05, 0.09), np.array([5, 10, 30])
    needed = sample_size.examples_for_power(0.02, parts, seeds, 0.8, 0.95)
    assert (np.diff(needed) < 0).all()
    assert (sample_size.crossed_power(0.02, parts, seeds, needed, 0.95) >= 0.8).all()
    assert (sample_size.crossed_power(0.02, parts, seeds, needed - 1, 0.95) < 0.8).all()


def test_no_number_of_examples_replaces_runs():
    # Ten runs of SD 0.01 detect 1.325 SDs.
    needed = sample_size.examples_for_power(0.0132, (0.0002, 0.01, 0), [10, 11], 0.8, 0.95)
    assert np.isnan(needed[0]) and needed[1] < sample_size.MOST_EXAMPLES
