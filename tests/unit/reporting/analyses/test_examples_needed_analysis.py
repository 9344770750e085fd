"""Numbers of runs and test examples that show a difference, per task."""

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.stats import sample_size


@pytest.fixture(scope="module")
def base():
    return synthetic.base_tables(models=("a", "b"), tasks=("digits",), methods=("full",), seeds=range(5))


def table(base, **options):
    return registry.find("analyses", "examples_needed")(options).table(base)


def parts_of(row):
    return row["variance_runs"], row["variance_examples"], row["variance_crossed"]


def test_the_parts_are_twice_those_of_noise_split(base):
    split = registry.find("analyses", "noise_split")({}).table(base)
    split = split[split["metric"] == "accuracy"]
    row = table(base).iloc[0]
    assert row["variance_crossed"] == pytest.approx(2 * (split["variance_test_set"] * split["n_examples"]).mean())
    assert row["variance_runs"] == pytest.approx(max(2 * split["variance_seed"].mean(), 0))
    assert (row["n"], row["candidates"], row["n_examples"]) == (10, 2, split["n_examples"].iloc[0])


def test_the_examples_reach_the_power_at_the_goal(base):
    result = table(base, difference=0.05, power=0.9).dropna(subset="examples_needed")
    assert len(result) >= 3 and (result["goal"] == 0.05).all()
    for _, row in result.iterrows():
        at = [row["examples_needed"] - 1, row["examples_needed"]]
        power = sample_size.crossed_power(0.05, parts_of(row), row["runs_each"], at, 0.95)
        assert power[1] >= 0.9 and (power[0] < 0.9 or at[1] == 2)


def test_the_cheapest_pair_is_that_of_all_numbers_of_runs(base):
    result = table(base, difference=0.05, cost_run=3.0, cost_label=0.1)
    assert (result["cost"] == 6 * result["runs_each"] + 0.1 * result["examples_needed"])[result["cost"].notna()].all()
    seeds = np.arange(2, 51)
    examples = sample_size.examples_for_power(0.05, parts_of(result.iloc[0]), seeds, 0.8, 0.95)
    best = result[result["cheapest"]]
    assert best["runs_each"].item() == seeds[np.nanargmin(6 * seeds + 0.1 * examples)]
    # Where runs cost next to nothing, more of them save labels.
    assert table(base, difference=0.05, cost_run=1e-6, cost_label=1.0).query("cheapest")["runs_each"].item() > 40


def test_without_costs_nothing_is_the_cheapest(base):
    result = table(base, cost_run=1.0)
    assert not result["cheapest"].any() and result["cost"].isna().all()


def test_one_candidate_is_no_pair(base):
    result = table(base | {"runs": base["runs"][base["runs"]["model"] == "a"]})
    assert result["examples_needed"].isna().all() and result["note"].str.contains("one candidate").all()
