"""Gains are paired where runs are pairs, and nowhere else."""

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry

MODELS = ("cnn", "cnn-scratch", "vit")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}
TEST = {"task": "digits", "split": "test", "metric": "accuracy"}


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(models=MODELS, failed=FAILED)


def table(name, runs, **options):
    return registry.find("analyses", name)(options).table({"runs": runs})


def one(found, **values):
    for column, value in values.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_the_gain_over_the_untrained_head_is_paired_by_run(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="before", **TEST)
    wide = runs.query("model == 'cnn' and method == 'full' and split == 'test' and metric == 'accuracy'").pivot_table(
        index="seed", columns="phase", values="value"
    )
    differences = wide["after"] - wide["before"]
    assert row["gain"] == pytest.approx(differences.mean())
    assert row["sd"] == pytest.approx(differences.std(ddof=1))


def test_a_pair_with_a_failed_run_is_left_out_of_both_means(runs):
    row = one(table("gain", runs), model="vit", method="full", comparison="linear_probe", **TEST)
    kept = runs.query("model == 'vit' and method == 'linear_probe' and phase == 'after' and seed not in [1, 3]")
    kept = kept[(kept["split"] == "test") & (kept["metric"] == "accuracy")]
    assert (row["n"], row["n_reference"], row["n_failed"], row["n_failed_reference"]) == (3, 3, 2, 0)
    assert row["mean_reference"] == pytest.approx(kept["value"].mean())


def test_the_gain_over_a_linear_probe_is_the_true_one():
    found = table("gain", synthetic.runs(seeds=range(100)))
    row = one(found, model="a", method="full", comparison="linear_probe", **TEST)
    assert row["low"] <= 0.05 <= row["high"]
    assert row["high"] - row["low"] < 0.01


def test_runs_with_other_streams_are_no_pair(runs):
    moved = runs.assign(seed_order=runs["seed_order"] + (runs["method"] == "linear_probe"))
    assert "linear_probe" not in set(table("gain", moved)["comparison"])


def test_the_from_scratch_control_is_compared_unpaired(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert row["reference"] == "cnn-scratch"
    assert row["interval"] == "Welch t"
    assert "unpaired" in row["estimator"]


def test_another_architecture_is_no_control(runs):
    found = table("gain", runs)
    assert "vit" not in set(found.loc[found["comparison"] == "from_scratch", "model"])


def test_options_of_the_architecture_tell_controls_apart(runs):
    other = runs.assign(model_options=runs["model_options"].mask(runs["model"] == "cnn-scratch", '{"width": 2}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_another_input_size_is_no_control(runs):
    other = runs.assign(preprocess=runs["preprocess"].mask(runs["model"] == "cnn-scratch", '{"size": 224}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_a_control_with_another_recipe_is_said_to_be_one(runs):
    other = runs.assign(recipe_hash=runs["recipe_hash"].mask(runs["model"] == "cnn-scratch", "slower"))
    row = one(table("gain", other), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert "the recipes differ" in row["estimator"]
    assert (
        "recipes"
        not in one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)["estimator"]
    )


def test_error_reduction_is_the_share_of_the_distance_to_perfect(runs):
    found = table("gain", runs)
    for metric, perfect in (("accuracy", 1.0), ("nll", 0.0)):
        row = one(found, model="cnn", method="full", comparison="before", **(TEST | {"metric": metric}))
        before = abs(perfect - row["mean_reference"])
        after = abs(perfect - row["mean_reference"] - row["gain"])
        assert row["error_reduction"] == pytest.approx(1 - after / before)
        assert 0 < row["error_reduction"] < 1
