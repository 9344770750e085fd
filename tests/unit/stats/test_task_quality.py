"""Signal to noise and decision accuracy, by hand and on synthetic candidates whose values are known."""

import numpy as np
import pytest

from variability.stats import task_quality

NAN = np.nan


def test_by_hand():
    result = task_quality.quality(np.array([[0.1, 0.3], [0.2, 0.6]]))
    assert result.dispersion == pytest.approx(0.2)
    # Variances 0.02 and 0.08, one degree of freedom each.
    assert result.sd == pytest.approx(np.sqrt(0.05)) and result.df == 2
    assert result.snr == pytest.approx(0.2 / np.sqrt(0.05))
    assert result.snr_if_equal == pytest.approx(2 / np.sqrt(np.pi) / np.sqrt(2))
    # One run of each is ordered as the means (b is better) in three of four combinations: not 0.3 against 0.2.
    assert result.accuracy_same_runs == 0.75
    # The means of the others: 0.1 and 0.2 say the other run: (0.3, 0.6), (0.3, 0.2), (0.1, 0.6), (0.1, 0.2).
    assert result.accuracy == 0.5 and result.pairs == 1


# d2 of control charts (Montgomery 2009, appendix VI).
@pytest.mark.parametrize(("count", "expected"), [(2, 1.128), (3, 1.693), (5, 2.326), (10, 3.078), (25, 3.931)])
def test_the_expected_range_is_that_of_published_tables(count, expected):
    assert task_quality.expected_range(count) == pytest.approx(expected, abs=5e-4)


def test_equal_candidates_are_ordered_by_chance():
    values = np.random.default_rng(0).normal(size=(3000, 4, 2))
    results = [task_quality.quality(each) for each in values[:400]]
    # The sign of the difference of one pair, and that of the mean of two pairs: correlation 1 / sqrt(2).
    assert np.mean([each.accuracy_same_runs for each in results]) == pytest.approx(0.75, abs=0.02)
    assert np.mean([each.accuracy for each in results]) == pytest.approx(0.5, abs=0.02)
    dispersion = np.ptp(values.mean(axis=2), axis=1).mean()
    assert dispersion == pytest.approx(results[0].snr_if_equal, abs=0.03)


def test_candidates_that_do_not_overlap_are_always_ordered_correctly():
    result = task_quality.quality(np.array([[1.0, 2.0, NAN], [5.0, 6.0, 7.0]]))
    assert result.accuracy == result.accuracy_same_runs == 1
    assert result.df == 3 and result.dispersion == 4.5


def test_ties_count_half():
    assert task_quality.quality(np.array([[1.0, 1.0], [1.0, 1.0]])).accuracy == 0.5


@pytest.mark.parametrize("values", [[[NAN, NAN]], [[1.0, NAN]], [[1.0, NAN], [NAN, NAN]], [[1.0, NAN], [2.0, NAN]]])
def test_too_few_runs_give_nothing(values):
    result = task_quality.quality(np.array(values))
    assert np.isnan(result.snr) and np.isnan(result.accuracy) and result.df == 0


def test_no_spread_gives_no_ratio():
    result = task_quality.quality(np.array([[0.1 + 0.2, 0.3], [0.5, 0.5]]))
    assert result.sd == 0 and np.isnan(result.snr) and result.dispersion == pytest.approx(0.2)


def test_the_unit_does_not_matter():
    values = np.random.default_rng(1).normal(size=(3, 5))
    assert task_quality.quality(1e6 * values).snr == pytest.approx(task_quality.quality(values).snr)
    assert task_quality.quality(-values).accuracy == task_quality.quality(values).accuracy
