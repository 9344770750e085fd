"""Tests of weights on sorted scores against expanded scores: SciPy's trimmed mean, and loops over pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from variability.stats import robust_aggregates


def pool(scores, missing=()):
    """Return the pool of scores (runs, tasks), without those at (run, task) in ``missing``."""
    rows = [(scores[at], at[1], at[0]) for at in np.ndindex(scores.shape) if at not in missing]
    return robust_aggregates.Pool.of(*zip(*rows, strict=True), scores.shape[1], scores.shape[0])


def mean(candidate, weights):
    return robust_aggregates.interquartile_mean(candidate, robust_aggregates.cumulative(weights))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 1000), st.booleans())
def test_the_interquartile_mean_is_scipys_where_tasks_have_equally_many_runs(runs, tasks, seed, tied):
    scores = np.random.default_rng(seed).normal(size=(runs, tasks)).round(0 if tied else 9)
    candidate = pool(scores)
    expected = stats.trim_mean(scores, 0.25, axis=None)
    assert mean(candidate, robust_aggregates.observed(candidate))[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("runs", [1, 7, 300])
@pytest.mark.parametrize("resample", [robust_aggregates.stratified, robust_aggregates.clustered])
def test_replicates_are_scipys_trimmed_means_of_the_expanded_scores(resample, runs):
    scores = np.random.default_rng(0).normal(size=(runs, 3))
    candidate = pool(scores)
    weights = np.concatenate(list(resample(candidate, np.random.default_rng(1), 60)))
    assert weights.shape == (60, 3 * runs)
    expanded = [np.repeat(candidate.scores, row.astype(int)) for row in weights]
    assert mean(candidate, weights) == pytest.approx([stats.trim_mean(scores, 0.25) for scores in expanded])
    assert np.array_equal(weights @ candidate.membership, np.full((60, 3), runs))


def test_a_run_of_a_task_with_fewer_runs_counts_more():
    # Weights 3/4 for (0, 1) and 3/2 for (10): half a run is cut off below, none of the last.
    candidate = robust_aggregates.Pool.of([0, 1, 10], [0, 0, 1], [0, 1, 0], 2, 2)
    assert robust_aggregates.observed(candidate).tolist() == [[0.75, 0.75, 1.5]]
    assert robust_aggregates.task_means(candidate, robust_aggregates.observed(candidate)).tolist() == [[0.5, 10.0]]
    eight = robust_aggregates.Pool.of([0, 1, 2, 3, 4, 10, 11, 12], [0] * 5 + [1] * 3, [*range(5), *range(3)], 2, 5)
    # 4/5 each, 4/3 each, two of the eight cut off: 0.8 + 0.8 + 0.4 of a run below, 1.33 + 0.67 above.
    expected = (0.4 * 2 + 0.8 * 3 + 0.8 * 4 + 4 / 3 * 10 + (8 / 3 - 2) * 11) / 4
    assert mean(eight, robust_aggregates.observed(eight))[0] == pytest.approx(expected)


def test_equal_scores_have_exactly_that_score_as_their_mean():
    candidate = pool(np.full((5, 3), 0.1), missing={(0, 1)})
    weights = np.concatenate(list(robust_aggregates.clustered(candidate, np.random.default_rng(0), 50)))
    assert set(mean(candidate, weights)) == {0.1}
    assert set(robust_aggregates.task_means(candidate, weights).ravel()) == {0.1}


def test_whole_seeds_are_resampled_where_they_span_tasks():
    candidate = pool(np.arange(12.0).reshape(4, 3))
    weights = np.concatenate(list(robust_aggregates.clustered(candidate, np.random.default_rng(0), 30)))
    by_seed = weights.reshape(30, 4, 3)  # the scores are sorted by seed
    assert (by_seed == by_seed[:, :, :1]).all()


def test_missing_runs_do_not_change_the_sampled_seeds():
    scores = np.arange(40.0).reshape(10, 4)
    whole, holed = pool(scores), pool(scores, missing={(3, 1), (4, 1), (9, 3)})
    for one, other in zip(
        robust_aggregates.clustered(whole, np.random.default_rng(5), 60),
        robust_aggregates.clustered(holed, np.random.default_rng(5), 60),
        strict=True,
    ):
        first, second = one[:, whole.task == 0], other[:, holed.task == 0]
        assert np.allclose(first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True))


def test_a_task_with_one_run_has_it_in_every_replicate():
    candidate = pool(np.arange(10.0).reshape(5, 2), missing={(run, 1) for run in range(4)})
    weights = np.concatenate(list(robust_aggregates.clustered(candidate, np.random.default_rng(0), 200)))
    assert np.allclose(weights @ candidate.membership, 3)
    assert np.allclose(robust_aggregates.task_means(candidate, weights)[:, 1], 9)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 1000))
def test_profiles_and_improvement_are_those_of_loops(runs, tasks, seed):
    rng = np.random.default_rng(seed)
    scores, others = rng.integers(0, 4, (runs, tasks)), rng.integers(0, 4, (runs + 2, tasks))
    candidate, other = pool(scores.astype(float)), pool(others.astype(float))
    weights, weights_other = (
        np.concatenate(list(robust_aggregates.stratified(one, rng, 8))) for one in (candidate, other)
    )
    thresholds = [-1, 0, 0.5, 2, 3, 5]
    shares = robust_aggregates.profile(candidate, robust_aggregates.cumulative(weights), thresholds)
    expected = [
        [(row * (candidate.scores > threshold)).sum() / len(row) for threshold in thresholds] for row in weights
    ]
    assert shares == pytest.approx(np.array(expected))
    result = robust_aggregates.improvement(
        candidate,
        robust_aggregates.cumulative_by_task(candidate, weights),
        other,
        weights_other,
        robust_aggregates.insertion_points(candidate, other),
    )
    for replicate, row, row_other in zip(result, weights, weights_other, strict=True):
        per_task = []
        for task in range(tasks):
            scores_a = np.repeat(candidate.scores[candidate.task == task], row[candidate.task == task].astype(int))
            scores_b = np.repeat(other.scores[other.task == task], row_other[other.task == task].astype(int))
            test = (
                stats.mannwhitneyu(scores_a, scores_b, method="asymptotic") if np.ptp([*scores_a, *scores_b]) else None
            )
            per_task.append(0.5 if test is None else test.statistic / (len(scores_a) * len(scores_b)))
        assert replicate == pytest.approx(np.mean(per_task))


def test_samples_are_uniform_within_tasks_of_different_sizes():
    candidate = robust_aggregates.Pool.of(np.arange(9.0), [0] * 2 + [1] * 7, [0, 1, *range(7)], 2, 7)
    weights = np.concatenate(list(robust_aggregates.stratified(candidate, np.random.default_rng(0), 20_000)))
    assert weights.mean(axis=0) == pytest.approx(robust_aggregates.observed(candidate)[0], rel=0.05)


@pytest.mark.parametrize(("scores", "task"), [([1.0, np.nan], [0, 1]), ([1.0, 2.0], [0, 0])])
def test_a_missing_score_and_a_task_without_one_are_refused(scores, task):
    with pytest.raises(ValueError):
        robust_aggregates.Pool.of(scores, task, [0, 1], 2, 2)


def test_the_jackknife_of_a_mean_is_students_t_interval_of_the_seeds_means():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((4, 6))  # tasks, seeds
    pool = robust_aggregates.Pool.of(values.ravel(), np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4), 4, 6)
    whole, *without = robust_aggregates.task_means(
        pool, np.vstack([robust_aggregates.observed(pool), robust_aggregates.without_seeds(pool)])
    ).mean(axis=1)
    expected = stats.t.interval(0.9, 5, values.mean(), stats.sem(values.mean(axis=0)))
    assert robust_aggregates.jackknife_interval(whole, np.array(without), 0.9) == pytest.approx(expected, rel=1e-12)


def test_the_jackknife_of_the_iqm_leaves_one_seed_out_at_a_time():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((4, 5))
    pool = robust_aggregates.Pool.of(values.ravel(), np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4), 4, 5)
    result = robust_aggregates.interquartile_mean(
        pool, robust_aggregates.cumulative(robust_aggregates.without_seeds(pool))
    )
    # 16 of 20 runs remain, each with the weight of 20/16 of a run: five are cut off at each end, four of these 16.
    expected = [stats.trim_mean(np.delete(values, seed, axis=1).ravel(), 0.25) for seed in range(5)]
    assert result == pytest.approx(expected, rel=1e-12)
