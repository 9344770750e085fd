"""Histories of users outside a study as examples of its task, and the items that a recommender ranks first for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from variability import advice
from variability.data.datasets._interactions import Sequences
from variability.data.kinds.ranking import Ranking
from variability.errors import UserError
from variability.training.fit_loop import FitData
from variability.training.frameworks import Framework

if TYPE_CHECKING:
    import torch

_HISTORY = "a history is a list of items, oldest first: predict([[item, item, ...], ...])"
_RATED = "an example is a history with ratings and an item: predict([([(item, rating), ...], item), ...])"


class TopItems(Ranking):
    """Keeps the items with the highest scores in place of the rank of a right item, which new users do not have.

    count: number of items.
    """

    def __init__(self, count: int):
        self._count = count

    def summary(self, outputs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
        """Return (B, 2 count): item numbers, then scores, the highest first; of equal scores the lowest item first."""
        import torch

        ordered, items = outputs.sort(dim=1, descending=True, stable=True)
        count = min(self._count, outputs.shape[1])
        return torch.cat([items[:, :count].to(ordered.dtype), ordered[:, :count]], dim=1)


def recommending(framework: type[Framework], count: int) -> type[Framework]:
    """Return a framework whose predictions are those of ``TopItems``."""

    class Recommending(framework):
        def data(self, seed: int) -> FitData:
            return replace(super().data(seed), kind=TopItems(count))

    return Recommending


def sequences(examples: Sequence[Any], task: Mapping[str, Any]) -> Sequences:
    """Return histories as examples of a task: with a last item, which is not known or whose rating is not.

    Raises UserError naming what is not a history, or an item that the task does not have.
    """
    rates, number = task["facts"]["target"] == "rating", _Numbers(task)
    items, ratings, lengths = [], [], []
    for example in examples:
        history, last = _parts(example, rates)
        items += [number.of(each[0] if rates else each) for each in history] + [number.of(last) if rates else 0]
        ratings += [_rating(each[1]) for each in history] + [0.0] if rates else []
        lengths.append(len(history) + 1)
    ends = np.cumsum(lengths)
    return Sequences(
        labels=np.zeros(len(examples), np.float64 if rates else np.int64),
        class_names=[],
        # Not held out: that an item follows which the user has had is only refused where it is known.
        partition=np.full(len(examples), "train"),
        read=lambda index: examples[index],
        facts={key: task["facts"][key] for key in ("items", "target")},
        items=np.array(items, np.int32),
        ratings=np.array(ratings, np.float32) if rates else None,
        bounds=np.stack([ends - lengths, ends], axis=1),
    )


def top_items(summaries: np.ndarray, task: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Return the columns ``items`` and ``scores``, lists without the items that cannot be recommended."""
    items, scores = np.split(summaries, 2, axis=1)
    names = task.get("label_names") or range(task["facts"]["items"])
    possible = np.isfinite(scores)
    return {
        "items": [[names[int(item)] for item in row[kept]] for row, kept in zip(items, possible, strict=True)],
        "scores": [row[kept].tolist() for row, kept in zip(scores, possible, strict=True)],
    }


class _Numbers:
    """Numbers of items by the names that the data set has for them, or by themselves if it has none."""

    def __init__(self, task: Mapping[str, Any]):
        self._task, self._count = task["name"], task["facts"]["items"]
        self._names = {name: number for number, name in enumerate(task.get("label_names") or [])}

    def of(self, item: Any) -> int:
        """Return the number of an item. Raises UserError for one that the task does not have."""
        if self._names:
            if (number := self._names.get(str(item))) is None:
                known = advice.suggest(item, list(self._names)[:5000])
                raise UserError(f"{item!r} is not an item of {self._task}, or was removed as too rare; {known}")
            return number
        if not isinstance(item, Integral) or not 0 <= int(item) < self._count:
            raise UserError(
                f"{item!r} is not an item of {self._task}, whose items are numbers from 0 to {self._count - 1}"
            )
        return int(item)


def _parts(example: Any, rates: bool) -> tuple[Sequence[Any], Any]:
    if not _is_list(example):
        raise UserError(f"{example!r} is not a history; {_RATED if rates else _HISTORY}")
    if not rates:
        history, last = example, None
    elif len(example) == 2 and _is_list(example[0]) and all(_is_list(each) and len(each) == 2 for each in example[0]):
        history, last = example
    else:
        raise UserError(f"{example!r} has no ratings, or no item to rate; {_RATED}")
    if not len(history):
        raise UserError(f"a history is empty, and nothing is predicted from nothing; {_RATED if rates else _HISTORY}")
    return history, last


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)


def _rating(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{value!r} is not a rating; {_RATED}") from error
