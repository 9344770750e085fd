"""Tests of the runs on the page: each value belongs to its run."""

import pandas as pd
import synthetic_study as synthetic

from variability.reporting.page import run_data
from variability.results.columns import RUN


def test_values_of_every_run_are_at_its_position():
    runs = synthetic.runs(models=("a", "b"), tasks=("t", "u"), methods=("full",), seeds=(3, 1))
    # The order of the rows does not matter.
    runs = runs.sample(frac=1, random_state=1)
    stored = run_data.of_runs(runs)
    names, values = stored["names"], stored["values"]["after|test|accuracy"]
    chosen = runs[(runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")]
    expected = chosen.set_index(RUN)["value"]
    assert len(values) == 8
    for run, value in enumerate(values):
        key = tuple(names[column][stored[column][run]] for column in ("model", "task", "method"))
        assert abs(expected[(*key, stored["seed"][run])] - value) < 1e-6


def test_a_diverged_run_has_no_value_and_its_reason():
    runs = synthetic.runs(models=("a",), methods=("full",), failed={("a", "digits", "full", 2)})
    stored = run_data.of_runs(runs)
    run = stored["seed"].index(2)
    assert stored["values"]["after|test|accuracy"][run] is None
    assert stored["values"]["before|test|accuracy"][run] is not None
    status = stored["facts"]["status"]
    assert status["texts"][status["codes"][run]] == "diverged"


def test_seeds_may_be_texts():
    runs = synthetic.runs(models=("a",), methods=("full",), seeds=(0, 1)).astype({"seed": object})
    runs["seed"] = runs["seed"].map({0: "0", 1: "run-7"})
    assert run_data.of_runs(runs)["seed"] == ["0", "run-7"]


def test_learning_curves_are_in_the_order_of_the_runs():
    shape = {"models": ("a", "b"), "methods": ("full",), "seeds": (0, 1)}
    runs, history = synthetic.runs(**shape), synthetic.history(**shape, epochs=3)
    stored = run_data.of_history(history.sample(frac=1, random_state=0).sort_values("epoch"), runs)
    assert stored["names"] == ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
    first = history.groupby(RUN, sort=False).first()
    for key, curve in zip(
        runs.drop_duplicates(RUN)[RUN].itertuples(index=False, name=None), stored["curves"], strict=True
    ):
        assert curve[0] == [0, 1, 2, 3]
        assert abs(curve[1][0] - first.loc[key, "train_loss"]) < 1e-5


def test_curves_that_are_too_many_are_left_out(monkeypatch):
    monkeypatch.setattr(run_data, "MOST_CURVE_VALUES", 10)
    assert run_data.of_history(synthetic.history(models=("a",)), synthetic.runs(models=("a",))) is None


def test_confusion_counts_name_class_and_prediction():
    runs = synthetic.runs(models=("a",), methods=("full",), seeds=(0,))
    rows = [("0", "1", 3.0), ("1", "1", 7.0), ("0", "0", 0.0)]
    table = pd.DataFrame(rows, columns=["class", "predicted", "value"])
    table = table.assign(model="a", task="digits", method="full", seed=0, phase="after", split="test")
    assert run_data.of_confusion(table, runs) == {"classes": ["0", "1"], "counts": [[0, 1, 3, 1, 1, 7]]}


def test_the_primary_metric_of_each_task():
    facts = run_data.of_metrics(synthetic.runs())
    assert facts["primary"] == {"digits": "accuracy"}
    assert facts["metrics"]["nll"]["higher"] is False
