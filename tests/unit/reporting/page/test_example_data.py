"""Tests of the examples on the page: those on which runs disagree most, with their votes."""

import base64

import numpy as np
import pandas as pd

from variability.reporting.page import example_data
from variability.results import imported_predictions
from variability.results.predictions import Cube, Predictions, RunPredictions, Scored


class Task:
    """A prepared task of three classes."""

    class_names = ("cat", "dog", "owl")
    example_ids = np.array([10, 11, 12, 13])
    sources = ("a.png", "b.png", "c.png", "d.png")

    def previews(self, rows):
        return [{"text": f"row {row}"} for row in rows]


class Ranked(Task):
    """A prepared task of sequences of items, which has no classes."""

    class_names = ()
    example_ids = np.array([10, 11, 12])
    sources = ("user 1", "user 2", "user 3")


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
    assert [(shown["id"], shown["label"]) for shown in stored["shown"]] == [(12, "owl"), (13, "cat")]
    assert stored["shown"][1]["votes"] == [[["dog", 2, False], ["cat", 1, True]]]
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
    assert stored["pets"]["predictions"] is None
    assert stored["pets"]["sources"] == ["a.png", "b.png", "c.png", "d.png"]


def test_disagreement_is_the_share_of_pairs_that_differ():
    rng = np.random.Generator(np.random.PCG64(0))
    predicted = rng.integers(0, 4, (6, 50))
    pairs = [(i, j) for i in range(6) for j in range(i)]
    expected = np.mean([predicted[i] != predicted[j] for i, j in pairs], axis=0)
    cube = Cube(("a", "pets", "full"), np.arange(6), np.arange(50), np.zeros(50), predicted)
    assert np.allclose(example_data._disagreement(cube), expected)


def test_examples_of_imported_runs_have_names_and_labels(tmp_path):
    rows = [
        (seed, example, answer)
        for seed, row in enumerate([[0, 1], [0, 0], [0, 0]])
        for example, answer in enumerate(row)
    ]
    words = ("no", "yes")
    table = pd.DataFrame(
        [
            {"model": "m", "task": "quiz", "method": "full", "seed": seed, "kind": "classification", "phase": "after"}
            | {"split": "test", "example_id": 7 + example, "source": ("q7", "q8\n")[example], "y_true": 1, "classes": 2}
            | {"y_pred": answer, "label": "yes", "answer": words[answer]}
            for seed, example, answer in rows
        ]
    )
    path = tmp_path / imported_predictions.FILE
    complete = table.reindex(columns=[*imported_predictions.COLUMNS])
    imported_predictions.write(complete.assign(probabilities=None), path)
    names = imported_predictions.names(path)["quiz"]
    tasks = {"quiz": example_data.Named(names.sources, names.classes)}
    of_runs = Predictions({}).with_others(imported_predictions.readers(path))
    stored = example_data.of_tasks(of_runs, tasks, {("m", "quiz", "full", 0): 0})["quiz"]
    votes = [[["no", 2, False], ["yes", 1, True]]]
    assert stored["shown"] == [{"id": 8, "source": "q8\u21b5", "label": "yes", "votes": votes}]
    assert stored["classes"] == ["no", "yes"] and stored["sources"] == ["q7", "q8\u21b5"]


def test_ranks_are_votes_for_the_first_ten_and_later(monkeypatch):
    ranks = [[1.0, 1.0, 5.0], [1.0, 11.0, 5.0], [1.0, 12.0, 2.0]]

    def read(phase, split, probabilities):
        for seed, row in enumerate(ranks):
            yield RunPredictions(seed, np.arange(10, 13), np.zeros(3), np.array(row), None, kind="ranking")

    of_runs = Predictions({("m", "pets", "full"): read})
    shown = example_data.of_tasks(of_runs, {"pets": Ranked()}, {})["pets"]["shown"]
    assert [example["id"] for example in shown] == [11, 12], "the first is at rank 1 in all runs"
    assert shown[0]["votes"] == [[["rank 11 or later", 2, False], ["rank 1", 1, True]]]
    assert shown[1]["votes"] == [[["ranks 2 to 10", 3, False]]]
    assert shown[0]["label"] is None


def test_numbers_of_few_values_are_counted_and_others_have_a_range():
    scores = [[0.0, 0.1], [1.0, 0.2], [1.0, 0.3]]

    def read(phase, split, probabilities):
        for seed, row in enumerate(scores * 2):
            shifted = np.array([row[0], row[1] + 0.01 * seed])
            yield RunPredictions(
                seed, np.arange(10, 12), np.zeros(2), shifted, None, None, "scores", Scored("em", True)
            )

    tasks = {"pets": example_data.Named({10: "q10", 11: "q11"}, {})}
    stored = example_data.of_tasks(Predictions({("m", "pets", "full"): read}), tasks, {})["pets"]
    first, second = stored["shown"]
    assert first["votes"] == [[["1", 4, None], ["0", 2, None]]] and "range" not in first
    assert stored["numbers"] == "scores"
    assert second["range"] == "0.100 to 0.350" and second["votes"] == [[["0.100 to 0.350", 6, None]]]
