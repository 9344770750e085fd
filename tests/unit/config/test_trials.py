"""Trials of a study: which are made, how often, and the keys of their problems."""

import copy

import pytest
import small_config

from variability.config import trials, validate
from variability.errors import ConfigError
from variability.io import library_facts
from variability.io.artefacts import write_record

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Lets a list answer: the requests of each process. The answers are those that ``problem`` gives."""
    batches: list[list[dict]] = []
    monkeypatch.setattr(library_facts, "cache_folder", lambda: tmp_path)

    def ask(program, requests):
        batches.append(requests)
        return [None for _ in requests]

    monkeypatch.setattr(trials, "_ask", ask)
    return batches


def study(**sections):
    return small_config.changed(**sections)


def test_a_network_and_the_methods_that_may_fail_are_tried_once(asked):
    assert list(trials.check(study())) == []
    (requests,) = asked
    # Both models are the same network; tasks have one size and kind. The pretraining trains all of it.
    assert [request["method"] for request in requests] == [None, {"kind": "partial", "blocks": 2}, {"kind": "full"}]
    assert list(trials.check(study())) == []
    assert len(asked) == 1, "answers were not stored"
    larger = copy.deepcopy(small_config.CONFIG["tasks"]) | {"large": {"dataset": "digits", "image": {"size": 64}}}
    list(trials.check(study(tasks=larger)))
    assert [request["size"] for request in asked[1]] == [64, 64]


def test_equal_requests_of_many_tasks_are_prepared_once(asked, monkeypatch):
    prepared = []
    key_of = trials._cache_key
    monkeypatch.setattr(trials, "_cache_key", lambda request: prepared.append(request) or key_of(request))
    tasks = {f"task{number}": {"dataset": "digits", "image": {"size": 32}} for number in range(20)}
    assert list(trials.check(study(tasks=tasks))) == []
    assert prepared == asked[0] and len(prepared) == 3


def test_the_size_of_a_batch_matters_only_if_it_is_one(asked):
    for size in (32, 2, 1):
        method = {"recipe": {"batch_size": size}}
        list(trials.check(study(methods={"full": method}, pretraining={}, models={"a": {"architecture": "resnet18"}})))
    assert [[request["batch"] for request in batch] for batch in asked] == [[2, 2], [1]]


def test_networks_that_several_processes_train_are_tried_for_it(asked, monkeypatch):
    sections = {"pretraining": {}, "models": {"a": {"architecture": "resnet18"}}}
    list(trials.check(study(methods={"full": {"recipe": {"gpus_per_run": 2}}}, **sections)))
    list(trials.check(study(methods={"full": None}, **sections)))
    assert [[request.get("shared") for request in batch] for batch in asked] == [[None, True], [None]]
    problem = {"key": "gpus", "message": "x"}
    monkeypatch.setattr(trials, "_ask", lambda program, requests: [problem for _ in requests])
    monkeypatch.setattr(trials, "_version", lambda name: "2.0")
    (found,) = trials.check(study(methods={"full": None}, **sections))
    assert str(found) == "recipe.gpus_per_run: x (models: a)"


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"recipe": {"batch_size": 1}}, "recipe.batch_size"),
        ({"recipe": {"batch_size": 8, "micro_batch": 1}}, "recipe.micro_batch"),
        ({"methods": {"full": {"recipe": {"batch_size": 1}}}, "recipe": {"lr": 0.1}}, "methods.full.recipe.batch_size"),
        ({"models": {"a": {"architecture": "resnet18", "recipe": {"batch_size": 1}}}}, "models.a.recipe.batch_size"),
        (
            {"overrides": [{"model": "b", "recipe": {"lr": 0.1}}, {"model": "a", "recipe": {"micro_batch": 1}}]},
            "overrides.1.recipe.micro_batch",
        ),
    ],
)
def test_the_key_of_a_batch_is_that_of_the_recipe_that_states_it(asked, monkeypatch, sections, key):
    base = {"pretraining": {}, "models": {"a": {"architecture": "resnet18"}}, "methods": {"full": None}}
    problem = {"key": "batch", "message": "x"}
    answers = lambda program, requests: [problem if request["method"] else None for request in requests]  # noqa: E731
    monkeypatch.setattr(trials, "_ask", answers)
    assert [problem.key for problem in trials.check(study(**base | sections))] == [key]


def test_an_edit_of_the_code_is_tried_again(asked, monkeypatch):
    list(trials.check(study()))
    monkeypatch.setattr(trials, "_version", lambda name: "2.0")
    list(trials.check(study()))
    assert asked[0] == asked[1]


def test_problems_have_the_keys_of_the_config(monkeypatch, tmp_path):
    monkeypatch.setattr(library_facts, "cache_folder", lambda: tmp_path)

    def found(*keys):
        answers = [key and {"key": key, "message": "x"} for key in keys]
        monkeypatch.setattr(trials, "_ask", lambda program, requests: answers)
        monkeypatch.setattr(trials, "_version", lambda name: repr(keys))
        return {str(problem) for problem in trials.check(study())}

    assert found(None, "method", "batch") == {
        "methods.last: x (models: a, b)",
        "pretraining.letters.recipe.batch_size: x (models: a)",
    }
    # A network that cannot compute is one problem, whatever the methods.
    assert found("options.depth", "method", "batch") == {"models.a.options.depth: x", "models.b.options.depth: x"}


@pytest.mark.parametrize(
    "stored", [{}, {"answer": 5}, {"answer": {"key": "method"}}, {"answer": {"key": 1, "message": ""}}]
)
def test_a_stored_answer_of_another_type_is_asked_again(stored, asked, tmp_path):
    list(trials.check(study()))
    for entry in (tmp_path / "trials").iterdir():
        write_record(entry, stored)
    list(trials.check(study()))
    assert asked[0] == asked[1]


def test_a_process_that_fails_refuses_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(library_facts, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(trials.sys, "executable", "/bin/false")
    assert list(trials.check(study())) == []


def test_the_check_of_a_config_reports_them_before_any_job(monkeypatch, tmp_path):
    monkeypatch.setattr(library_facts, "cache_folder", lambda: tmp_path)
    split = {"train": 20, "validation": 20, "test": 20}
    config = {
        "study": "s",
        "seeds": [0, 1],
        "models": {"a": {"architecture": "resnet18"}, "b": {"architecture": "resnet34"}},
        "tasks": {"digits": {"dataset": "digits", "image": {"size": 32}, "split": split}},
        "methods": {"full": {"recipe": {"batch_size": 1}}},
    }
    with pytest.raises(ConfigError) as caught:
        validate.check(config)
    problems = {problem.message: problem.key for problem in caught.value.problems}
    assert set(problems.values()) == {"methods.full.recipe.batch_size"} and len(problems) == 2
    assert any("of resnet34, a BatchNorm" in message and message.endswith("(models: b)") for message in problems)
    assert any((tmp_path / "trials").iterdir())
