"""A small config that the tests of this folder vary."""

import copy

from variability.config.study import Study

CONFIG = {
    "study": "s",
    "seeds": [0, 1, 2],
    "models": {"a": {"architecture": "resnet18", "weights": "pretrain:letters"}, "b": {"architecture": "resnet18"}},
    "tasks": {
        "digits": {"dataset": "digits", "image": {"size": 32}},
        "letters2": {"dataset": "glyphs", "options": {"target": "case"}, "image": {"size": 32}},
    },
    "methods": {"linear_probe": None, "last": {"kind": "partial", "blocks": 2, "recipe": {"lr": 0.5}}},
    "pretraining": {"letters": {"task": {"dataset": "glyphs", "image": {"size": 32}}, "recipe": {"epochs": 3}}},
    "compute": {"seeds_per_job": 2},
}


def changed(**sections) -> Study:
    """Return the study of CONFIG with other sections."""
    return Study(copy.deepcopy(CONFIG) | sections)
