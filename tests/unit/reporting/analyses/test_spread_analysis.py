"""Spread finds numpy's numbers, and the SD that a study was made with."""

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


def one(found, **values):
    for column, value in values.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_spread_is_numpys(runs):
    row = one(table("spread", runs), model="cnn", method="full", phase="after", **TEST)
    kept = runs.query(
        "model == 'cnn' and method == 'full' and phase == 'after' and split == 'test' and metric == 'accuracy'"
    )
    values = kept["value"].to_numpy()
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


def test_spread_finds_the_sd_the_study_was_made_with():
    found = table("spread", synthetic.runs(seeds=range(200), sd=0.01))
    accuracy = found[(found["metric"] == "accuracy")]
    covered = (accuracy["sd_low"] <= 0.01) & (accuracy["sd_high"] >= 0.01)
    assert covered.mean() >= 0.75
    assert accuracy["sd"].mean() == pytest.approx(0.01, rel=0.05)


def test_equal_values_have_an_sd_of_exactly_zero(runs):
    found = table("spread", runs.assign(value=0.1))
    assert (found["sd"] == 0).all()
    assert found["note"].str.contains("all runs agree").all()
    assert table("spread", runs.query("seed == 0"))["note"].str.contains("single run").all()


def test_an_undefined_metric_is_not_counted_as_a_failure(runs):
    undefined = runs.assign(value=runs["value"].mask(runs["metric"] == "nll"))
    found = table("spread", undefined)
    row = one(found, model="cnn", method="full", phase="after", task="digits", split="test", metric="nll")
    assert (row["n"], row["n_failed"], row["n_undefined"]) == (0, 0, 5)


def test_a_failed_run_has_not_failed_before_it_began(runs):
    row = one(table("spread", runs), model="vit", method="full", phase="before", **TEST)
    assert (row["n"], row["n_failed"]) == (5, 0)


def test_the_scope_names_what_varied_and_what_did_not(runs):
    scope = table("spread", runs).set_index("model")["scope"]
    assert scope["cnn"].iloc[0].startswith("varied: init, order, augment, dropout; fixed: split, recipe")
    assert "pretrained weights" in scope["cnn"].iloc[0]
    assert "pretrained weights" not in scope["cnn-scratch"].iloc[0]
    resampled = table("spread", runs.assign(seed_split=runs["seed"]))["scope"].iloc[0]
    assert "split" in resampled.partition(";")[0]
