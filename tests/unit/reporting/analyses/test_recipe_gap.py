import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry

TEST = {"split": "test", "metric": "accuracy"}


def one(runs, probes, **selection):
    result = registry.find("analyses", "recipe_gap")({}).table({"runs": runs, "reference_probe": probes})
    rows = result[(result[list(selection)] == list(selection.values())).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def values(runs, **selection):
    after = runs[(runs["phase"] == "after") & (runs["split"] == "test")]
    return after[(after[list(selection)] == list(selection.values())).all(axis=1)]["value"].to_numpy()


def test_the_unused_part_is_the_probe_minus_the_runs_with_an_interval_over_seeds():
    runs = synthetic.runs()
    row = one(runs, synthetic.probes(runs, 0.95), model="b", method="linear_probe", **TEST)
    differences = 0.95 - values(runs, model="b", method="linear_probe", metric="accuracy")
    half = 2.7764451 * differences.std(ddof=1) / np.sqrt(5)  # quantile of t with 4 degrees of freedom, from a table
    assert row["unused"] == pytest.approx(differences.mean())
    assert (row["low"], row["high"]) == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert row["n"] == 5 and row["probe"] == 0.95 and row["n_probes"] == 1 and row["exceeds_margin"]
    assert row["decided"] == (row["low"] > 0) and row["decided"]


def test_a_loss_that_the_probe_lowers_is_unused_too():
    runs = synthetic.runs()
    row = one(runs, synthetic.probes(runs, 0.95), model="a", method="full", split="test", metric="nll")
    assert row["unused"] == pytest.approx(values(runs, model="a", method="full", metric="nll").mean() - 0.1)


def test_a_recipe_that_beats_the_probe_or_is_within_the_margin_is_not_named():
    runs = synthetic.runs()
    mean = values(runs, model="a", method="full", metric="accuracy").mean()
    for value, named in ((mean - 0.1, False), (mean * 1.02, False), (mean * 1.04, True)):
        assert one(runs, synthetic.probes(runs, value), model="a", method="full", **TEST)["exceeds_margin"] == named


def test_runs_with_splits_of_their_own_are_paired_with_the_probe_of_their_seed():
    runs = synthetic.runs()
    shared = synthetic.probes(runs)
    by_seed = [shared.assign(seed=float(seed), value=shared["value"] + 0.01 * seed) for seed in range(5)]
    probes = pd.concat(by_seed, ignore_index=True)
    row = one(runs, probes, model="a", method="full", **TEST)
    differences = 0.87 + 0.01 * np.arange(5) - values(runs, model="a", method="full", metric="accuracy")
    assert row["unused"] == pytest.approx(differences.mean()) and row["sd"] == pytest.approx(differences.std(ddof=1))
    assert row["probe"] == pytest.approx(0.89) and row["n_probes"] == 5


def test_failed_runs_are_counted_and_a_missing_probe_has_a_reason():
    runs = synthetic.runs(models=("a", "a-scratch"), failed={("a", "digits", "full", 1)})
    probes = synthetic.probes(runs)
    row = one(runs, probes, model="a", method="full", **TEST)
    assert (row["n"], row["n_failed"]) == (4, 1) and np.isfinite(row["high"])
    control = one(runs, probes, model="a-scratch", method="full", **TEST)
    assert np.isnan(control["unused"]) and not control["exceeds_margin"]
    assert control["note"] == "no reference probe: every run has its own backbone"


def test_tasks_without_probes_are_left_out():
    runs = synthetic.runs(tasks=("digits", "letters"))
    probes = synthetic.probes(runs)
    plugin = registry.find("analyses", "recipe_gap")({})
    table = plugin.table({"runs": runs, "reference_probe": probes[probes["task"] == "letters"]})
    assert set(table["task"]) == {"letters"}
