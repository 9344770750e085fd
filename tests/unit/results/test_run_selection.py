"""Selections of runs by name."""

import fnmatch
import itertools

import numpy as np
import pytest

from variability.results import run_selection
from variability.results.run_selection import Grid, matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("resnet*", "resnet18", True),
        ("mix [a]", "mix [a]", True),
        ("mix [ab]", "mix a", True),
        ("mix [ab]", "mix c", False),
        ("1.1", "1.10", False),
    ],
)
def test_a_pattern_matches_as_in_a_shell_or_is_the_name_itself(pattern, name, expected):
    assert matches({"model": pattern}, name, "t", "m") == expected


MODELS, TASKS, METHODS, SEEDS = ("a1", "a2", "b1"), ("t1", "t2"), ("full", "probe"), (5, 0, 3)


def by_hand(grid, model, task, method, seed) -> bool:
    def matched(entry):
        named = all(
            any(fnmatch.fnmatchcase(name, pattern) for pattern in np.atleast_1d(entry.get(key, "*")))
            for key, name in (("model", model), ("task", task), ("method", method))
        )
        return named and seed in np.atleast_1d(entry.get("seed", list(SEEDS)))

    return any(map(matched, grid.get("include", [{}]))) and not any(map(matched, grid.get("exclude", [])))


@pytest.mark.parametrize("number", range(30))
def test_a_grid_selects_the_runs_that_match_an_included_and_no_excluded_entry(number):
    rng = np.random.default_rng(number)
    values = {"model": ["a*", ["a1", "b1"], "?2", "zz"], "task": ["t1", ["t?"]], "method": ["full", ["probe", "x"]]}
    values["seed"] = [3, [0, 5], [7]]

    def selection():
        keys = rng.choice(list(values), size=rng.integers(1, 4), replace=False)
        return {str(key): values[key][rng.integers(len(values[key]))] for key in keys}

    grid = {
        key: [selection() for _ in range(rng.integers(1, 4))] for key in ("include", "exclude") if rng.random() < 0.7
    }
    selected = Grid(grid)
    for cell in itertools.product(MODELS, TASKS, METHODS):
        expected = tuple(seed for seed in SEEDS if by_hand(grid, *cell, seed))
        assert selected.seeds(*cell, SEEDS) == expected
        assert [selected.selects(*cell, seed) for seed in SEEDS] == [seed in expected for seed in SEEDS]


def test_an_empty_list_of_included_runs_selects_none_and_an_empty_grid_all():
    assert Grid({"include": []}).seeds("a", "t", "m", SEEDS) == ()
    assert Grid({}).seeds("a", "t", "m", SEEDS) == Grid({"exclude": []}).seeds("a", "t", "m", SEEDS) == SEEDS


def test_each_name_is_compared_with_each_pattern_once(monkeypatch):
    compared = []
    monkeypatch.setattr(run_selection, "matches_name", lambda name, pattern: compared.append((name, pattern)) or True)
    grid = Grid({"exclude": [{"model": "a*", "task": "t*", "seed": list(range(100))} for _ in range(5)]})
    for cell in itertools.product(map(str, range(20)), map(str, range(10)), "mn"):
        assert grid.seeds(*cell, range(101)) == (100,)
    assert len(compared) == 5 * (20 + 10)
