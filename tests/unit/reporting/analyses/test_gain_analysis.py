"""Tests of gains, paired where runs are pairs and unpaired otherwise."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry

MODELS = ("cnn", "cnn-scratch", "vit")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}
TEST = {"task": "digits", "split": "test", "metric": "accuracy"}


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(models=MODELS, failed=FAILED)


def table(name, runs, **options):
    return registry.find("analyses", name)(options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def test_the_gain_over_the_untrained_head_is_paired_by_run(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="before", **TEST)
    wide = runs.query("model == 'cnn' and method == 'full' and split == 'test' and metric == 'accuracy'").pivot_table(
        index="seed", columns="phase", values="value"
    )
    differences = wide["after"] - wide["before"]
    assert row["gain"] == pytest.approx(differences.mean())
    assert row["sd"] == pytest.approx(differences.std(ddof=1))
    ends = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert (row["low"], row["high"]) == pytest.approx(ends)


def test_a_pair_with_a_failed_run_is_left_out_of_both_means(runs):
    row = one(table("gain", runs), model="vit", method="full", comparison="linear_probe", **TEST)
    selected = runs.query("model == 'vit' and method == 'linear_probe' and phase == 'after' and seed not in [1, 3]")
    selected = selected[(selected["split"] == "test") & (selected["metric"] == "accuracy")]
    assert (row["n"], row["n_reference"], row["n_failed"], row["n_failed_reference"]) == (3, 3, 2, 0)
    assert row["mean_reference"] == pytest.approx(selected["value"].mean())


def test_the_gain_over_a_linear_probe_is_the_true_one():
    result = table("gain", synthetic.runs(seeds=range(100)))
    row = one(result, model="a", method="full", comparison="linear_probe", **TEST)
    assert row["low"] <= 0.05 <= row["high"]
    assert row["high"] - row["low"] < 0.01


def test_runs_with_different_streams_are_not_a_pair(runs):
    moved = runs.assign(seed_order=runs["seed_order"] + (runs["method"] == "linear_probe"))
    assert "linear_probe" not in set(table("gain", moved)["comparison"])


def test_the_from_scratch_control_is_compared_unpaired(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert row["reference"] == "cnn-scratch"
    assert row["interval"] == "Welch t"
    assert "unpaired" in row["estimator"]
    selected = runs.query("phase == 'after' and method == 'full' and split == 'test' and metric == 'accuracy'")
    treated, control = (selected.loc[selected["model"] == model, "value"] for model in ("cnn", "cnn-scratch"))
    ends = stats.ttest_ind(treated, control, equal_var=False).confidence_interval(0.95)
    assert row["gain"] == pytest.approx(treated.mean() - control.mean())
    assert (row["low"], row["high"]) == pytest.approx((ends.low, ends.high))


def test_another_architecture_is_not_a_control(runs):
    result = table("gain", runs)
    assert "vit" not in set(result.loc[result["comparison"] == "from_scratch", "model"])


def test_options_of_the_architecture_distinguish_controls(runs):
    other = runs.assign(model_options=runs["model_options"].mask(runs["model"] == "cnn-scratch", '{"width": 2}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_another_input_size_is_not_a_control(runs):
    other = runs.assign(preprocess=runs["preprocess"].mask(runs["model"] == "cnn-scratch", '{"size": 224}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_a_control_with_another_recipe_is_marked(runs):
    other = runs.assign(recipe_hash=runs["recipe_hash"].mask(runs["model"] == "cnn-scratch", "slower"))
    row = one(table("gain", other), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert "the recipes differ" in row["estimator"]
    assert (
        "recipes"
        not in one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)["estimator"]
    )


def test_error_reduction_is_the_share_of_the_distance_to_perfect(runs):
    result = table("gain", runs)
    for metric, perfect in (("accuracy", 1.0), ("nll", 0.0)):
        row = one(result, model="cnn", method="full", comparison="before", **(TEST | {"metric": metric}))
        before = abs(perfect - row["mean_reference"])
        after = abs(perfect - row["mean_reference"] - row["gain"])
        assert row["error_reduction"] == pytest.approx(1 - after / before)
        assert 0 < row["error_reduction"] < 1


def changed(**study):
    tables = {key: value for key, value in synthetic.base_tables(**study).items() if key != "history"}
    return registry.find("analyses", "gain")({}).table(tables), tables["predictions"]


def test_repaired_and_broken_examples_are_counted_run_by_run():
    result, predictions = changed(models=("vit",), failed=FAILED)
    row = one(result, model="vit", method="full", comparison="before", **TEST)
    cell = ("vit", "digits", "full")
    before, after = (predictions.cube(cell, phase) for phase in ("before", "after"))
    repaired, broken, p = [], [], []
    for seed in (0, 2, 4):
        was = before.losses[list(before.seeds).index(seed)] == 0
        now = after.losses[list(after.seeds).index(seed)] == 0
        repaired.append(sum(now & ~was))
        broken.append(sum(was & ~now))
        p.append(stats.binomtest(min(repaired[-1], broken[-1]), repaired[-1] + broken[-1]).pvalue)
    assert (row["repaired"], row["broken"], row["n_examples"]) == (sum(repaired), sum(broken), 60)
    assert row["repaired_per_run"] == pytest.approx(np.mean(repaired))
    assert row["broken_per_run"] == pytest.approx(np.mean(broken))
    assert row["mcnemar_p_median"] == pytest.approx(np.median(p))


def test_repaired_minus_broken_is_the_change_in_accuracy():
    result, predictions = changed(models=("vit",))
    row = one(result, model="vit", method="full", comparison="before", **TEST)
    accuracy = [1 - predictions.cube(("vit", "digits", "full"), phase).losses.mean() for phase in ("before", "after")]
    gained = (row["repaired_per_run"] - row["broken_per_run"]) / row["n_examples"]
    assert gained == pytest.approx(accuracy[1] - accuracy[0])


def test_runs_that_share_their_examples_are_not_pooled_into_one_test(runs):
    from variability.results.predictions import Predictions, RunPredictions

    correct_before, correct_after = (
        [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0]],
        [[1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 1, 1]],
    )

    def predictions(phase, split, probabilities):
        for seed, correct in enumerate(correct_before if phase == "before" else correct_after):
            yield RunPredictions(seed, np.arange(4), np.ones(4, dtype=int), np.array(correct), None)

    result = registry.find("analyses", "gain")({}).table(
        {"runs": runs, "predictions": Predictions({("cnn", "digits", "full"): predictions})}
    )
    row = one(result, model="cnn", method="full", comparison="before", **TEST)
    # Repaired and broken 3 and 0, 1 and 1, 2 and 1: p 0.25, 1 and 1; of all six and two it would be 0.29.
    assert (row["repaired"], row["broken"], row["mcnemar_p_median"]) == (6, 2, 1)


def test_mcnemars_test_counts_whole_groups_of_examples(runs):
    from variability.results.predictions import Predictions, RunPredictions

    def predictions(phase, split, probabilities):
        correct = np.full(8, int(phase == "after"))
        yield RunPredictions(0, np.arange(8), np.ones(8, dtype=int), correct, None, np.repeat([0, 1], 4))

    tables = {"runs": runs, "predictions": Predictions({("cnn", "digits", "full"): predictions})}
    row = one(
        registry.find("analyses", "gain")({}).table(tables), model="cnn", method="full", comparison="before", **TEST
    )
    assert (row["repaired"], row["mcnemar_p_median"]) == (8, 0.5), "both groups gain in one of two of their signs"


def test_examples_are_counted_for_the_untrained_head_on_the_test_split_alone():
    result, _ = changed(models=MODELS)
    counted = result["n_examples"].notna()
    assert (counted == ((result["comparison"] == "before") & (result["split"] == "test"))).all()


def test_without_predictions_there_are_no_counts_of_examples(runs):
    result = table("gain", runs)
    assert result[["repaired", "broken", "mcnemar_p_median", "n_examples"]].isna().all(axis=None)


def test_the_rest_of_the_table_does_not_depend_on_predictions(runs):
    result, _ = changed(models=MODELS, failed=FAILED)
    without = table("gain", runs)
    same = [column for column in without if not without[column].isna().all()]
    pd.testing.assert_frame_equal(result[same], without[same])


def test_regression_has_no_repaired_and_broken_examples(runs):
    from variability.results.predictions import Predictions, RunPredictions

    def numbers(phase, split, probabilities):
        yield RunPredictions(
            0, np.arange(3), np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.4]), None, kind="regression"
        )

    cells = {("cnn", "digits", "full"): numbers}
    result = registry.find("analyses", "gain")({}).table({"runs": runs, "predictions": Predictions(cells)})
    assert result["repaired"].isna().all()


@pytest.mark.parametrize("declared", [True, False])
def test_pairs_of_all_candidates_are_used_for_the_gain_over_random_weights(declared, runs):
    shared = runs.assign(pairing="seed") if declared else runs.assign(seed_split=runs["seed"])
    row = one(table("gain", shared), model="cnn", method="full", comparison="from_scratch", **TEST)
    pair = one(table("pairwise", shared), model="cnn", method="full", model_b="cnn-scratch", method_b="full")
    assert (row["gain"], row["low"], row["high"]) == pytest.approx((pair["difference"], pair["low"], pair["high"]))
    assert (row["interval"], pair["interval"]) == ("t, of paired differences", "t, of paired differences")
    assert (row["reference"], row["n"], row["n_reference"]) == ("cnn-scratch", 5, 5)
    free = one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert free["interval"] == "Welch t" and free["gain"] == pytest.approx(row["gain"])
