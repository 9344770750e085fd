"""Tests of the spread against NumPy and against the true SD of a study."""

import numpy as np
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


def test_spread_equals_numpys(runs):
    row = one(table("spread", runs), model="cnn", method="full", phase="after", **TEST)
    selected = runs.query(
        "model == 'cnn' and method == 'full' and phase == 'after' and split == 'test' and metric == 'accuracy'"
    )
    values = selected["value"].to_numpy()
    quartiles = np.quantile(values, [0.25, 0.75])
    expected = {
        "n": 5,
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "median": np.median(values),
        "mad": np.median(np.abs(values - np.median(values))),
        "iqr": quartiles[1] - quartiles[0],
        "min": values.min(),
        "max": values.max(),
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    ends = values.std(ddof=1) * np.sqrt(4 / stats.chi2.ppf([0.975, 0.025], 4))
    assert row[["sd_low", "sd_high"]].tolist() == pytest.approx(ends.tolist())


def test_the_true_sd_of_a_study_is_recovered():
    result = table("spread", synthetic.runs(seeds=range(200), sd=0.01))
    accuracy = result[(result["metric"] == "accuracy")]
    covered = (accuracy["sd_low"] <= 0.01) & (accuracy["sd_high"] >= 0.01)
    assert covered.mean() >= 0.75
    assert accuracy["sd"].mean() == pytest.approx(0.01, rel=0.05)


def test_equal_values_have_an_sd_of_exactly_zero(runs):
    result = table("spread", runs.assign(value=0.1))
    assert (result["sd"] == 0).all()
    assert result["note"].str.contains("all runs are equal").all()
    assert table("spread", runs.query("seed == 0"))["note"].str.contains("single run").all()


def test_an_undefined_metric_is_not_counted_as_a_failure(runs):
    undefined = runs.assign(value=runs["value"].mask(runs["metric"] == "nll"))
    result = table("spread", undefined)
    row = one(result, model="cnn", method="full", phase="after", task="digits", split="test", metric="nll")
    assert (row["n"], row["n_failed"], row["n_undefined"]) == (0, 0, 5)


def test_a_failed_run_has_not_failed_before_fine_tuning(runs):
    row = one(table("spread", runs), model="vit", method="full", phase="before", **TEST)
    assert (row["n"], row["n_failed"]) == (5, 0)


def test_the_scope_names_what_varied_and_what_did_not(runs):
    scope = table("spread", runs).set_index("model")["scope"]
    assert scope["cnn"].iloc[0].startswith("varied: init, order, augment, dropout; fixed: split, recipe")
    assert "pretrained weights" in scope["cnn"].iloc[0]
    assert "pretrained weights" not in scope["cnn-scratch"].iloc[0]
    resampled = table("spread", runs.assign(seed_split=runs["seed"]))["scope"].iloc[0]
    assert "split" in resampled.partition(";")[0]


def test_values_that_differ_in_their_last_bits_have_no_spread():
    runs = synthetic.runs(models=MODELS)
    values = np.full(len(runs), 0.7)
    values[::2] = np.nextafter(0.7, 1)
    equal = runs.assign(value=values)
    assert (table("spread", equal)["sd"] == 0).all()
    assert (table("pairwise", equal)[["sd", "sd_b"]] == 0).all(axis=None)
    gains = table("gain", equal)
    assert (gains.loc[gains["comparison"] != "from_scratch", "sd"] == 0).all()
    assert (table("decisions", equal)[["sd", "sd_b"]] == 0).all(axis=None)
