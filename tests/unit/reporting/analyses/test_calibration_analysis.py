"""Tests of calibration against the metrics, run by run, and of its curve against the bins."""

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats
from sklearn.metrics import log_loss

from variability import registry
from variability.results.predictions import Predictions, RunPredictions

CELL = ("a", "digits", "full")
SCORES = ("ece", "brier", "nll")


def table(runs, predictions, **options):
    return registry.find("analyses", "calibration")(options).table({"runs": runs, "predictions": predictions})


def of_cell(runs, count=None, **options):
    """Return the table of one cell with these ``RunPredictions``; further seeds diverged."""
    count = count or len(runs)
    failed = {(*CELL, seed) for seed in range(len(runs), count)}
    study = synthetic.runs(models=("a",), methods=("full",), seeds=range(count), failed=failed)
    return table(study, Predictions({CELL: lambda *_: iter(runs)}), **options)


def run(seed, y_true, probabilities):
    probabilities = np.asarray(probabilities, dtype=np.float32)
    y_true = np.asarray(y_true)
    return RunPredictions(seed, np.arange(len(y_true)), y_true, probabilities.argmax(axis=1), probabilities)


def simulated(seed, n=500, classes=4, sharpness=1.0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, sharpness), n)
    return run(
        seed, (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1), probabilities
    )


def by_hand(result, bins):
    """Guo et al. 2017, eq. 3, example by example and bin by bin."""
    confidence = result.probabilities.max(axis=1).astype(float)
    right, total = result.y_pred == result.y_true, 0.0
    for at in range(bins):
        inside = (confidence > at / bins) & (confidence <= (at + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [2, 15, 40])
def test_the_ece_is_that_of_its_definition(bins):
    runs = [simulated(seed) for seed in range(3)]
    row = of_cell(runs, bins=bins).set_index("quantity").loc["ece"]
    expected = [by_hand(result, bins) for result in runs]
    assert (row["estimate"], row["sd"]) == pytest.approx((np.mean(expected), np.std(expected, ddof=1)))


def test_scores_are_those_of_the_metrics_and_of_sklearn():
    runs = [simulated(seed) for seed in range(4)]
    result = of_cell(runs).set_index("quantity")
    for name in SCORES:
        metric = registry.find("metrics", name)()
        values = [metric.compute(run.y_true, run.y_pred, run.probabilities)[name] for run in runs]
        row = result.loc[name]
        assert row["n"] == 4
        assert (row["estimate"], row["sd"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)), rel=1e-6)
        assert (row["min"], row["max"]) == pytest.approx((min(values), max(values)), rel=1e-6)
        ends = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
        assert (row["low"], row["high"]) == pytest.approx(ends, rel=1e-6)
    losses = [log_loss(run.y_true, run.probabilities) for run in runs]
    assert result.loc["nll", "estimate"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_curve_by_hand():
    # Two runs of four examples in two bins; the second has none in the lower one.
    runs = [
        run(0, [0, 0, 0, 0], [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.9, 0.1, 0.0], [0.7, 0.2, 0.1]]),
        run(1, [0, 0, 0, 0], [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.6, 0.2, 0.2]]),
    ]
    curve = of_cell(runs, bins=2).query("quantity == 'bin'").set_index("bin")
    lower, upper = curve.loc[1], curve.loc[2]
    # 0.5 belongs to the bin that ends there.
    assert (lower["n"], lower["estimate"], lower["confidence"]) == (1, 0.5, 0.5)
    assert (lower["count"], lower["count_min"], lower["count_max"]) == (1, 0, 2)
    assert np.isnan(lower["sd"])
    assert (upper["n"], upper["estimate"], upper["min"], upper["max"]) == (2, 0.875, 0.75, 1.0)
    assert upper["confidence"] == pytest.approx((0.8 + 0.8) / 2)
    assert upper["sd"] == pytest.approx(np.std([0.75, 1.0], ddof=1))
    assert curve["n_examples"].tolist() == [4, 4]


def test_a_calibrated_network_is_on_the_diagonal():
    result = of_cell([simulated(seed, n=4000) for seed in range(30)])
    curve = result[(result["quantity"] == "bin") & (result["count_min"] > 50)]
    assert len(curve) > 8
    assert ((curve["low"] <= curve["confidence"]) & (curve["confidence"] <= curve["high"])).mean() > 0.8
    assert (curve["estimate"] - curve["confidence"]).abs().max() < 0.02


def test_the_ece_of_a_calibrated_network_is_larger_on_fewer_examples():
    few, many = (of_cell([simulated(seed, n=n) for seed in range(10)]).set_index("quantity") for n in (50, 5000))
    assert few.loc["ece", "estimate"] > 3 * many.loc["ece", "estimate"]


def test_an_empty_bin_has_a_row_with_a_note():
    curve = of_cell([simulated(0, classes=2)]).query("quantity == 'bin' and bin_high <= 0.46")
    assert len(curve) == 6
    assert (curve["n"] == 0).all()
    assert curve["estimate"].isna().all()
    assert (curve["note"] == "no run has examples in this bin").all()


def test_regression_has_no_probabilities():
    values = np.linspace(0, 1, 5)
    result = of_cell([RunPredictions(0, np.arange(5), values, values, None, kind="regression")])
    assert set(result["note"]) == {"no probabilities"}
    assert result["estimate"].isna().all()
    assert set(SCORES) < set(result["quantity"])


def test_runs_that_diverged_are_counted():
    result = of_cell([simulated(0), simulated(1)], count=5)
    assert (result.loc[result["quantity"] != "bin", "n"] == 2).all()
    assert (result["n_failed"] == 3).all()


def test_a_cell_without_predictions_has_a_note():
    result = table(synthetic.runs(models=("a",), methods=("full",)), Predictions({}))
    assert set(result["note"]) == {"no predictions"}
    assert (result["n"] == 0).all()
