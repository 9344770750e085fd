"""Selections of runs in the config (``{model: resnet*, seed: [0, 1]}``)."""

import fnmatch
from collections.abc import Mapping
from typing import Any


def selects(grid: Mapping[str, Any], model: str, task: str, method: str, seed: int) -> bool:
    """Return whether ``grid`` ({include, exclude}: lists of selections) selects a run."""
    include, exclude = grid.get("include"), grid.get("exclude", [])
    included = include is None or any(matches(entry, model, task, method, seed) for entry in include)
    return included and not any(matches(entry, model, task, method, seed) for entry in exclude)


def matches(selection: Mapping[str, Any], model: str, task: str, method: str, seed: int | None = None) -> bool:
    """Return whether a selection matches a run, or, without a seed, a cell; a key that is left out matches all."""
    for key, value in (("model", model), ("task", task), ("method", method)):
        if key in selection and not any(matches_name(value, pattern) for pattern in as_list(selection[key])):
            return False
    return seed is None or "seed" not in selection or seed in as_list(selection["seed"])


def matches_name(name: str, pattern: str) -> bool:
    """Return whether a pattern is this name, brackets included, or matches it as in a shell."""
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def as_list(value: Any) -> list:
    """Return a value that the config may give alone or in a list as a list."""
    return value if isinstance(value, list) else [value]
