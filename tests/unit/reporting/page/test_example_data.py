"""Tests of the examples on the page: those on which runs disagree most, with their votes."""

import base64

import numpy as np

from variability.reporting.page import example_data
from variability.results.predictions import Predictions, RunPredictions


class Task:
    """A prepared task of three classes."""

    class_names = ("cat", "dog", "owl")
    example_ids = np.array([10, 11, 12, 13])
    sources = ("a.png", "b.png", "c.png", "d.png")

    def previews(self, rows):
        return [{"text": f"row {row}"} for row in rows]


def predictions(**cells):
    """Return predictions. cells: model -> predicted classes, a row per run."""

    def source(rows):
        def read(phase, split, probabilities):
            truth = np.array([0, 1, 2, 0])
            for seed, row in enumerate(rows):
                yield RunPredictions(seed, Task.example_ids, truth, np.array(row), None)

        return read

    return Predictions({(model, "pets", "full"): source(rows) for model, rows in cells.items()})


def test_the_examples_with_most_disagreement_come_first():
    votes = predictions(a=[[0, 1, 2, 0], [0, 1, 1, 1], [0, 1, 0, 1]])
    stored = example_data.of_tasks(votes, {"pets": Task()}, {})["pets"]
    # Three runs with three classes: all 3 pairs differ; with 2 and 1 votes: 2 of 3 pairs.
    assert [(shown["example"], shown["flips"]) for shown in stored["shown"]] == [(2, 1.0), (3, 0.6667)]
    assert stored["shown"][1]["votes"] == [[[1, 2], [0, 1]]]
    assert [shown["text"] for shown in stored["shown"]] == ["row 2", "row 3"]


def test_examples_on_which_all_runs_agree_are_not_shown():
    assert example_data.of_tasks(predictions(a=[[0, 1, 2, 0]] * 3), {"pets": Task()}, {})["pets"]["shown"] == []


def test_predictions_are_stored_for_every_run():
    votes = predictions(a=[[0, 1, 2, 0]], b=[[2, 2, 2, 2]])
    numbers = {("a", "pets", "full", 0): 5, ("b", "pets", "full", 0): 6}
    stored = example_data.of_tasks(votes, {"pets": Task()}, numbers)["pets"]
    unpacked = {
        run: np.frombuffer(base64.b64decode(text), "<u2").tolist() for run, text in stored["predictions"].items()
    }
    assert unpacked == {5: [0, 1, 2, 0], 6: [2, 2, 2, 2]}


def test_predictions_that_are_too_many_are_left_out(monkeypatch):
    monkeypatch.setattr(example_data, "MOST_PREDICTIONS", 3)
    stored = example_data.of_tasks(predictions(a=[[0, 1, 2, 1]]), {"pets": Task()}, {("a", "pets", "full", 0): 0})
    assert stored["pets"]["predictions"] == {}
    assert stored["pets"]["ids"] == [10, 11, 12, 13]


def test_disagreement_is_the_share_of_pairs_that_differ():
    rng = np.random.Generator(np.random.PCG64(0))
    predicted = rng.integers(0, 4, (6, 50))
    pairs = [(i, j) for i in range(6) for j in range(i)]
    expected = np.mean([predicted[i] != predicted[j] for i, j in pairs], axis=0)
    assert np.allclose(example_data._disagreement(predicted), expected)
