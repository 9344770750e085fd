"""Tests of failed runs: reasons, counts and Wilson's interval of their rate."""

import importlib

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from variability import registry
from variability.reporting import primary_rows
from variability.results import metric_scales, run_flags

pytestmark = pytest.mark.slow

CELL = {"models": ("a",), "methods": ("full",)}


def table(runs, **options):
    return registry.find("analyses", "failures")(options).table({"runs": runs})


def study(values, failed=(), metric="accuracy", higher=True, scale=None, **facts):
    """Return one cell whose primary metric has these values after fine-tuning on the test split.

    scale: declaration of the metric, by default that of the accuracy.
    """
    lost = {("a", "digits", "full", seed) for seed in failed}
    runs = synthetic.runs(**CELL, seeds=range(len(values)), failed=lost)
    at = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")
    runs.loc[at, "value"] = runs.loc[at, "seed"].map(dict(enumerate(values))).where(runs["status"] == "completed")
    runs = runs[runs["metric"] == "accuracy"].assign(metric=metric, higher_is_better=higher)
    runs = runs.assign(perfect=1.0 if higher else 0.0, **facts)
    if scale is not None:
        runs = metric_scales.with_declared(runs.drop(columns=list(metric_scales.COLUMNS)), {metric: scale})
    return runs


def only(result):
    assert len(result) == 1
    return result.iloc[0]


def test_each_run_counts_once_in_total_and_for_each_of_its_reasons():
    # Seed 4 diverged; seed 5 is at chance (0.1 + 2 * sqrt(0.1 * 0.9 / 200) = 0.1424), and its distance from the others
    # is not counted again; seed 6 is far below.
    values = [0.90, 0.91, 0.89, 0.90, np.nan, 0.14, 0.60, 0.91]
    row = only(table(study(values, failed=[4])))
    assert (row["n_runs"], row["n"], row["n_failed"]) == (8, 7, 1)
    assert (row["n_chance"], row["n_outlier"], row["n_flagged"]) == (1, 1, 3)
    assert row["chance_limit"] == pytest.approx(0.1 + 2 * np.sqrt(0.1 * 0.9 / 200))
    ends = stats.binomtest(3, 8).proportion_ci(0.95, method="wilson")
    assert (row["rate"], row["low"], row["high"]) == pytest.approx((3 / 8, *ends))


def test_the_results_with_and_without_are_numpys():
    values = np.array([0.90, 0.91, 0.89, 0.90, 0.50, 0.92])
    row = only(table(study(values)))
    without = values[values != 0.5]
    assert (row["mean"], row["sd"]) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert (row["n_without"], row["mean_without"]) == (5, pytest.approx(without.mean()))
    assert row["sd_without"] == pytest.approx(without.std(ddof=1))


def test_a_run_at_chance_is_left_out_even_if_it_is_not_an_outlier():
    values = np.array([0.14, 0.16, 0.15, 0.17])
    row = only(table(study(values)))
    assert (row["n_chance"], row["n_outlier"], row["n_without"]) == (1, 0, 3)
    assert row["mean_without"] == pytest.approx(values[1:].mean())


def test_an_outliers_limit_is_so_many_scaled_mads_below_the_median():
    values = np.array([0.70, 0.74, 0.78, 0.80, 0.83, 0.86, 0.90])
    row = only(table(study(values)))
    mad = stats.median_abs_deviation(values, scale="normal")
    assert row["outlier_limit"] == pytest.approx(np.median(values) - 8.62 * mad, rel=1e-4)
    assert (row["mads"], row["false_alarms"]) == (8.62, 0.01)
    assert np.isnan(only(table(study(values), mads=5))["false_alarms"])
    assert only(table(study(values), mads=1))["n_outlier"] == (values < np.median(values) - mad).sum() == 1


@pytest.mark.parametrize(("value", "outliers"), [(0.871, 0), (0.869, 1)])
def test_equal_runs_have_outliers_by_points_alone(value, outliers):
    row = only(table(study([0.9, 0.9, 0.9, 0.9, value])))
    assert row["n_outlier"] == outliers
    assert "MAD is 0" in row["note"]


@pytest.mark.parametrize(("value", "outliers"), [(206.1, 1), (205.9, 0), (195.0, 0)])
def test_a_metric_not_between_0_and_1_has_relative_points_and_its_direction(value, outliers):
    row = only(table(study([200.0, 200.0, 200.0, value], metric="rmse", higher=False, scale={"range": [0, None]})))
    assert row["n_outlier"] == outliers
    assert "chance level unknown" in row["note"]
    assert np.isnan(row["n_chance"])


def test_the_declared_range_decides_the_points():
    # 3 points of a range of 1 are 0.03; 3 % of the median are 0.0006, but five steps of the last decimal are 0.005.
    values = [0.021, 0.020, 0.020, 0.020, 0.032]
    assert only(table(study(values, metric="loss", higher=False, scale={"range": [0, None]})))["n_outlier"] == 1
    assert only(table(study(values, metric="loss", higher=False, scale={"range": [0, 1]})))["n_outlier"] == 0
    shifted = [value - 0.021 for value in values]
    limits = {
        only(table(study(of, metric="loss", higher=False, scale={"range": [-1, 1]})))["outlier_limit"] - of[1]
        for of in (values, shifted)
    }
    assert max(limits) == pytest.approx(min(limits)) == pytest.approx(0.03)


@pytest.mark.parametrize("higher", [True, False])
def test_a_run_as_far_on_the_better_side_is_counted_but_did_not_fail(higher):
    scale = {"range": [0, 1]}
    worse = [0.39, 0.40, 0.38, 0.999 - 0.8 * higher]
    better = [0.39, 0.40, 0.38, 0.199 + 0.8 * higher]
    rows = [only(table(study(values, metric="m", higher=higher, scale=scale))) for values in (worse, better)]
    assert [(row["n_outlier"], row["n_above"], row["n_flagged"]) for row in rows] == [(1, 0, 1), (0, 1, 0)]
    # Not outlying, so not left out.
    assert rows[1]["n_without"] == 4
    # 11.2 scaled MADs of 0.01 on the better side of the median, 0.395 or 0.385.
    side = 1 if higher else -1
    limit = 0.39 + side * (0.005 + 11.2 * 1.4826 * 0.01)
    for step, counted in ((-1e-3, 0), (1e-3, 1)):
        values = [0.40, 0.39, 0.38, limit + side * step]
        assert only(table(study(values, metric="m", higher=higher, scale=scale)))["n_above"] == counted


@pytest.mark.parametrize("values", [[1e-4, 1e-4, 1e-4, 3e-4], [0.0, 0.0, 0.0, 2e-6]])
def test_trivial_spread_near_0_is_not_outlying(values):
    assert only(table(study(values, metric="loss", higher=False, scale={})))["n_outlier"] == 0


def test_runs_at_exactly_one_value_below_the_others_collapsed():
    collapsed = study([0.5] * 7 + [0.7882, 0.7885, 0.8067], majority=np.nan, n_test=np.nan)
    row = only(table(collapsed))
    assert (row["n_chance"], row["n_outlier"], row["n_flagged"]) == (7, 0, 7)
    assert (row["collapsed_at"], row["n_without"]) == (0.5, 3)
    assert row["mean_without"] == pytest.approx(np.mean([0.7882, 0.7885, 0.8067]))
    assert "exactly 0.5 collapsed" in row["note"]


@pytest.mark.parametrize(
    ("values", "n_test"),
    [
        ([0.75, 0.75, 0.75, 0.80, 0.85], np.nan),  # a test set of 20 examples
        ([0.75, 0.75, 0.75, 0.80], 20),
        ([0.9, 0.9, 0.9, 0.9], np.nan),  # a deterministic method
        ([0.771, 0.771, 0.79, 0.80, 0.82], np.nan),
        ([0.71, 0.75, 0.80, 0.80, 0.95], np.nan),
    ],
)
def test_ties_alone_are_no_collapse(values, n_test):
    row = only(table(study(values, majority=np.nan, n_test=n_test)))
    assert np.isnan(row["n_chance"]) and np.isnan(row["collapsed_at"])


def test_runs_of_another_cell_at_the_same_value_collapsed_too():
    runs = synthetic.runs(models=("a", "b"), methods=("full",), seeds=range(6)).assign(majority=np.nan)
    at = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")
    runs.loc[at, "value"] = [0.4444] * 3 + [0.81, 0.82, 0.83] + [0.4444] * 6
    result = table(runs).set_index("model")
    assert result["n_chance"].to_dict() == {"a": 3, "b": 6}
    assert "all runs are at chance" in result["note"]["b"]


def test_a_run_that_is_not_better_than_the_reference_is_at_chance():
    row = only(table(study([0.51, 0.50, 0.61, 0.64], metric="auroc", scale={"range": [0, 1], "reference": 0.5})))
    assert row["n_chance"] == 1
    loss = study([0.69, 0.70, 0.61, 0.64], metric="nll", higher=False, scale={"reference": 0.693})
    assert only(table(loss))["n_chance"] == 1


def test_a_regression_that_predicts_the_mean_is_at_chance():
    runs = study([3.0, 2.0, 3.1], metric="rmse", higher=False, scale={"range": [0, None]})
    r2 = runs.assign(metric="r2", primary=False, value=np.where(runs["seed"] == 1, 0.4, -0.01), higher_is_better=True)
    row = only(table(pd.concat([runs, r2], ignore_index=True)))
    assert (row["n_chance"], row["n_outlier"]) == (2, 0)


def test_a_share_of_errors_mirrors_the_share_of_correct_ones():
    values = np.array([0.9, 0.88, 0.91, 0.7, 0.9, 0.92])
    right = only(table(study(values)))
    wrong = only(table(study(1 - values, metric="error", higher=False).assign(perfect=np.nan)))
    assert (right["n_outlier"], right["outlier_limit"]) == (
        wrong["n_outlier"],
        pytest.approx(1 - wrong["outlier_limit"]),
    )
    assert right["n_outlier"] == 1


def test_with_a_test_set_of_one_class_chance_is_unknown():
    row = only(table(study([1.0, 1.0, 1.0], majority=1.0)))
    assert np.isnan(row["n_chance"])
    assert row["n_flagged"] == 0
    assert "chance level unknown" in row["note"]


def test_the_direction_of_an_imported_metric_may_be_unknown():
    row = only(table(study([0.9, 0.9, 0.1], metric="score").assign(higher_is_better=None)))
    assert np.isnan(row["n_outlier"])
    assert "higher is better" in row["note"]


def test_a_cell_without_a_completed_run_has_a_failure_rate_of_1():
    row = only(table(study([np.nan] * 3, failed=[0, 1, 2])))
    assert (row["n"], row["n_flagged"], row["rate"], row["high"]) == (0, 3, 1, 1)
    assert row["low"] == pytest.approx(stats.binomtest(3, 3).proportion_ci(method="wilson").low)
    assert np.isnan(row["mean"])
    assert row["note"] == "no completed run"


def test_an_undefined_metric_is_not_a_failure():
    row = only(table(study([0.9, np.nan, 0.9])))
    assert (row["n_runs"], row["n_undefined"], row["n_flagged"]) == (2, 1, 0)


def test_a_run_at_chance_has_failed_even_if_its_metric_is_undefined():
    runs = synthetic.runs(**CELL, seeds=range(4))
    after, stuck = runs["phase"] == "after", runs["seed"] > 1
    runs["value"] = runs["value"].mask(after & stuck & (runs["metric"] == "accuracy"), 0.1)
    runs["value"] = runs["value"].mask(after & stuck & (runs["metric"] == "nll"))
    row = only(table(runs.assign(primary=runs["metric"] == "nll")))
    assert (row["n"], row["n_undefined"], row["n_chance"], row["n_flagged"], row["n_runs"]) == (2, 2, 2, 2, 4)
    assert row["low"] < row["rate"] == 0.5 < row["high"]


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 5))
def test_no_run_counts_twice_and_none_is_lost(values, lost):
    values = [*values, *[np.nan] * lost]
    row = only(table(study(values, failed=range(len(values) - lost, len(values)))))
    parts = row[["n_failed", "n_chance", "n_outlier"]].astype(float).fillna(0)
    assert row["n_flagged"] == parts.sum()
    assert row["n_without"] == row["n_runs"] - row["n_flagged"]
    assert 0 <= row["low"] <= row["rate"] <= row["high"] <= 1


def test_the_figure_marks_the_runs_that_the_table_counts():
    runs = study([0.90, 0.91, 0.89, 0.90, np.nan, 0.14, 0.60, 0.91], failed=[4])
    result = table(runs)
    plot = registry.find("plots", "failures")
    limits = importlib.import_module(plot.__module__)._limits
    marked = run_flags.flagged(primary_rows.select(runs), runs, *limits(result)).set_index("seed")
    assert limits(table(runs, mads=2.5, points=0.1)) == (2.5, 0.1)
    assert [list(marked.index[marked[flag]]) for flag in run_flags.FLAGS] == [[4], [5], [6]]
    assert result[["n_failed", "n_chance", "n_outlier"]].sum().tolist() == [1, 1, 1]
