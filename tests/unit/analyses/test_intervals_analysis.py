"""The intervals of a cell's runs are told apart by what they are of."""

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


def test_the_next_run_is_less_certain_than_the_mean(runs):
    found = table("intervals", runs)
    cell = {"model": "cnn", "method": "full", "phase": "after", **TEST}
    mean, following = one(found, target="mean", **cell), one(found, target="next_run", **cell)
    assert mean["estimate"] == following["estimate"]
    assert following["low"] < mean["low"] < mean["high"] < following["high"]


def test_one_runs_interval_rests_on_the_test_examples(runs):
    found = table("intervals", runs)
    row = one(found, target="one_run", model="cnn", method="full", phase="after", **TEST)
    assert row["n_test"] == 200
    # About 2 * 1.96 * sqrt(0.9 * 0.1 / 200)
    assert row["high"] - row["low"] == pytest.approx(0.083, abs=0.01)
    assert set(found.loc[found["target"] == "one_run", "metric"]) == {"accuracy"}
