"""Test noise: standard errors over test examples, of scores and of differences, also of single runs."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from variability import registry
from variability.results import metric_scales, runs_table
from variability.results.predictions import Predictions, RunPredictions, Scored
from variability.stats import clustered, comparisons

BEYOND, WITHIN, NOT_TESTED = "beyond test noise", "within test noise", "not tested"


def runs(values, metric="accuracy", unit="fraction of examples", **columns):
    """Return the runs table of one run per model, or of several: {model: value or values}."""
    rows = [
        {"model": model, "seed": seed, "value": value, "unit": unit}
        for model, of_model in values.items()
        for seed, value in enumerate(np.atleast_1d(of_model))
    ]
    facts = {"task": "t", "method": "m", "phase": "after", "split": "test", "metric": metric, "primary": True}
    table = pd.DataFrame(rows).assign(**facts, higher_is_better=True, status="completed", source="own")
    table = table.assign(**{name: column for name, column in columns.items() if not isinstance(column, dict)})
    for name, by_model in columns.items():
        if isinstance(by_model, dict):
            table[name] = table["model"].map(by_model)
    return metric_scales.with_declared(table.reindex(columns=runs_table.COLUMNS), {}).assign(unit=unit)


def scored(scores, groups=None, higher_is_better=True):
    """Return predictions of scores: {model: (runs, examples)}."""

    def source(of_model, phase, split, probabilities):
        for seed, row in enumerate(np.atleast_2d(of_model)):
            ids = np.arange(len(row))
            yield RunPredictions(seed, ids, 0 * row, row, None, groups, "scores", Scored("accuracy", higher_is_better))

    return Predictions({(model, "t", "m"): partial(source, np.asarray(rows, float)) for model, rows in scores.items()})


def table(runs_of_study, predictions=None, **options):
    tables = {"runs": runs_of_study} | ({"predictions": predictions} if predictions else {})
    return registry.find("analyses", "test_noise")(options).table(tables)


def only(result, quantity="difference"):
    (row,) = result[result["quantity"] == quantity].to_dict("records")
    return row


A, B = np.array([1, 1, 1, 1, 0, 1, 1, 0.0]), np.array([1, 0, 0, 1, 0, 0, 1, 1.0])


def test_two_single_runs_on_the_same_examples_are_compared_by_pairs():
    result = table(runs({"a": A.mean(), "b": B.mean()}), scored({"a": A, "b": B}))
    row, expected = only(result), stats.ttest_rel(A, B)
    assert (row["model"], row["model_reference"], row["estimate"]) == ("a", "b", 0.25)
    assert row["p"] == pytest.approx(expected.pvalue) and row["se"] == pytest.approx(stats.sem(A - B))
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert row["mcnemar_p"] == pytest.approx(float(comparisons.mcnemar_p(3, 1)))
    assert row["verdict"] == WITHIN and row["note"] == "one run: other seeds are not covered"
    scores = result[result["quantity"] == "score"].set_index("model")
    assert scores["se"].to_dict() == pytest.approx({"a": stats.sem(A), "b": stats.sem(B)})


def test_groups_are_the_units():
    groups = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    row = only(table(runs({"a": A.mean(), "b": B.mean()}), scored({"a": A, "b": B}, groups)))
    assert row["se"] == pytest.approx(clustered.mean(A - B, groups).se) and row["n_groups"] == 3
    assert row["mcnemar_p"] == pytest.approx(clustered.mcnemar_p(A > B, A < B, groups))


def test_several_runs_are_averaged_by_example_and_scores_need_not_be_0_or_1():
    rng = np.random.default_rng(0)
    scores = {"a": rng.random((3, 40)), "b": rng.random((2, 40)) - 0.9}
    means = {model: of_model.mean(axis=1) for model, of_model in scores.items()}
    row = only(table(runs(means), scored(scores)))
    difference = scores["a"].mean(axis=0) - scores["b"].mean(axis=0)
    assert row["estimate"] == pytest.approx(difference.mean()) and row["se"] == pytest.approx(stats.sem(difference))
    assert row["verdict"] == BEYOND and np.isnan(row["mcnemar_p"]) and row["note"] is None
    assert (row["n"], row["n_reference"]) == (3, 2)


def test_less_may_be_better():
    table_of = runs({"a": A.mean(), "b": B.mean()}).assign(higher_is_better=False)
    row = only(table(table_of, scored({"a": A, "b": B}, higher_is_better=False)))
    assert (row["model"], row["estimate"]) == ("b", 0.25), "the better one is first, and more of a difference is better"


def test_a_reported_standard_error_gives_a_normal_interval_without_pairs():
    row = only(table(runs({"a": 0.8, "b": 0.7}, unit=None, stderr={"a": 0.03, "b": 0.04})))
    assert (row["se"], row["estimate"]) == pytest.approx((0.05, 0.1)) and row["verdict"] == BEYOND
    assert row["p"] == pytest.approx(2 * stats.norm.sf(2)) and row["high"] == pytest.approx(0.1 + 1.959964 * 0.05)
    assert "not paired" in row["note"]


def test_a_share_of_examples_has_wilsons_and_newcombes_intervals():
    # Newcombe (1998), Statistics in Medicine 17:873, table II, example (a), method 10: 56/70 - 48/80.
    row = only(table(runs({"a": 56 / 70, "b": 48 / 80}, n_test={"a": 70, "b": 80})))
    assert (row["low"], row["high"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert row["p"] == pytest.approx(stats.chi2_contingency([[56, 14], [48, 32]], correction=False).pvalue)
    assert row["verdict"] == BEYOND


def test_a_score_of_which_nothing_else_is_known_is_not_tested():
    result = table(runs({"a": 0.8, "b": 0.7}))
    assert only(result)["verdict"] == NOT_TESTED and only(result)["estimate"] == pytest.approx(0.1)
    assert result["note"].str.contains("neither examples").all()


def test_equal_scores_are_not_tested():
    row = only(table(runs({"a": A.mean(), "b": A.mean()}), scored({"a": A, "b": A})))
    assert row["verdict"] == NOT_TESTED and (row["low"], row["high"]) == (0, 0) and row["mcnemar_p"] == 1


def test_p_values_are_adjusted_over_the_pairs_of_a_task():
    scores = {"a": A, "b": B, "c": 1 - A}
    result = table(runs({model: row.mean() for model, row in scores.items()}), scored(scores))
    pairs = result[result["quantity"] == "difference"]
    assert pairs["p_adjusted"].tolist() == pytest.approx(comparisons.holm(pairs["p"]).tolist())
