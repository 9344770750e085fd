"""Popularity and item-kNN agree with counting by hand and depend only on the data."""

import numpy as np
import pytest

from variability import registry
from variability.config import study
from variability.data import kinds
from variability.data.prepared_task import PreparedTask
from variability.io import files
from variability.stages.prepare import prepare
from variability.training.fit_loop import FitSpec
from variability.training.frameworks import of
from variability.training.frameworks.counting import similarities
from variability.training.input_files import InputFiles

OPTIONS = {"users": 40, "items": 30, "categories": 3, "length": [6, 12]}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walks")
    entry = study.complete_task({"dataset": "category_walks", "options": OPTIONS})
    prepare({"name": "walks"} | entry, None, folder)
    return folder / "task.json"


def entry(architecture, **options):
    return {"name": "m", "provider": "counting", "architecture": architecture, "weights": "none", "options": options}


def fitted(task, model, folder, seed=0):
    framework = of(model)(model, {"name": "full", "kind": "full"}, InputFiles(task), "cpu")
    result = framework.fit(FitSpec(framework.data(seed), {}, seed))
    framework.save_trained(folder / "checkpoint.safetensors", "print")
    rows = {"test": framework.task.rows("test", seed)}
    outputs = {
        phase: outputs for phase, _, outputs in framework.predictions(seed, folder / "checkpoint.safetensors", rows)
    }
    return result, outputs


def histories(task):
    """Return the users' training items, and the history and the answer of each test example."""
    examples = registry.find("datasets", "category_walks")(OPTIONS).load(None)
    read = {
        name: [examples.read(at).tolist() for at in np.flatnonzero(examples.partition == name)]
        for name in ("train", "test")
    }
    return read["train"], [(row[:-1], row[-1]) for row in read["test"]]


def ranks_by_hand(scores, tests):
    results = []
    for row, (history, answer) in zip(scores, tests, strict=True):
        rivals = [item for item in range(len(row)) if item not in history and item != answer]
        results.append(1 + sum(row[item] >= row[answer] for item in rivals))
    return results


def test_popularity_by_hand(task, tmp_path):
    trained, tests = histories(task)
    items = PreparedTask.open(task).facts["items"]
    counts = [sum(item in history for history in trained) for item in range(items)]
    _, outputs = fitted(task, entry("popularity"), tmp_path)
    assert outputs["after"][:, 0].tolist() == ranks_by_hand([counts] * len(tests), tests)


@pytest.mark.parametrize(("neighbours", "shrinkage"), [(100, 0), (3, 5)])
def test_item_knn_by_hand(task, tmp_path, neighbours, shrinkage):
    trained, tests = histories(task)
    items = PreparedTask.open(task).facts["items"]
    users = [{at for at, history in enumerate(trained) if item in history} for item in range(items)]
    alike = np.zeros((items, items))
    for one in range(items):
        for other in range(items):
            if one != other:
                both = len(users[one] & users[other])
                alike[one, other] = both / max((len(users[one]) * len(users[other])) ** 0.5 + shrinkage, 1e-12)
    for one in range(items):
        nearest = sorted(range(items), key=lambda other: (-alike[one, other], other))[:neighbours]
        alike[one, [other for other in range(items) if other not in nearest]] = 0
    scores = [
        [sum(float(np.float32(alike[item, seen])) for seen in history) for item in range(items)] for history, _ in tests
    ]
    _, outputs = fitted(task, entry("item_knn", neighbours=neighbours, shrinkage=shrinkage), tmp_path)
    assert outputs["after"][:, 0].tolist() == ranks_by_hand(scores, tests)


def test_cosine_by_hand():
    from scipy import sparse

    # Items 0 and 1 share one of two and one users; items 0 and 2 share none.
    taken = sparse.csr_array(np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
    results = similarities(taken, neighbours=5, shrinkage=0).toarray()
    assert results == pytest.approx(np.array([[0, 2**-0.5, 0], [2**-0.5, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("architecture", ["popularity", "item_knn"])
def test_before_counting_all_items_are_equal_and_the_correct_one_ranks_last(architecture, task, tmp_path):
    _, outputs = fitted(task, entry(architecture), tmp_path)
    _, tests = histories(task)
    items = PreparedTask.open(task).facts["items"]
    assert outputs["before"][:, 0].tolist() == [items - len(history) for history, _ in tests]


@pytest.mark.parametrize("architecture", ["popularity", "item_knn"])
def test_the_seed_changes_no_bit_and_there_is_one_row_of_history(architecture, task, tmp_path):
    results = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        result, outputs = fitted(task, entry(architecture), tmp_path / str(seed), seed)
        results.append((files.sha256(tmp_path / str(seed) / "checkpoint.safetensors"), outputs["after"].tobytes()))
    assert results[0] == results[1]
    assert (result.status, result.epochs, len(result.history)) == ("completed", 0, 1)
    (row,) = result.history
    assert 0 < row["validation_ndcg_at_10"] < 1 and row["validation_loss"] is None


def test_it_beats_chance(task, tmp_path):
    _, outputs = fitted(task, entry("item_knn"), tmp_path)
    ranking = kinds.find("ranking")
    measured = 1 - ranking.losses(1.0, outputs["after"][:, 0]).mean()
    assert measured > 1.2 * (1 - ranking.losses(1.0, np.arange(1.0, 21.0)).mean())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (entry("popular"), "did you mean 'popularity'"),
        (entry("popularity", neighbours=3), "is for item_knn"),
        (entry("item_knn") | {"weights": "x.safetensors"}, "has no weights"),
    ],
)
def test_wrong_entries_are_reported(model, message):
    problems = registry.find("providers", "counting")(model).check()
    assert any(message in str(problem) for problem in problems)
