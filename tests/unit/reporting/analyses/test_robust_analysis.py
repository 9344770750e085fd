"""Robust aggregates speak of all tasks at once, on one scale, and say how their intervals were drawn."""

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.reporting import primary_rows

TASKS = ("digits", "letters", "shapes")


def table(runs, **options):
    return registry.find("analyses", "robust")({"resamples": 300} | options).table({"runs": runs})


def one(found, **values):
    for column, value in values.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def values(runs, model, method):
    """(seeds, tasks)"""
    shown = primary_rows.select(runs).query("model == @model and method == @method")
    return shown.pivot_table(index="seed", columns="task", values="value").to_numpy()


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(tasks=TASKS, sd=0.05)


def test_the_aggregates_are_those_of_the_paper(runs):
    found, scores = table(runs), values(runs, "b", "full")
    cell = {"model": "b", "method": "full"}
    assert one(found, quantity="iqm", **cell)["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert one(found, quantity="mean", **cell)["estimate"] == pytest.approx(scores.mean())
    assert one(found, quantity="median", **cell)["estimate"] == pytest.approx(np.median(scores.mean(axis=0)))
    profile = found.query("quantity == 'profile' and model == 'b' and method == 'full'")
    expected = [(scores > threshold).mean() for threshold in profile["threshold"]]
    assert profile["estimate"].tolist() == pytest.approx(expected)
    assert (one(found, quantity="iqm", **cell)[["n", "n_tasks"]] == [15, 3]).all()


def test_the_probability_of_improvement_is_mann_whitneys(runs):
    row = one(table(runs), quantity="improvement", model="a", method="full", reference="b / full")
    mine, theirs = values(runs, "a", "full"), values(runs, "b", "full")
    each = [stats.mannwhitneyu(*pair).statistic / 25 for pair in zip(mine.T, theirs.T, strict=True)]
    assert row["estimate"] == pytest.approx(np.mean(each))
    assert row["low"] <= row["estimate"] <= row["high"]


def test_seeds_that_span_the_tasks_are_drawn_whole(runs):
    found = table(runs).set_index("quantity")["interval"]
    assert set(found[["iqm", "mean"]]) == {"t, of the jackknife over seeds"}
    assert set(found[["median", "profile"]]) == {"percentile bootstrap, clustered by seed"}
    uneven = runs[(runs["task"] != "digits") | (runs["seed"] != 4)]
    intervals = set(table(uneven).query("quantity == 'iqm'")["interval"])
    assert intervals == {"percentile bootstrap, runs within each task"}


def test_a_percentile_interval_is_that_of_drawing_whole_seeds(runs):
    more = synthetic.runs(tasks=TASKS, seeds=range(12), sd=0.05)
    scores, rng = values(more, "a", "full"), np.random.default_rng(7)
    drawn = [np.median(scores[rng.integers(0, 12, 12)].mean(axis=0)) for _ in range(4000)]
    low, high = np.quantile(drawn, [0.1, 0.9])
    row = one(table(more, resamples=4000, level=0.8), quantity="median", model="a", method="full")
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.07 * (high - low))


def test_runs_alike_across_tasks_widen_the_interval(runs):
    alike = runs.assign(value=0.5 + 0.05 * runs["seed"] + 0.001 * (runs["task"] == "digits"))
    moved = alike["seed"].where(alike["task"] != "digits", alike["seed"] + 5)
    whole, apart = (
        one(table(each), quantity="mean", model="a", method="full") for each in (alike, alike.assign(seed=moved))
    )
    assert whole["high"] - whole["low"] > 1.2 * (apart["high"] - apart["low"])


def test_methods_with_the_same_streams_share_their_draws(runs):
    same = runs.assign(value=0.5 + 0.05 * runs["seed"])
    found = table(same).query("quantity == 'improvement'").set_index(["model", "reference"])
    paired = found.loc[("a", "a / linear_probe")]
    assert "the same draws" in paired["interval"]
    # Equal runs in equal draws: never better nor worse.
    assert (paired["low"], paired["high"]) == pytest.approx((0.5, 0.5))
    independent = found.loc[("a", "b / full")].iloc[0]
    assert "independent draws" in independent["interval"]
    assert independent["low"] < 0.5 < independent["high"]
    unknown = same.assign(seed_init=np.nan)
    assert not table(unknown)["interval"].str.contains("the same draws").any()


def test_tasks_without_a_common_scale_are_scaled_by_their_own_range(runs):
    stretched = runs.assign(value=runs["value"].where(runs["task"] != "digits", 7 + 1000 * runs["value"]))
    found = table(stretched)
    assert found["estimator"].str.contains("each task scaled").all()
    shown = primary_rows.select(runs)
    spans = shown.groupby("task")["value"].agg(["min", "max"])
    scores = (values(runs, "a", "full") - spans["min"].to_numpy()) / (spans["max"] - spans["min"]).to_numpy()
    row = one(found, quantity="iqm", model="a", method="full")
    assert row["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert not table(runs)["estimator"].str.contains("scaled").any()


def test_a_loss_is_better_when_it_is_smaller():
    runs = synthetic.runs(sd=0.02)
    loss = runs.assign(primary=runs["metric"] == "nll")
    found, scores = table(loss), values(loss, "b", "linear_probe")
    row = one(found, quantity="iqm", model="b", method="linear_probe")
    assert row["estimate"] == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert 0 < row["low"] <= row["estimate"] <= row["high"]
    profile = found.query("quantity == 'profile' and model == 'b' and method == 'linear_probe'")
    assert profile["estimate"].tolist() == pytest.approx([(scores < at).mean() for at in profile["threshold"]])
    assert one(found, quantity="improvement", model="a", method="full", reference="b / linear_probe")["estimate"] > 0.9


def test_a_candidate_that_never_completed_a_task_has_no_number_there_and_takes_no_other_down():
    failed = {("a", "digits", "full", seed) for seed in range(5)}
    found = table(synthetic.runs(tasks=TASKS, failed=failed))
    row = one(found, quantity="iqm", model="a", method="full")
    assert np.isnan(row["estimate"]) and row["note"] == "no completed run on digits" and row["n_failed"] == 5
    pairs = found.query("quantity == 'improvement'")
    assert len(pairs) == 6 and pairs["estimate"].isna().sum() == 3
    assert found.query("model == 'b'")["estimate"].notna().any()


def test_only_tasks_that_all_were_given_count_and_else_each_set_by_itself(runs):
    fewer = runs[(runs["model"] != "a") | (runs["task"] != "digits")]
    assert set(table(fewer)["n_tasks"]) == {2}
    disjoint = runs[(runs["model"] == "a") == (runs["task"] == "digits")]
    found = table(disjoint)
    assert found.groupby("suite")["model"].unique().map(list).tolist() == [["a"], ["b"]]


def test_no_more_pairs_than_the_option_says(runs):
    assert (table(runs, compared=3)["quantity"] == "improvement").sum() == 3
    assert table(runs, thresholds=7).query("quantity == 'profile' and model == 'a'").shape[0] == 14


def test_a_single_run_on_each_task_has_no_interval(runs):
    found = table(runs[runs["seed"] == 0])
    assert found["low"].isna().all() and set(found["interval"]) == {"none"}
    assert found["estimate"].notna().all()
