"""Selections of runs in the config (``{model: resnet*, seed: [0, 1]}``)."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

#: Keys of a selection that hold names or patterns.
AXES = ("model", "task", "method")


class Grid:
    """Runs that ``grid`` ({include, exclude}: lists of selections) selects.

    Each name is compared with each pattern once, and seeds are looked up in sets, because there may be thousands.
    """

    def __init__(self, grid: Mapping[str, Any]):
        include = grid.get("include")
        self._include = None if include is None else _Selections(include)
        self._exclude = _Selections(grid.get("exclude", []))

    def selects(self, model: str, task: str, method: str, seed: int) -> bool:
        """Return whether a run is selected."""
        return bool(self.seeds(model, task, method, (seed,)))

    def seeds(self, model: str, task: str, method: str, seeds: Iterable[int]) -> tuple[int, ...]:
        """Return the seeds of a cell that are selected, in their order."""
        cell = model, task, method
        included, excluded = self._include and self._include.seeds(cell), self._exclude.seeds(cell)
        if excluded is None:
            return ()
        return tuple(seed for seed in seeds if seed not in excluded and (included is None or seed in included))


class _Selections:
    """Selections, any of which may match a run."""

    def __init__(self, entries: Sequence[Mapping[str, Any]]):
        self._entries = entries
        self._seeds = [frozenset(as_list(entry["seed"])) if "seed" in entry else None for entry in entries]
        self._by_name: dict[tuple[str, str], frozenset[int]] = {}

    def seeds(self, cell: tuple[str, str, str]) -> frozenset[int] | None:
        """Return the seeds of a cell that a selection matches; None for all."""
        matching = frozenset.intersection(*map(self._matching, AXES, cell))
        seeds = [of_entry for index in matching if (of_entry := self._seeds[index]) is not None]
        return frozenset().union(*seeds) if len(seeds) == len(matching) else None

    def _matching(self, axis: str, name: str) -> frozenset[int]:
        """Return the indices of the selections that match the name of a model, a task or a method."""
        if (axis, name) not in self._by_name:
            matching = (index for index, entry in enumerate(self._entries) if _matches(entry, axis, name))
            self._by_name[axis, name] = frozenset(matching)
        return self._by_name[axis, name]


def matches(selection: Mapping[str, Any], model: str, task: str, method: str) -> bool:
    """Return whether a selection without seeds matches a cell; a key that is left out matches all."""
    return all(map(_matches, repeat(selection), AXES, (model, task, method)))


def _matches(selection: Mapping[str, Any], axis: str, name: str) -> bool:
    return axis not in selection or any(matches_name(name, pattern) for pattern in as_list(selection[axis]))


def matches_name(name: str, pattern: str) -> bool:
    """Return whether a pattern is this name, brackets included, or matches it as in a shell."""
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def matches_candidate(model: str, method: str, pattern: str) -> bool:
    """Return whether a pattern matches a model, or a candidate in the form ``model (method)``."""
    return matches_name(model, pattern) or matches_name(f"{model} ({method})", pattern)


def as_list(value: Any) -> list:
    """Return a value that the config may give alone or in a list as a list."""
    return value if isinstance(value, list) else [value]
