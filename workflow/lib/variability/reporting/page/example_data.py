"""Test examples on which runs disagree, with the votes of the runs and the examples themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from variability.results.predictions import Cube, Predictions

#: Most examples of a task that are shown.
SHOWN = 18
#: Largest number of predictions of single runs that the page holds.
MOST_PREDICTIONS = 4_000_000


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


def of_tasks(
    predictions: Predictions, tasks: Mapping[str, Task], numbers: Mapping[tuple, int]
) -> dict[str, dict[str, Any]]:
    """Return the test examples by task, of the tasks with predictions of classes that all runs share.

    numbers: position of each run (model, task, method, seed) on the page.
    """
    budget, parts = MOST_PREDICTIONS, {}
    for task in predictions.tasks:
        cubes = _cubes(predictions, task)
        if not cubes or task not in tasks or not cubes[0].discrete:
            continue
        size = sum(cube.y_pred.size for cube in cubes)
        parts[task] = _of_task(cubes, tasks[task], numbers if size <= budget else {})
        budget -= size if size <= budget else 0
    return parts


def _cubes(predictions: Predictions, task: str) -> list[Cube]:
    """Return the cells of a task whose runs predicted the same examples as those of the first."""
    cubes: list[Cube] = []
    for cell in predictions.cells_of(task):
        try:
            cube = predictions.cube(cell)
        except ValueError:  # the runs have different test examples
            continue
        if cube is not None and (not cubes or np.array_equal(cube.example_ids, cubes[0].example_ids)):
            cubes.append(cube)
    return cubes


def _of_task(cubes: Sequence[Cube], task: Task, numbers: Mapping[tuple, int]) -> dict[str, Any]:
    ids, labels = cubes[0].example_ids, cubes[0].y_true.astype(int)
    disagreement = np.mean([_disagreement(cube.y_pred.astype(int)) for cube in cubes], axis=0)
    chosen = np.argsort(-disagreement, kind="stable")[:SHOWN]
    chosen = chosen[disagreement[chosen] > 0]
    rows = np.searchsorted(task.example_ids, ids)
    if not np.array_equal(task.example_ids[rows.clip(max=len(task.example_ids) - 1)], ids):
        return {}
    previews = task.previews(rows[chosen].tolist())
    sources = [str(task.sources[int(row)]) for row in rows]
    shown = [
        {"example": int(example), "flips": round(float(disagreement[example]), 4), **preview}
        | {"votes": [_votes(cube, example) for cube in cubes]}
        for example, preview in zip(chosen, previews, strict=True)
    ]
    runs = {
        numbers[key]: _packed(predicted)
        for cube in cubes
        for key, predicted in zip(((*cube.cell, seed) for seed in cube.seeds.tolist()), cube.y_pred, strict=True)
        if key in numbers
    }
    return {
        "classes": list(map(str, task.class_names)),
        "cells": [[cube.cell[0], cube.cell[2]] for cube in cubes],
        "ids": ids.tolist(),
        "labels": labels.tolist(),
        "sources": sources,
        "shown": shown,
        "predictions": runs,
    }


def _disagreement(predicted: np.ndarray) -> np.ndarray:
    """Return the share of pairs of runs that predict different classes. predicted: (runs, examples)."""
    runs = len(predicted)
    if runs < 2:
        return np.zeros(predicted.shape[1])
    equal = np.zeros(predicted.shape[1])
    for label in np.unique(predicted):
        votes = (predicted == label).sum(axis=0)
        equal += votes * (votes - 1)
    return 1 - equal / (runs * (runs - 1))


def _votes(cube: Cube, example: int) -> list[list[int]]:
    """Return [class, number of runs] of an example, the most frequent first."""
    classes, counts = np.unique(cube.y_pred[:, example].astype(int), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [[int(classes[index]), int(counts[index])] for index in order]


def _packed(predicted: np.ndarray) -> str:
    """Return classes as base64 of little-endian 16-bit numbers."""
    return base64.b64encode(predicted.astype("<u2").tobytes()).decode()
