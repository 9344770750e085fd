"""Tests of the choice of what a figure shows where not all of it is readable."""

import numpy as np
import pandas as pd
import pytest

from variability.reporting import figure_style, relevance
from variability.reporting.plots import _panels, multibootstrap


def runs(values, higher=True):
    """Return runs from {(model, task): values}, one per seed."""
    rows = [(*key, "full", seed, value) for key, of_cell in values.items() for seed, value in enumerate(of_cell)]
    table = pd.DataFrame(rows, columns=["model", "task", "method", "seed", "value"])
    return table.assign(higher_is_better=higher)


#: Means 0 and 2 with variances 2 and 2 on "near"; means 0 and 10 with variances 2 and 8 on "far".
TWO = {("a", "near"): [-1, 1], ("b", "near"): [1, 3], ("a", "far"): [-1, 1], ("b", "far"): [8, 12]}


def test_tasks_are_ordered_by_the_differences_of_candidates_relative_to_seeds():
    scores = relevance.separation(runs(TWO))
    assert scores["near"] == pytest.approx(2**0.5 / 2**0.5)
    assert scores["far"] == pytest.approx((50 / 5) ** 0.5)
    weights = relevance.seed_weight(runs(TWO))
    assert weights == pytest.approx({task: 1 / score for task, score in scores.items()})


def test_without_two_runs_tasks_are_ordered_by_relative_differences():
    single = {key: values[:1] for key, values in TWO.items()}
    assert relevance.separation(runs(single)) == pytest.approx({"near": 2**0.5, "far": 81**0.5 / 2**0.5 / 8})
    assert relevance.seed_weight(runs(single)) == {}


@pytest.mark.parametrize(("higher", "expected"), [(True, {"a": -2.0, "b": -1.0}), (False, {"a": -1.0, "b": -2.0})])
def test_models_are_ordered_by_their_mean_rank_in_the_direction_of_the_metric(higher, expected):
    assert relevance.best(runs(TWO, higher)) == expected


def test_as_many_panels_and_rows_are_shown_as_fit():
    room = figure_style.LARGEST - _panels.MARGIN
    for panels, rows in ((40, 60), (6, 20), (2, 300), (1, 1)):
        shown, lines = _panels.fitting(panels, rows, 0.4, columns=3)
        assert -(-shown // 3) * (0.75 + 0.4 * lines) <= room
        assert shown <= panels and lines <= rows
    assert _panels.fitting(2, 4, 0.4) == (2, 4)
    assert _panels.fitting(0, 0, 0.4) == (1, 1)
    shown, _ = _panels.fitting(40, 60, 0.4)
    assert shown == 3, "three panels with fewer rows rather than one with all"


def test_the_better_cell_of_a_pair_is_first_and_plus_is_better():
    names = {"model": "a", "method": "full", "model_reference": "b", "method_reference": "probe"}
    numbers = {"low": -0.3, "high": 0.1, "n": 5, "n_reference": 4, "n_failed": 0, "n_failed_reference": 1}
    rows = [(higher, difference) for higher in (True, False) for difference in (-0.1, 0.1)]
    table = pd.DataFrame(
        [names | numbers | {"higher_is_better": higher, "difference": difference} for higher, difference in rows]
    )
    shown = multibootstrap._better_first(table)
    assert shown["model"].tolist() == ["b", "a", "a", "b"]
    assert shown["n"].tolist() == [4, 5, 5, 4] and shown["n_failed"].tolist() == [1, 0, 0, 1]
    assert shown["difference"].tolist() == [0.1] * 4
    # An interval is turned with its difference.
    assert np.allclose(shown[["low", "high"]], [[-0.1, 0.3], [-0.3, 0.1], [-0.1, 0.3], [-0.3, 0.1]])
