"""Tests of numbers of runs: each is the smallest that reaches its target, from the upper limit of the SD."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from statsmodels.stats.power import TTestIndPower

from variability import registry
from variability.stats import sample_size

TARGETS = {"half_width", "difference", "better"}


def table(runs, **options):
    return registry.find("analyses", "seeds_needed")(options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def runs(values, scale=None, **facts):
    """Return runs of one task and method on the test split, from {model: values}. scale: declaration of the metric."""
    made = synthetic.runs(models=tuple(values), methods=("full",), seeds=range(max(map(len, values.values()))))
    made = made.query("phase == 'after' and split == 'test' and metric == 'accuracy'")
    by_key = {(model, seed): value for model, cell in values.items() for seed, value in enumerate(cell)}
    keys = zip(made["model"], made["seed"], strict=True)
    made = made.assign(value=[by_key.get(key, np.nan) for key in keys])
    made = made if scale is None else synthetic.with_scale(made, **scale)
    return made.assign(status=made["status"].mask(made["value"].isna(), "diverged"), **facts)


def test_the_numbers_of_a_cell_by_hand():
    # SD 0.01; its upper limit is sqrt(4 / 1.6488) times as large.
    row = one(table(runs({"a": [0.89, 0.89, 0.9, 0.91, 0.91]})), target="half_width")
    assert (row["n"], row["mean"]) == (5, pytest.approx(0.9))
    assert row["sd"] == pytest.approx(0.01)
    assert row["sd_upper"] == pytest.approx(0.015576, abs=1e-6)
    # t(6) / sqrt(7) = 0.925 and t(5) / sqrt(6) = 1.050 of an SD; t(11) / sqrt(12) * 1.5576 = 0.990, t(10): 1.046.
    assert (row["n_needed_at_sd"], row["n_needed"], row["n_more"]) == (7, 12, 7)


def test_a_difference_needs_the_runs_of_statsmodels():
    result = table(runs({"a": [0.89, 0.89, 0.9, 0.91, 0.91]}), difference=0.02, power=0.9, level=0.99)
    row = one(result, target="difference")
    expected = [
        np.ceil(TTestIndPower().solve_power(0.02 / sd, alpha=0.01, power=0.9, ratio=1.0))
        for sd in (row["sd"], row["sd_upper"])
    ]
    assert [row["n_needed_at_sd"], row["n_needed"]] == expected


def test_the_goals_are_the_margins_of_the_study_unless_options_set_them():
    made = runs({"a": [0.89, 0.89, 0.9, 0.91, 0.91]})
    (task,) = made["task"].unique()
    for margins in ({"accuracy": 0.02}, {"accuracy": 0.5, task: {"accuracy": 0.02}}):
        result = table(made, margins=margins)
        assert one(result, target="half_width")["goal"] == one(result, target="difference")["goal"] == 0.02
        assert one(result, target="difference")["goal_from"] == "margin of the study"
        # t(3) / sqrt(4) * 1.5576 = 2.479 SDs and t(4) / sqrt(5) * 1.5576 = 1.934 SDs: 0.02 is 2.
        assert one(result, target="half_width")["n_needed"] == 5
    stated = table(made, margins={"accuracy": 0.02}, difference=0.03)
    assert one(stated, target="difference")["goal"] == pytest.approx(0.03)
    for margins in ({"accuracy": 0}, {"macro_f1": 0.02}, {}):
        assert one(table(made, margins=margins), target="difference")["goal"] == pytest.approx(0.01)


def test_without_a_range_goals_are_fractions_of_the_mean():
    made = runs({"a": [0.2, 0.3], "b": [0.5, 0.6]}, {"range": [0, None]}, higher_is_better=False, perfect=0.0)
    relative = one(table(made), target="half_width", model="b")
    assert relative["goal"] == pytest.approx(0.0055)
    assert relative["goal_from"] == "1 % of |mean|: no range declared"


def test_percentages_have_goals_in_percent():
    row = one(table(runs({"a": [89.0, 90.0, 91.0]}, {})), target="difference")
    assert row["goal"] == pytest.approx(0.9)
    share = one(table(runs({"a": [0.89, 0.90, 0.91]})), target="half_width")
    percent = one(table(runs({"a": [89.0, 90, 91]}, {"range": [0, 100]})), target="half_width")
    assert (percent["goal"], percent["goal_from"]) == (pytest.approx(1), "1 % of 100")
    assert (share["goal"], share["goal_from"]) == (0.01, "as given")
    assert percent["n_needed"] == share["n_needed"]


def test_a_value_below_0_changes_no_goal():
    correlations = {"a": [0.30, 0.32, 0.28, 0.31], "b": [0.02, 0.04, 0.01, 0.001]}
    negative = correlations | {"b": [0.02, 0.04, 0.01, -0.001]}
    needed = [
        one(table(runs(values, {"range": [-1, 1]})), target="half_width", model="a")["n_needed"]
        for values in (correlations, negative)
    ]
    assert needed[0] == needed[1]


def test_better_needs_29_runs_whatever_the_spread():
    result = table(synthetic.runs(seeds=range(5)))
    better = result[result["target"] == "better"]
    assert (better["n_needed"] == 29).all() and (better["n_more"] == 24).all()
    assert better["ddof"].isna().all() and (better["interval"] == "none").all()


def test_an_unknown_number_has_a_row_with_the_reason():
    result = table(runs({"a": [0.9, 0.91], "b": [0.8, np.nan], "c": [np.nan, np.nan]}))
    assert set(result["target"]) == TARGETS and len(result) == 3 * len(TARGETS)
    single = one(result, target="half_width", model="b")
    assert np.isnan(single["n_needed"]) and "two completed runs" in single["note"]
    assert (single["n"], single["n_failed"]) == (1, 1)
    lost = one(result, target="half_width", model="c")
    assert np.isnan(lost["n_needed"]) and "two completed runs" in lost["note"]


def test_equal_values_and_the_limit_of_the_search_have_a_note():
    result = table(runs({"a": [0.1, 0.9, 0.2], "c": [0.5, 0.5, 0.5]}), half_width=0.0001)
    endless = one(result, target="half_width", model="a")
    assert endless["n_needed"] == sample_size.MOST and endless["note"] == "10,000 means this many or more"
    # Three equal runs do not show that two are enough: only a declaration says that no seed changes the value.
    for target in ("half_width", "difference"):
        still = one(result, target=target, model="c")
        assert np.isnan(still[["n_needed", "n_needed_at_sd", "n_more"]].astype(float)).all()
        assert still["note"] == "all runs are equal: their spread is not known"
    assert one(result, target="better", model="c")["n_needed"] == 29


def test_a_candidate_whose_value_no_seed_changes_needs_one_run():
    made = runs({"popularity": [0.5], "constant": [0.4, 0.4], "net": [0.5, 0.6], "changing": [0.7, 0.8]})
    result = table(made.assign(deterministic=made["model"] != "net"))
    constants = result[result["model"].isin(["popularity", "constant"])]
    assert len(constants) == 2 * len(TARGETS)
    assert (constants["n_needed"] == 1).all() and (constants["n_more"] == 0).all()
    assert constants["note"].str.startswith("deterministic").all()
    # A declaration that the values contradict counts for nothing.
    assert (result.query("model == 'changing' and target == 'better'")["n_needed"] == 29).all()


def test_a_plan_from_the_upper_limit_is_sufficient_in_most_pilots():
    # Browne 1995: the share of pilots whose plan reaches the planned power is the level of the limit.
    rng, pilots = np.random.default_rng(0), 4000
    sd = rng.normal(0, 1, (pilots, 5)).std(axis=1, ddof=1)
    held = {
        name: (sample_size.power(1, 1, 1, sample_size.for_power(1, used, used, 0.8, 0.95), 0.95) >= 0.8).mean()
        for name, used in {"sd": sd, "upper": sample_size.sd_upper(sd, 5, 0.8)}.items()
    }
    assert held["upper"] == pytest.approx(0.8, abs=0.03)
    assert held["sd"] < 0.5


def test_no_row_is_lost_if_a_task_has_many_cells():
    result = table(synthetic.runs(models=tuple("abcdef"), tasks=("x", "y")))
    keys = ["model", "task", "method", "target"]
    assert not result.duplicated(keys).any() and len(result) == 6 * 2 * 2 * 3
    assert pd.api.types.is_float_dtype(result["n_needed"])
