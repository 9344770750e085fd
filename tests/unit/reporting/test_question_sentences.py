"""Tests of the sentences of the report page's sections, from small tables."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability.reporting.page.first_screen import first_screen
from variability.reporting.questions.calibration import Calibration
from variability.reporting.questions.cost import Cost
from variability.reporting.questions.flips import Flips
from variability.reporting.questions.gains import Gains
from variability.reporting.questions.more_seeds import NO_PLAN, MoreSeeds
from variability.reporting.questions.origin_of_spread import OriginOfSpread
from variability.reporting.questions.winners import Winners

OF_MEAN = "1 % of |mean|: no range declared"
CELL = {"model": "cnn", "method": "full", "split": "test", "primary": True}


def test_single_runs_have_no_winner():
    tables = synthetic.tables(["decisions", "intervals"], models=("a", "b"), methods=("full",), seeds=(0,))
    assert Winners().sentences(tables) == [
        "No candidate beats all others.",
        "No two candidates can be compared, which needs two runs of both.",
    ]
    tables = synthetic.tables(["decisions"], models=("a", "b"), methods=("full",), tasks=("x", "y"), seeds=(0,))
    assert Winners().sentences(tables) == [
        "On 0 of 2 tasks one candidate beats all others.",
        "On 2 tasks no two candidates can be compared, which needs two runs of both.",
    ]


def test_a_candidate_alone_on_its_task_is_not_beaten():
    tables = synthetic.tables(["decisions", "intervals"], models=("a", "b"), tasks=("digits", "letters"))
    tables["decisions"] = tables["decisions"][tables["decisions"]["task"] == "digits"]
    (chart,) = Winners().charts(tables)
    assert set(chart.rows.loc[chart.rows["task"] == "letters", "place"]) == {"not compared"}


def test_the_evidence_about_first_place_names_the_candidate_with_the_best_mean():
    tables = synthetic.tables(["decisions", "components"], models=("a", "b"), methods=("full",))
    (place,) = first_screen("demo", tables).first
    assert place.text.startswith(f"{place.names[0]} has the best mean. That it is the best of 2 candidates is ")


def test_a_split_of_two_metrics_counts_each_cell_once():
    rows = [
        CELL | {"task": "a", "metric": "macro_f1", "share_test_set": 0.2, "p_adjusted": 0.08},
        CELL | {"task": "a", "metric": "accuracy", "primary": False, "share_test_set": 0.6, "p_adjusted": 0.5},
        CELL | {"task": "b", "metric": "auroc", "share_test_set": np.nan, "p_adjusted": np.nan},
        CELL | {"task": "b", "metric": "accuracy", "primary": False, "share_test_set": 0.7, "p_adjusted": 0.5},
    ]
    numbers = {"n": 5, "sd_observed": 0.1, "sd_seed": 0.1, "n_examples": 100, "level": 0.9}
    table = pd.DataFrame(rows).assign(**numbers)
    more, shown = OriginOfSpread().sentences({"noise_split": table})
    assert more.startswith("In 1 of 2 cells the seed causes more")
    assert shown.endswith("is shown in 1 of 2 (F test, adjusted p at most 0.1).")
    (chart,) = OriginOfSpread().charts({"noise_split": table})
    assert chart.rows.groupby("task")["share"].sum().tolist() == pytest.approx([1, 1])


def test_disagreements_of_classes_and_of_numbers_are_not_compared():
    facts = {"quantity": "disagreement", "model_reference": None}
    rows = [
        CELL | facts | {"task": "a", "kind": "classification", "estimate": 0.02},
        CELL | facts | {"task": "b", "kind": "classification", "estimate": 0.11},
        CELL | facts | {"task": "c", "kind": "regression", "estimate": 3.5},
        CELL | facts | {"task": "d", "kind": "ranking", "estimate": 1.25},
    ]
    assert Flips().sentences({"churn": pd.DataFrame(rows)}) == [
        "Two runs that differ in their seed only disagree on 2.0 % (cnn (full) on a) to 11.0 % (cnn (full) on b) of "
        "the test examples.",
        "Two runs that differ in their seed only disagree by 3.500 (cnn (full) on c) on average, in the target's unit.",
        "Two runs that differ in their seed only disagree by 1.250 (cnn (full) on d) on average, in ranks.",
    ]


def test_gains_without_intervals_are_not_counted():
    row = CELL | {"task": "a", "phase": "after", "higher_is_better": True, "comparison": "before"}
    table = pd.DataFrame([row | {"gain": 0.3, "low": np.nan, "high": np.nan}])
    assert Gains().sentences({"gain": table}) == [
        "Fine-tuning: too few runs for intervals of the gain over the same network with its untrained head."
    ]


def test_gains_that_claims_decide_are_counted_by_their_verdicts():
    row = CELL | {"task": "a", "phase": "after", "higher_is_better": True, "comparison": "linear_probe"}
    gain = pd.DataFrame(
        [row | {"gain": -0.03, "low": -0.06, "high": -0.002}, row | {"gain": 0.1, "low": 0.05, "high": 0.15}]
    )
    verdicts = {"kind": "gain_over_probe", "verdict": ["undecided", "supported"], "note": None}
    assert Gains().sentences({"gain": gain, "claims": pd.DataFrame(verdicts)}) == [
        "Fine-tuning more than the head, compared with a linear probe: that it is better is supported in 1, undecided "
        "in 1 of 2 cells."
    ]


def gaps(*rows):
    facts = {"phase": "after", "probe": 0.9, "margin": 0.027, "n": 5, "interval": "t", "level": 0.95}
    facts["probe_estimator"] = "ridge regression"
    names = ("model", "task", "metric", "unused", "low", "high", "exceeds_margin", "decided")
    return pd.DataFrame([CELL | facts | dict(zip(names, row, strict=True)) for row in rows])


def test_recipes_that_are_worse_than_a_linear_model_are_counted_named_and_drawn():
    table = gaps(
        ("cnn", "a", "accuracy", 0.10, 0.08, 0.12, True, True),
        ("vit", "a", "accuracy", 0.05, -0.02, 0.12, True, False),
        ("vit", "b", "rmse", -0.3, -0.5, -0.1, False, False),
        ("random", "b", "rmse", np.nan, np.nan, np.nan, False, False),
    )
    table.loc[3, "probe"] = np.nan
    gain = pd.DataFrame([CELL | {"task": "a", "phase": "after", "comparison": "none", "higher_is_better": True}])
    tables = {"gain": gain.assign(gain=0.1, low=0.0, high=0.2), "recipe_gap": table}
    assert Gains().sentences(tables) == [
        "In 1 of 3 cells the runs are worse than a linear model of the same frozen features, in the mean by more than "
        "3 % of its value (cnn (full) on a): its recipe limits its results. For 1 it is undecided."
    ]
    (chart,) = Gains().charts(tables)
    assert chart.rows["gain"].tolist() == pytest.approx([-0.10, -0.05, 0.3])
    assert chart.rows[["low", "high"]].iloc[2].tolist() == pytest.approx([0.1, 0.5])
    none = Gains().sentences(tables | {"recipe_gap": table.iloc[2:]})
    assert none == [
        "In 0 of 1 cell the runs are shown to be worse than a linear model of the same frozen features, in the mean "
        "by more than 3 % of its value."
    ]
    many = pd.concat([table.iloc[[0]].assign(model=name) for name in "abcde"])
    (sentence,) = Gains().sentences(tables | {"recipe_gap": many})
    assert "(a (full) on a, b (full) on a, c (full) on a, 2 more): their recipes limit their results." in sentence
    assert Gains().sentences(tables | {"recipe_gap": table.iloc[3:]}) == []


@pytest.mark.parametrize(("most", "needed"), [(9_999, "4 to 9999 runs"), (10_000, "4 to 10,000 or more runs")])
def test_a_number_of_runs_at_the_limit_of_the_search_is_no_upper_limit(most, needed):
    row = CELL | {"task": "a", "phase": "after", "target": "better", "goal": 0.75, "goal_from": "gamma", "n": 5}
    table = pd.DataFrame([row | {"n_needed": 4.0}, row | {"n_needed": float(most)}]).assign(power=0.8)
    assert MoreSeeds().sentences({"seeds_needed": table}) == [
        f"To show that one candidate is better in 75 % of all pairs of runs: {needed}; reached by 1 of 2 cells."
    ]
    (chart,) = MoreSeeds().charts({"seeds_needed": table})
    assert chart.rows["needed"].tolist() == ["4", needed.removeprefix("4 to ").removesuffix(" runs")]


@pytest.mark.parametrize(
    ("goals", "size", "label"),
    [
        ([(0.01, "as given"), (0.01, "as given")], "0.01", "0.01"),
        ([(0.01, "margin of the study"), (0.5, "margin of the study")], "the margin of its task", "its margin"),
        (
            [(0.3, "2 % of |mean|: no range declared"), (0.4, "2 % of |mean|: no range declared")],
            "2 % of the mean",
            "2 %",
        ),
        ([(0.01, "as given"), (1.0, "1 % of 100")], "1 % of the range of its metric", "1 % of the range"),
        ([(0.01, "as given"), (0.3, OF_MEAN)], "0.01 or 1 % of the mean (by task)", "its goal"),
        ([(0.02, "margin of the study"), (0.01, "as given")], "0.01 or 0.02 (by task)", "its goal"),
        ([(0.02, "margin of the study"), (1.0, "1 % of 100")], "0.02 or 1 % of the range (by task)", "its goal"),
    ],
)
def test_goals_are_named_after_what_they_are(goals, size, label):
    row = CELL | {"task": "a", "phase": "after", "target": "half_width", "n": 5, "n_needed": 4.0, "power": 0.8}
    table = pd.DataFrame([row | {"goal": goal, "goal_from": origin} for goal, origin in goals])
    (sentence,) = MoreSeeds().sentences({"seeds_needed": table})
    assert sentence == f"To know the mean within ± {size}: 4 runs; reached by 2 of 2 cells."
    (chart,) = MoreSeeds().charts({"seeds_needed": table})
    assert set(chart.rows["label"]) == {f"mean within ± {label}"} and len(f"mean within ± {label}") <= 30


def test_one_calibration_error_is_no_range():
    table = pd.DataFrame([CELL | {"task": "a", "quantity": "ece", "estimate": 0.25}])
    (sentence,) = Calibration().sentences({"calibration": table})
    assert sentence.startswith("Confidence and accuracy differ on average by 0.25")


def test_cells_of_equal_runs_are_not_among_those_with_enough_seeds():
    row = CELL | {"task": "a", "phase": "after", "target": "half_width", "goal": 0.01, "goal_from": "as given", "n": 2}
    reason = "all runs are equal: their spread is not known"
    table = pd.DataFrame([row | {"n_needed": 40.0, "note": None}, row | {"n_needed": np.nan, "note": reason}])
    assert MoreSeeds().sentences({"seeds_needed": table.assign(power=np.nan)}) == [
        f"To know the mean within ± 0.01: 40 runs; reached by 0 of 1 cell; unknown for 1 more ({reason})."
    ]


def test_a_probe_of_zero_has_no_share_to_name():
    table = gaps(("cnn", "a", "r2", 0.10, 0.08, 0.12, True, True)).assign(probe=0.0, margin=0.0)
    gain = pd.DataFrame([CELL | {"task": "a", "phase": "after", "comparison": "none", "higher_is_better": True}])
    tables = {"gain": gain.assign(gain=0.1, low=0.0, high=0.2), "recipe_gap": table}
    (sentence,) = Gains().sentences(tables)
    assert "the same frozen features, in the mean (cnn (full) on a)" in sentence and "%" not in sentence


def test_pairs_without_a_number_of_seeds_are_not_left_out():
    tables = synthetic.tables(["seeds_needed", "decisions"], models=("a", "b", "c"), methods=("full",))
    decisions = tables["decisions"]
    nearest = decisions.sort_values("difference").drop_duplicates(["task", "model", "method"])
    tables["decisions"] = decisions.assign(n_more=decisions["n_more"].mask(decisions.index == nearest.index[0]))
    before, after = (
        MoreSeeds().sentences(tables | {"decisions": each})[-1] for each in (decisions, tables["decisions"])
    )
    assert "unknown" not in before and after.endswith("; unknown for 1 more (" + NO_PLAN + ").")


def test_gains_with_verdicts_are_drawn_with_the_intervals_of_the_decisions():
    tables = synthetic.tables(
        ["gain", "decisions"], models=("a", "b"), methods=("full", "linear_probe"), seeds=(0, 1, 2)
    )
    before, probe = Gains().charts(tables)
    alone = tables["gain"].query("comparison == 'linear_probe' and split == 'test' and primary").set_index("model")
    pairs = tables["decisions"].query("model == model_b").set_index("model")
    turned = pairs["method"] != "full"
    drawn = probe.rows.set_index("model").loc[["a", "b"]]
    assert drawn["low"].tolist() == pytest.approx(pairs["low"].mask(turned, -pairs["high"])[["a", "b"]].tolist())
    assert (drawn["high"] - drawn["low"] > (alone["high"] - alone["low"])[["a", "b"]]).all()
    titles = [layer["encoding"]["x"].get("title") for chart in (before, probe) for layer in chart.spec["layer"]]
    assert titles[2] == "gain, {unit}; line: 95\N{NO-BREAK SPACE}% interval, not adjusted"
    assert titles[5] == "gain, {unit}; line: adjusted 95\N{NO-BREAK SPACE}% interval"


def test_the_first_screen_names_the_recipes_that_limit_results():
    decided = [("cnn", "a", "accuracy", gap, gap - 0.02, gap + 0.02, True, True) for gap in (0.05, 0.10)]
    table = gaps(*decided, ("vit", "a", "accuracy", 0.05, -0.02, 0.12, True, False))
    table["task"] = ["a", "b", "c"]
    tables = synthetic.tables([], models=("cnn",))
    start = "A linear model of the frozen features is better than"
    assert first_screen("demo", tables | {"recipe_gap": table}).recipes == (
        f"{start} cnn (full) on b and cnn (full) on a: their recipes limit their results."
    )
    single = first_screen("demo", tables | {"recipe_gap": table.iloc[[0, 2]]}).recipes
    assert single == f"{start} cnn (full) on a: its recipe limits its results."
    many = pd.concat([table.iloc[[0]].assign(model=name) for name in "vwxyz"])
    assert f"{start} v (full), w (full) and 3 more: " in first_screen("d", tables | {"recipe_gap": many}).recipes
    assert first_screen("demo", tables | {"recipe_gap": table.iloc[2:]}).recipes == ""


def test_the_ring_of_candidates_that_no_other_dominates_is_in_the_legend():
    row = CELL | {"task": "a", "quantity": "seconds", "phase": "after", "value_mean": 0.9, "value_sd": 0.1, "n": 5}
    rows = [row | {"estimate": seconds, "on_front": front} for seconds, front in ((2.0, True), (3.0, False))]
    (chart,) = Cost().charts({"cost": pd.DataFrame(rows).assign(sd=0.1)})
    ring = chart.spec["layer"][1]["encoding"]["stroke"]
    assert ring["legend"]["values"] == ring["scale"]["domain"][:1] == chart.rows["front"].tolist()[:1]
    assert ring["scale"]["domain"][1:] == chart.rows["front"].tolist()[1:]
