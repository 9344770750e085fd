"""Test examples on which runs disagree, with the votes of the runs and the examples themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from variability.reporting import display_names, text_format
from variability.results.predictions import Cube, Predictions

#: Most examples of a task that are shown.
SHOWN = 18
#: Largest number of predictions of single runs that the page holds.
MOST_PREDICTIONS = 4_000_000
#: Last ranks of the answers to an example of a ranking, and the answers.
RANKS = {1: "rank 1", 10: "ranks 2 to 10", np.inf: "rank 11 or later"}

#: Largest number of values of an example's answers that are counted; of more, the range is shown.
FEW = 4


class Task(Protocol):
    """The part of ``PreparedTask`` that the page reads."""

    @property
    def class_names(self) -> Sequence[str]:
        """In label order."""
        ...

    @property
    def example_ids(self) -> np.ndarray:
        """int64 (n,)."""
        ...

    @property
    def sources(self) -> Any:
        """(n,): origin of each example."""
        ...

    def previews(self, rows: Sequence[int]) -> list[dict[str, str]]:
        """Return what people look at, by row: {"image": data URI} or {"text": ...}."""
        ...


@dataclass(frozen=True)
class Named:
    """A task of imported runs, of whose examples only the names are known."""

    names: Mapping[int, str]
    classes: Mapping[int, str]

    @property
    def class_names(self) -> list[str]:
        """In label order; a class that no example has and no run predicts has its index."""
        return [self.classes.get(index, str(index)) for index in range(max(self.classes, default=-1) + 1)]

    @cached_property
    def example_ids(self) -> np.ndarray:
        """int64 (n,)."""
        return np.array(sorted(self.names), np.int64)

    @property
    def sources(self) -> list[str]:
        """(n,): names of the examples in the imported file."""
        return [display_names.one_line(self.names[number]) for number in self.example_ids.tolist()]

    def previews(self, rows: Sequence[int]) -> list[dict[str, str]]:
        """Return nothing to look at, by row."""
        return [{} for _ in rows]


def of_tasks(
    predictions: Predictions, tasks: Mapping[str, Task], numbers: Mapping[tuple, int]
) -> dict[str, dict[str, Any]]:
    """Return the test examples by task, of the tasks all of whose runs predicted the same ones.

    numbers: position of each run (model, task, method, seed) on the page.
    """
    budget, parts = MOST_PREDICTIONS, {}
    for task in predictions.tasks:
        cubes = _cubes(predictions, task)
        if not cubes or task not in tasks:
            continue
        size = sum(cube.y_pred.size for cube in cubes) if cubes[0].kind == "classification" else 0
        parts[task] = _of_task(cubes, tasks[task], numbers if size <= budget else None)
        budget -= size if size <= budget else 0
    return {task: part for task, part in parts.items() if part}


def _cubes(predictions: Predictions, task: str) -> list[Cube]:
    """Return the cells of a task whose runs predicted the same examples as those of the first."""
    cubes: list[Cube] = []
    for cell in predictions.cells_of(task):
        try:
            cube = predictions.cube(cell)
        except ValueError:  # the runs have different test examples
            continue
        if cube is None or (cubes and (cube.kind, cube.scored) != (cubes[0].kind, cubes[0].scored)):
            continue
        if not cubes or np.array_equal(cube.example_ids, cubes[0].example_ids):
            cubes.append(cube)
    return cubes


def _of_task(cubes: Sequence[Cube], task: Task, numbers: Mapping[tuple, int] | None) -> dict[str, Any]:
    ids, first = cubes[0].example_ids, cubes[0]
    rows = np.searchsorted(task.example_ids, ids)
    if not np.array_equal(task.example_ids[rows.clip(max=len(task.example_ids) - 1)], ids):
        return {}
    disagreement = np.mean([_disagreement(cube) for cube in cubes], axis=0)
    chosen = np.argsort(-disagreement, kind="stable")[:SHOWN]
    chosen = chosen[disagreement[chosen] > 0]
    names = [*map(str, task.class_names)]
    previews = task.previews(rows[chosen].tolist())
    sources = task.sources
    shown = [
        {"id": int(ids[example]), "source": str(sources[int(rows[example])]), **preview}
        | {"label": _label(first, example, names), "votes": _votes_of_cells(cubes, example, names)}
        for example, preview in zip(chosen, previews, strict=True)
    ]
    for entry, example in zip(shown, chosen, strict=True):
        if not _counted(cubes, example):
            entry["range"] = _range(np.concatenate([cube.y_pred[:, example] for cube in cubes]))
    part = {"cells": [[cube.cell[0], cube.cell[2]] for cube in cubes], "shown": shown}
    part["numbers"] = "answers" if first.scored is None else "scores"
    if first.kind != "classification":
        return part | {"predictions": {}}
    return part | {
        "classes": names,
        "labels": first.y_true.astype(int).tolist(),
        "sources": [str(sources[int(row)]) for row in rows],
        "predictions": None if numbers is None else _of_runs(cubes, numbers),
    }


def _of_runs(cubes: Sequence[Cube], numbers: Mapping[tuple, int]) -> dict[int, str]:
    return {
        numbers[key]: _packed(predicted)
        for cube in cubes
        for key, predicted in zip(((*cube.cell, seed) for seed in cube.seeds.tolist()), cube.y_pred, strict=True)
        if key in numbers
    }


def _disagreement(cube: Cube) -> np.ndarray:
    """Return by example the share of pairs of runs with different classes, or the SD of what is scored (examples,)."""
    runs = len(cube.y_pred)
    if runs < 2:
        return np.zeros(cube.y_pred.shape[1])
    if cube.kind != "classification":
        return np.std(cube.losses, axis=0, ddof=1)
    predicted = cube.y_pred.astype(int)
    equal = np.zeros(predicted.shape[1])
    for label in np.unique(predicted):
        votes = (predicted == label).sum(axis=0)
        equal += votes * (votes - 1)
    return 1 - equal / (runs * (runs - 1))


def _label(cube: Cube, example: int, names: Sequence[str]) -> str | None:
    """Return the true answer; None where every score is as true as any other, or the preview has the item."""
    if cube.scored is not None or cube.kind == "ranking":
        return None
    truth = cube.y_true[example]
    return _name(names, int(truth)) if cube.kind == "classification" else text_format.number(float(truth))


def _votes_of_cells(cubes: Sequence[Cube], example: int, names: Sequence[str]) -> list[list[list[Any]]]:
    if _counted(cubes, example):
        return [_votes(cube, example, names) for cube in cubes]
    return [[[_range(cube.y_pred[:, example]), len(cube.y_pred), None]] for cube in cubes]


def _counted(cubes: Sequence[Cube], example: int) -> bool:
    """Return whether answers to an example can be counted: classes, ranks, or numbers of few values (0 and 1)."""
    if cubes[0].kind in ("classification", "ranking"):
        return True
    return len(np.unique(np.concatenate([cube.y_pred[:, example] for cube in cubes]))) <= FEW


def _votes(cube: Cube, example: int, names: Sequence[str]) -> list[list[Any]]:
    """Return [answer, number of runs, whether it is right] of an example, the most frequent first.

    Right is None for numbers.
    """
    answers = cube.y_pred[:, example]
    right: Sequence[bool | None]
    if cube.kind == "classification":
        classes, counts = np.unique(answers.astype(int), return_counts=True)
        right = (classes == int(cube.y_true[example])).tolist()
        texts = [_name(names, index) for index in classes.tolist()]
    elif cube.kind == "ranking":
        bins, counts = np.unique(np.searchsorted([*RANKS], answers), return_counts=True)
        right, texts = (bins == 0).tolist(), [[*RANKS.values()][index] for index in bins]
    else:
        values, counts = np.unique(answers, return_counts=True)
        right, texts = [None] * len(values), [f"{value:.4g}" for value in values.tolist()]
    order = np.argsort(-counts, kind="stable")
    return [[texts[index], int(counts[index]), right[index]] for index in order]


def _range(answers: np.ndarray) -> str:
    digits = text_format.decimals(float(np.std(answers)))
    return " to ".join(
        dict.fromkeys(text_format.number(float(end), digits=digits) for end in (answers.min(), answers.max()))
    )


def _name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else str(index)


def _packed(predicted: np.ndarray) -> str:
    """Return classes as base64 of little-endian 16-bit numbers."""
    return base64.b64encode(predicted.astype("<u2").tobytes()).decode()
