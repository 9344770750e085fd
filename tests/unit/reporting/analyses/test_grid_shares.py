"""Tests of the shares of this grid: what runs become sources, over tasks and scales, and what they add up to."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.errors import UserError
from variability.reporting import primary_rows
from variability.reporting.analyses import _component_rows, _factors, _grid_shares, _metric_scale, components


def shares(runs, **options):
    result = registry.find("analyses", "components")(options).table({"runs": runs})
    return result[result["population"] == components.GRID].reset_index(drop=True)


def of(result, component, task="digits", scale=components.METRIC):
    rows = result[(result["component"] == component) & (result["task"] == task) & (result["scale"] == scale)]
    assert len(rows) == 1, result["component"].tolist()
    return rows.iloc[0]


def with_values(runs, values):
    """Return primary test values after fine-tuning only. values: {(model, method): values by seed}."""
    runs = primary_rows.select(runs)
    keys = zip(runs["model"], runs["method"], runs["seed"], strict=True)
    return runs.assign(value=[values[model, method][seed] for model, method, seed in keys])


def assert_adds_up(result):
    parts = result[(result["role"] != "sum") & result["share"].notna()]
    for _, rows in parts.groupby(["task", "scale"]):
        assert rows["share"].sum() == pytest.approx(1)
        assert rows["share"].between(0, 1).all()
    bounded = parts.dropna(subset="share_low")
    assert ((bounded["share_low"] <= bounded["share"]) & (bounded["share"] <= bounded["share_high"])).all()
    assert ((bounded["sd_low"] <= bounded["sd"]) & (bounded["sd"] <= bounded["sd_high"])).all()


def test_a_grid_of_two_by_two_by_hand():
    """Means 0.1, 0.5, 0.3, 1.1: effects of 0.2, 0.3 and 0.1; variances of 0.02 in each cell of two runs."""
    values = {("a", "full"): [0, 0.2], ("a", "linear_probe"): [0.4, 0.6]}
    values |= {("b", "full"): [0.2, 0.4], ("b", "linear_probe"): [1.0, 1.2]}
    result = shares(with_values(synthetic.runs(seeds=range(2)), values))
    expected = {"model": 0.0375, "method": 0.0875, "model x method": 0.0075}
    for name, variance in expected.items():
        row = of(result, name)
        assert row["variance"] == pytest.approx(variance)
        assert row["share"] == pytest.approx(variance / 0.1525)
        # Gelman's SD: squares of 2 levels over 1 degree of freedom, of 4 over 1 for the interaction.
        assert row["sd"] == pytest.approx(np.sqrt(variance * (4 if " x " in name else 2)))
    seed = result[result["role"] == "seed"].iloc[0]
    assert seed["share"] == pytest.approx(0.02 / 0.1525)
    assert_adds_up(result)
    assert result["headline"].all()


def test_failed_runs_and_holes_leave_shares_that_add_up():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"), failed={("a", "digits", "full", 1)})
    runs = runs[(runs["model"] != "c") | (runs["method"] == "full")]
    result = shares(runs)
    assert_adds_up(result)
    assert of(result, "model")["estimator"] == _grid_shares.AVERAGED
    assert "overlaps" in of(result, "model")["note"]


def test_controls_from_scratch_are_a_factor_crossed_with_the_architecture():
    models = ("a", "a-scratch", "b", "b-scratch")
    runs = synthetic.runs(models=models, seeds=range(8), sd=0.001)
    scratch = runs["model"].str.endswith("-scratch")
    value = 0.6 + 0.1 * ~scratch + 0.03 * (runs["model"].str[0] == "b") + (runs["seed"] - 3.5) * 1e-3
    result = shares(runs.assign(value=value))
    assert {"architecture", "pretrained", "architecture x pretrained"} <= set(result["component"])
    assert "model" not in set(result["component"])
    assert of(result, "pretrained")["sd"] == pytest.approx(0.1 / np.sqrt(2), rel=0.01)
    assert of(result, "architecture")["sd"] == pytest.approx(0.03 / np.sqrt(2), rel=0.01)
    # A probe of random features is left out of the grid of the example study.
    holes = runs.assign(value=value)[~(scratch & (runs["method"] == "linear_probe"))]
    result = shares(holes)
    assert np.isnan(of(result, "pretrained x method")["variance"])
    assert of(result, "pretrained")["share"] > 0.7
    assert_adds_up(result)


def test_a_control_of_another_architecture_is_another_model():
    result = shares(synthetic.runs(models=("a", "b-scratch")))
    assert "pretrained" not in set(result["component"])
    assert of(result, "model")["levels"] == 2


def test_weights_are_nested_in_their_architecture_where_it_has_several():
    runs = synthetic.runs(models=("a", "b", "c", "c-scratch"))
    runs["architecture"] = runs["architecture"].replace("b", "c")
    runs["weights"] = runs["weights"].mask(runs["model"] == "b", "other weights")
    result = shares(runs)
    assert of(result, "weights")["levels"] == 4
    assert of(result, "weights")["df"] == 1
    assert_adds_up(result)


def test_models_with_their_own_methods_are_one_source():
    runs = synthetic.runs()
    result = shares(runs[(runs["model"] == "a") == (runs["method"] == "full")])
    assert "includes what is due to the method" in of(result, "model")["note"]
    assert of(result, "method")["note"] == _component_rows.CONFOUNDED
    assert_adds_up(result)


def test_with_one_seed_the_highest_combination_includes_it():
    result = shares(synthetic.runs(seeds=(0,)))
    assert of(result, "model x method + seed")["role"] == "residual"
    assert of(result, "model")["interval"] == "none" and np.isnan(of(result, "model")["share_low"])
    assert _grid_shares.NOISY in of(result, "model")["note"]
    assert_adds_up(result)


def test_equal_results_have_no_shares():
    runs = synthetic.runs(models=("a", "b", "c"))
    result = shares(runs.assign(value=0.1))
    assert result["share"].isna().all() and (result["variance"].dropna() == 0).all()


def test_declared_pairs_are_a_source_and_no_noise_of_the_models():
    """Randomised blocks, mean squares of 0.015, 0.00285 and 0.00005: see the variance components of the same runs."""
    runs = synthetic.as_imported(synthetic.runs(models=("a", "b"), methods=("full",), seeds=range(3)))
    values = {("a", "full"): [0.80, 0.84, 0.88], ("b", "full"): [0.70, 0.75, 0.77]}
    result = shares(with_values(runs, values).assign(pairing="seed"))
    assert of(result, "model")["variance"] == pytest.approx((0.015 - 0.00005) / 6)
    assert of(result, _component_rows.PAIR)["variance"] == pytest.approx(0.0014)
    assert of(result, "seed")["variance"] == pytest.approx(0.00005)
    assert_adds_up(result)


def test_streams_crossed_within_cells_are_the_noise_of_their_means():
    runs = synthetic.runs(models=("a", "b", "c"), seeds=range(12), sd=0.0)
    streams = [f"seed_{stream}" for stream in ("init", "order", "augment", "dropout", "split")]
    fixed = dict.fromkeys(streams, 0) | {"seed_init": runs["seed"] // 3, "seed_order": runs["seed"] % 3}
    luck = np.array([0.01, -0.02, 0.03, 0.0])[runs["seed"] // 3]
    result = shares(runs.assign(**fixed, value=runs["value"] + luck))
    row = of(result, "seed (init, order)")
    assert row["variance"] == pytest.approx(np.var([0.01, -0.02, 0.03, 0.0], ddof=1))
    # Four inits are in each mean.
    expected = np.var([0, 0.02, 0.04]) - row["variance"] / 4 * 2 / 6
    assert of(result, "model")["variance_raw"] == pytest.approx(expected)


# Over tasks -------------------------------------------------------------------------------------------------------


def test_over_tasks_there_are_three_scales_and_the_metrics_own_is_reported():
    result = shares(synthetic.runs(tasks=("digits", "letters")))
    across = result[result["task"] == "all tasks"]
    assert list(dict.fromkeys(across["scale"])) == [components.METRIC, components.LOG_ODDS, components.RANK]
    assert set(across.loc[across["headline"], "scale"]) == {components.METRIC}
    assert not result.loc[result["task"] == "digits", "headline"].any()
    assert of(result, "task", "all tasks", components.RANK)["share"] == pytest.approx(0, abs=1e-6)
    assert_adds_up(result)


def test_tasks_of_different_metrics_are_reported_by_rank():
    runs = synthetic.runs(tasks=("digits", "letters"))
    mixed = runs.assign(primary=(runs["metric"] == "nll") == (runs["task"] == "letters"))
    across = shares(mixed)
    across = across[across["task"] == "all tasks"]
    assert set(across.loc[across["headline"], "scale"]) == {components.RANK}
    assert across.loc[across["scale"] == components.METRIC, "note"].str.contains("different primary metrics").all()
    # A loss that falls is a rank that rises.
    assert of(across, "method", "all tasks", components.RANK)["share"] > 0.5


def test_log_odds_pool_tasks_of_different_difficulty():
    runs = primary_rows.select(synthetic.runs(tasks=("easy", "hard"), seeds=range(6)))
    odds = np.where(runs["task"] == "easy", 4.0, 0.0) + np.where(runs["model"] == "a", 0.5, -0.5)
    odds = odds + 0.1 * (runs["seed"] - 2.5)
    runs = runs.assign(value=1 / (1 + np.exp(-odds)), n_test=1e9)
    result = shares(runs)
    assert of(result, "model x task", "all tasks", components.LOG_ODDS)["share"] < 1e-6
    assert of(result, "model", "all tasks", components.LOG_ODDS)["sd"] == pytest.approx(1 / np.sqrt(2), rel=0.02)
    assert of(result, "model x task", "all tasks")["share"] > 0.01


def test_values_at_the_end_of_their_range_have_log_odds_if_the_number_of_examples_is_known():
    runs = primary_rows.select(synthetic.runs(tasks=("digits", "letters")))
    runs = runs.assign(value=runs["value"].where(runs["task"] == "letters", 1.0))
    table, reason = _metric_scale.log_odds(runs)
    # (1 x 199 + 1/2) / 200 of 200 examples.
    assert table.loc[table["task"] == "digits", "value"].to_numpy() == pytest.approx(np.log(199.5 / 0.5))
    assert reason == ""
    table, reason = _metric_scale.log_odds(runs.assign(n_test=np.nan))
    assert set(table["task"]) == {"letters"} and "digits (accuracy)" in reason


def test_ranks_are_oriented_and_share_ties():
    runs = pd.DataFrame({"task": "t", "value": [3.0, 1.0, 1.0, np.nan], "higher_is_better": False})
    ranked = _metric_scale.ranks(runs)["value"].tolist()
    assert ranked == pytest.approx([0.5 / 3, 2 / 3, 2 / 3, np.nan], nan_ok=True)


# Named factors ----------------------------------------------------------------------------------------------------


def test_a_named_factor_is_part_of_the_names_of_methods():
    methods = ("full-1shot", "full-16shot", "probe-1shot", "probe-16shot")
    runs = synthetic.runs(methods=methods, seeds=range(6), sd=0.001)
    value = 0.5 + 0.2 * runs["method"].str.contains("16") + 0.04 * runs["method"].str.contains("probe")
    factor = {"shots": {"of": "method", "pattern": "(?P<base>.+)-(?P<level>[0-9]+)shot"}}
    result = shares(runs.assign(value=value + 1e-3 * runs["seed"]), factors=factor)
    assert of(result, "shots")["sd"] == pytest.approx(0.2 / np.sqrt(2), rel=0.01)
    assert of(result, "method")["sd"] == pytest.approx(0.04 / np.sqrt(2), rel=0.01)
    assert {"method x shots", "model x shots"} <= set(result["component"])


def test_training_sizes_that_are_tasks_become_a_factor_of_one_task():
    runs = synthetic.runs(tasks=("digits-100", "digits-1000"))
    factor = {"size": {"of": "task", "pattern": "(?P<base>.+)-(?P<level>[0-9]+)"}}
    result = shares(runs, factors=factor)
    assert set(result["task"]) == {"digits"} and of(result, "size")["levels"] == 2
    assert_adds_up(result)


def test_a_factor_of_models_leaves_the_base_as_the_model():
    factor = {"prompt": {"of": "model", "pattern": "(?P<base>.)(-(?P<level>.+))?"}}
    result = shares(synthetic.runs(models=("a", "a-long", "b", "b-long")), factors=factor)
    assert of(result, "model")["levels"] == 2 and of(result, "prompt")["levels"] == 2


def test_levels_in_the_names_of_imported_methods_are_factors():
    runs = synthetic.runs(methods=("full shots=1", "full shots=16"))
    result = shares(runs)
    assert "method" not in set(result["component"])
    assert of(result, "shots")["levels"] == 2


def test_a_pattern_that_does_not_fit_names_what_it_does_not_match():
    factor = {"shots": {"of": "method", "pattern": "(?P<base>.+)-(?P<level>[0-9]+)shot"}}
    with pytest.raises(UserError, match="does not match the method full, linear_probe"):
        shares(synthetic.runs(), factors=factor)
    problems = dict(_factors.problems(factor, {"method": ["full", "full-1shot"]}))
    assert list(problems) == ["shots.pattern"] and "method full;" in problems["shots.pattern"]
    assert "no group level" in next(iter(_factors.problems({"x": {"of": "task", "pattern": "(?P<base>.)"}}, {})))[1]
    assert "expression" in next(iter(_factors.problems({"x": {"of": "task", "pattern": "("}}, {})))[1]
    assert not list(_factors.problems(factor, {"method": ["full-1shot"]}))
