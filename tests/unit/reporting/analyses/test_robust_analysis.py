"""Tests of robust aggregates over all tasks: their scale and their intervals."""

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.reporting import primary_rows

TASKS = ("digits", "letters", "shapes")


def table(runs, **options):
    return registry.find("analyses", "robust")({"resamples": 300} | options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def values(runs, model, method):
    """Return the (seeds, tasks) values of a candidate."""
    shown = primary_rows.select(runs).query("model == @model and method == @method")
    return shown.pivot_table(index="seed", columns="task", values="value").to_numpy()


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(tasks=TASKS, sd=0.05)


def test_the_aggregates_are_those_of_the_paper(runs):
    result, scores = table(runs), values(runs, "b", "full")
    cell = {"model": "b", "method": "full"}
    assert one(result, quantity="iqm", **cell)["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert one(result, quantity="mean", **cell)["estimate"] == pytest.approx(scores.mean())
    assert one(result, quantity="median", **cell)["estimate"] == pytest.approx(np.median(scores.mean(axis=0)))
    profile = result.query("quantity == 'profile' and model == 'b' and method == 'full'")
    expected = [(scores > threshold).mean() for threshold in profile["threshold"]]
    assert profile["estimate"].tolist() == pytest.approx(expected)
    assert (one(result, quantity="iqm", **cell)[["n", "n_tasks"]] == [15, 3]).all()


def test_the_probability_of_improvement_is_mann_whitneys(runs):
    row = one(table(runs), quantity="improvement", model="a", method="full", reference="b / full")
    first, second = values(runs, "a", "full"), values(runs, "b", "full")
    per_task = [stats.mannwhitneyu(*pair).statistic / 25 for pair in zip(first.T, second.T, strict=True)]
    assert row["estimate"] == pytest.approx(np.mean(per_task))
    assert row["low"] <= row["estimate"] <= row["high"]


def test_whole_seeds_that_span_the_tasks_are_resampled(runs):
    result = table(runs).set_index("quantity")["interval"]
    assert set(result[["iqm", "mean"]]) == {"t, of the jackknife over seeds"}
    assert set(result[["median", "profile"]]) == {"percentile bootstrap, clustered by seed"}
    uneven = runs[(runs["task"] != "digits") | (runs["seed"] != 4)]
    intervals = set(table(uneven).query("quantity == 'iqm'")["interval"])
    assert intervals == {"percentile bootstrap, runs within each task"}


def test_a_percentile_interval_is_that_of_resampling_whole_seeds(runs):
    more = synthetic.runs(tasks=TASKS, seeds=range(12), sd=0.05)
    scores, rng = values(more, "a", "full"), np.random.default_rng(7)
    replicates = [np.median(scores[rng.integers(0, 12, 12)].mean(axis=0)) for _ in range(4000)]
    low, high = np.quantile(replicates, [0.1, 0.9])
    row = one(table(more, resamples=4000, level=0.8), quantity="median", model="a", method="full")
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.07 * (high - low))


def test_correlated_runs_across_tasks_widen_the_interval(runs):
    correlated = runs.assign(value=0.5 + 0.05 * runs["seed"] + 0.001 * (runs["task"] == "digits"))
    moved = correlated["seed"].where(correlated["task"] != "digits", correlated["seed"] + 5)
    whole, separate = (
        one(table(study), quantity="mean", model="a", method="full")
        for study in (correlated, correlated.assign(seed=moved))
    )
    assert whole["high"] - whole["low"] > 1.2 * (separate["high"] - separate["low"])


def test_methods_with_the_same_streams_share_their_resamples(runs):
    same = runs.assign(value=0.5 + 0.05 * runs["seed"])
    result = table(same).query("quantity == 'improvement'").set_index(["model", "reference"])
    paired = result.loc[("a", "a / linear_probe")]
    assert "the same draws" in paired["interval"]
    # Equal runs in equal resamples are never better or worse.
    assert (paired["low"], paired["high"]) == pytest.approx((0.5, 0.5))
    independent = result.loc[("a", "b / full")].iloc[0]
    assert "independent draws" in independent["interval"]
    assert independent["low"] < 0.5 < independent["high"]
    unknown = same.assign(seed_init=np.nan)
    assert not table(unknown)["interval"].str.contains("the same draws").any()


def test_tasks_without_a_common_scale_are_scaled_by_their_own_range(runs):
    stretched = runs.assign(value=runs["value"].where(runs["task"] != "digits", 7 + 1000 * runs["value"]))
    result = table(stretched)
    assert result["estimator"].str.contains("each task scaled").all()
    shown = primary_rows.select(runs)
    spans = shown.groupby("task")["value"].agg(["min", "max"])
    scores = (values(runs, "a", "full") - spans["min"].to_numpy()) / (spans["max"] - spans["min"]).to_numpy()
    row = one(result, quantity="iqm", model="a", method="full")
    assert row["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert not table(runs)["estimator"].str.contains("scaled").any()


def test_a_loss_is_better_when_it_is_smaller():
    runs = synthetic.runs(sd=0.02)
    loss = runs.assign(primary=runs["metric"] == "nll")
    result, scores = table(loss), values(loss, "b", "linear_probe")
    row = one(result, quantity="iqm", model="b", method="linear_probe")
    assert row["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert 0 < row["low"] <= row["estimate"] <= row["high"]
    profile = result.query("quantity == 'profile' and model == 'b' and method == 'linear_probe'")
    assert profile["estimate"].tolist() == pytest.approx([(scores < at).mean() for at in profile["threshold"]])
    assert one(result, quantity="improvement", model="a", method="full", reference="b / linear_probe")["estimate"] > 0.9


def test_a_candidate_without_a_completed_run_on_a_task_does_not_affect_others():
    failed = {("a", "digits", "full", seed) for seed in range(5)}
    result = table(synthetic.runs(tasks=TASKS, failed=failed))
    row = one(result, quantity="iqm", model="a", method="full")
    assert np.isnan(row["estimate"]) and row["note"] == "no completed run on digits" and row["n_failed"] == 5
    pairs = result.query("quantity == 'improvement'")
    assert len(pairs) == 6 and pairs["estimate"].isna().sum() == 3
    assert result.query("model == 'b'")["estimate"].notna().any()


def test_only_shared_tasks_count_or_each_set_of_tasks_separately(runs):
    fewer = runs[(runs["model"] != "a") | (runs["task"] != "digits")]
    assert set(table(fewer)["n_tasks"]) == {2}
    disjoint = runs[(runs["model"] == "a") == (runs["task"] == "digits")]
    result = table(disjoint)
    assert result.groupby("suite")["model"].unique().map(list).tolist() == [["a"], ["b"]]


def test_the_option_limits_the_number_of_pairs(runs):
    assert (table(runs, compared=3)["quantity"] == "improvement").sum() == 3
    assert table(runs, thresholds=7).query("quantity == 'profile' and model == 'a'").shape[0] == 14


def test_a_single_run_on_each_task_has_no_interval(runs):
    result = table(runs[runs["seed"] == 0])
    assert result["low"].isna().all() and set(result["interval"]) == {"none"}
    assert result["estimate"].notna().all()
