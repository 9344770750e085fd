"""Tests of robust aggregates over all tasks: their scale and their intervals."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.reporting import primary_rows
from variability.reporting.analyses import robust
from variability.results import metric_scales

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


def test_values_are_not_rescaled_by_the_observed_ones():
    """Three games of two agents: rescaled from the worst to the best run, b would be the better one."""
    means = {"a": (0.2, 0.4, 3.0), "b": (0.3, 0.5, 1.0)}
    made = synthetic.runs(models=tuple(means), tasks=("g1", "g2", "g3"), methods=("full",), seeds=range(3))
    mean = [means[model][int(task[1]) - 1] for model, task in zip(made["model"], made["task"], strict=True)]
    made = synthetic.with_scale(made.assign(value=np.array(mean) * (1 + 0.1 * (made["seed"] - 1))))
    result = table(made)
    assert one(result, quantity="mean", model="a")["estimate"] == pytest.approx(1.2)
    assert one(result, quantity="mean", model="b")["estimate"] == pytest.approx(0.6)
    assert set(result["scale"]) == {"accuracy, not rescaled, in one unit on all tasks by assumption: none is declared"}


def test_scores_are_normalised_as_declared():
    """Human-normalised scores of two games by hand: pong 20 of (-21, 14.6), breakout 401 of (1.7, 30.5)."""
    made = synthetic.runs(models=("dqn",), tasks=("breakout", "pong"), methods=("full",), seeds=range(4))
    scores = {"pong": [20.0, 18.9, 14.6, -21.0], "breakout": [401.2, 30.5, 16.1, 1.7]}
    value = [scores[task][seed] for task, seed in zip(made["task"], made["seed"], strict=True)]
    ends = {"pong": {"low": -21.0, "high": 14.6}, "breakout": {"low": 1.7, "high": 30.5}}
    result = table(synthetic.with_scale(made.assign(value=value), normalise=ends))
    # pong 1.1517, 1.1208, 1, 0; breakout 13.871, 1, 0.5, 0: the middle half is 0.5, 1, 1, 1.1208.
    assert one(result, quantity="iqm")["estimate"] == pytest.approx((0.5 + 1 + 1 + 39.9 / 35.6) / 4)
    assert set(result["scale"]) == {"normalised as declared: 0 at `low` and 1 at `high` of each task"}
    assert set(result["metric"]) == {"normalised score"}


def test_a_normalisation_turns_a_loss_into_a_score():
    made = synthetic.runs(tasks=("digits", "letters"))
    losses = made.assign(primary=made["metric"] == "nll")
    result = table(synthetic.with_scale(losses, normalise={"low": 2.0, "high": 0.0}))
    row = one(result, quantity="iqm", model="a", method="full")
    expected = 1 - values(losses, "a", "full") / 2
    assert row["estimate"] == pytest.approx(stats.trim_mean(expected, 0.25, axis=None))
    assert one(result, quantity="improvement", model="a", method="full", reference="b / linear_probe")["estimate"] > 0.9


def test_tasks_on_another_scale_are_named_and_do_not_affect_the_others(runs):
    odd = synthetic.runs(tasks=("odd",)).query("metric == 'nll'").assign(primary=True)
    result = table(pd.concat([runs, odd], ignore_index=True))
    numbers = ["quantity", "threshold", "model", "method", "estimate", "n", "n_tasks"]
    pd.testing.assert_frame_equal(result.query("suite == 1")[numbers], table(runs)[numbers])
    assert set(result.query("suite == 1")["other_tasks"]) == {"odd (nll)"}
    assert set(result.query("suite == 2")["tasks"]) == {"odd"}


def test_errors_in_the_units_of_their_targets_are_separate_suites(runs):
    errors = runs.assign(metric="rmse", higher_is_better=False, unit=metric_scales.OF_TARGET)
    assert table(errors.query("primary")).groupby("suite")["n_tasks"].first().tolist() == [1, 1, 1]
    assert set(table(errors.query("primary").assign(unit="years"))["n_tasks"]) == {3}


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


def test_the_tasks_are_those_of_overall_and_candidates_that_lack_one_have_no_estimate(runs):
    fewer = runs[(runs["model"] != "a") | (runs["task"] != "digits")]
    result, overall = table(fewer), registry.find("analyses", "overall")({}).table({"runs": fewer})
    # Two of four candidates have all tasks.
    assert set(result["n_tasks"]) == {3} and set(result["n_candidates"]) == {2}
    assert set(result["left_out"]) == set(overall["left_out"])
    lacking = result[(result["model"] == "a") & (result["quantity"] == "iqm")]
    assert lacking["estimate"].isna().all() and set(lacking["note"]) == {"no completed run on digits"}
    rest = result[(result["model"] == "b") & (result["quantity"] != "improvement")]
    assert (
        rest["estimate"].tolist()
        == table(fewer[fewer["model"] == "b"]).query("quantity != 'improvement'")["estimate"].tolist()
    )


def test_a_task_alone_on_its_scale_is_not_left_out(runs):
    errors = runs.assign(metric="rmse", higher_is_better=False, unit=metric_scales.OF_TARGET)
    # Only one candidate has the first task as well as the others.
    single = errors["method"] == "full"
    result = table(errors[(errors["task"] != "digits") | ((errors["model"] == "a") & single)].query("primary"))
    assert set(result["tasks"]) == set(errors["task"])
    alone = result["tasks"] == "digits"
    assert result[alone]["left_out"].isna().all() and not result[~alone]["left_out"].isna().any()


def test_without_a_common_task_every_candidate_is_on_its_own(runs):
    single = runs[runs["method"] == "full"]
    apart = table(single[(single["model"] == "a") == (single["task"] == "digits")])
    assert apart.groupby("suite")["model"].unique().map(list).tolist() == [["a"], ["b"]]


def test_the_option_limits_the_number_of_pairs(runs):
    assert (table(runs, compared=3)["quantity"] == "improvement").sum() == 3
    assert table(runs, thresholds=7).query("quantity == 'profile' and model == 'a'").shape[0] == 14


def test_a_single_run_on_each_task_has_no_interval(runs):
    result = table(runs[runs["seed"] == 0])
    assert result["low"].isna().all() and set(result["interval"]) == {"none"}
    assert result["estimate"].notna().all()


def test_declared_pairs_share_their_resamples(runs):
    same = runs.assign(value=0.5 + 0.05 * runs["seed"], pairing="seed")
    result = table(same).query("quantity == 'improvement'").set_index(["model", "reference"])
    row = result.loc[("a", "b / full")].iloc[0]
    assert "the same draws" in row["interval"]
    assert (row["low"], row["high"]) == pytest.approx((0.5, 0.5))


def test_an_interval_that_is_widened_to_its_estimate_has_a_note():
    plugin = registry.find("analyses", "robust")({"level": 0.9})
    replicates = np.array([[0.5, 0.5]] + [[0.6, value] for value in np.linspace(0.4, 0.7, 50)])
    estimate, low, high, shifted = plugin._ends(replicates, 2, spread=True)
    assert (low[0], high[0], list(shifted)) == (estimate[0], 0.6, [True, False])
    assert robust._with_shifted(None, shifted) == [robust.SHIFTED, None]
