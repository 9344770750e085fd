"""One mistake is one problem of a config, however much follows from it."""

import pytest
from edited_config import GOOD, METHOD, MODEL, problems, put


def renamed(axis, old, new):
    def edit(config):
        config[axis] = {new if name == old else name: entry for name, entry in config[axis].items()}

    return edit


def referring(edit):
    """Return an edit of a config in which three selections name an entry, and both seeds."""

    def both(config):
        exclude = [{"model": MODEL, "method": METHOD, "seed": [0, 1]}, {"method": METHOD, "seed": [0, 1]}]
        config["grid"] = {"exclude": exclude}
        config["overrides"] = [{"model": MODEL, "method": METHOD, "recipe": {"epochs": 3}}]
        edit(config)

    return both


@pytest.mark.parametrize(
    ("edit", "start"),
    [
        (put("seeds", [0, 0]), "seeds: seed 0 is listed twice"),
        (put("seeds", ["a", 1]), "seeds.0: 'a' is not a whole number"),
        (renamed("models", MODEL, MODEL + "x"), f"overrides.0.model, grid.exclude.0.model: {MODEL!r} matches nothing"),
        (renamed("methods", METHOD, METHOD + "x"), f"methods.{METHOD}x: unknown method"),
        (put("tasks/digits/split/test", 5000), "tasks.digits.split.test: requests 5000 examples"),
        (put(f"models/{MODEL}", 5), f"models.{MODEL}: 5 is not a mapping"),
        (put(f"methods/{METHOD}", 5), f"methods.{METHOD}: 5 is not allowed here"),
        (put(f"models/{MODEL}/provder", "timm"), f"models.{MODEL}.provder: unknown key"),
    ],
)
def test_one_mistake_is_one_problem_however_often_its_name_occurs(edit, start):
    (problem,) = problems(referring(edit))
    assert problem.startswith(start), problem


def test_seeds_that_a_selection_names_in_vain_are_one_problem():
    config = put("grid", {"exclude": [{"seed": [7, 8, 9]}]})
    assert problems(config) == ["grid.exclude.0.seed: 7, 8, 9 are not among the seeds [0, 1]"]


def test_a_refused_pretraining_is_not_also_an_unknown_one():
    def edit(config):
        config["pretraining"] = {"letters": 7}
        for model in config["models"].values():
            model["weights"] = "pretrain:letters"

    message = "7 is not a mapping; write {key: value} with keys of task, seed, recipe"
    assert problems(edit) == [f"pretraining.letters: {message}"]


def test_models_that_name_the_same_unknown_pretraining_are_one_problem():
    def edit(config):
        for model in config["models"].values():
            model["weights"] = "pretrain:lettrs"

    (problem,) = problems(edit)
    assert all(f"models.{name}.weights" in problem for name in GOOD["models"])
