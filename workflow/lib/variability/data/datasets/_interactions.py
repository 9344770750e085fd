"""From a log of who took what, when, to the examples of a recommender: sequences, and how each goes on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from variability.data.datasets import Examples
from variability.errors import Problem, UserError

TARGETS = {"next_item": "ranking", "rating": "regression"}

#: Options of every data set of interactions.
OPTIONS: dict[str, dict] = {
    "target": {
        "enum": list(TARGETS),
        "default": "next_item",
        "description": "what is predicted: which item a user takes next, or how a user rates an item",
    },
    "min_interactions": {
        "type": "integer",
        "minimum": 1,
        "default": 5,
        "description": "of each user and each item; others are left out, again and again until none is left (k-core)",
    },
    "held_out": {
        "type": "integer",
        "minimum": 1,
        "default": 1,
        "description": "each user's last interactions that test; as many before them validate",
    },
    "threshold": {
        "type": "number",
        "description": "ratings below it are no interactions (next_item)",
    },
    "repeats": {
        "enum": ["first", "keep"],
        "default": "first",
        "description": "of a user's interactions with one item the first counts, or all do",
    },
}


def check(options: dict[str, Any]) -> Iterator[Problem]:
    """Options that would have no effect."""
    if "threshold" in options and options.get("target") == "rating":
        yield Problem("threshold", "says which ratings make an interaction; with target: rating all count, take it out")


@dataclass(frozen=True)
class Log:
    """Interactions, one per row of each array.

    ratings: None where there are none. catalogue: how many items there are, where they are numbered from 0 and all of
    them can be recommended; None: those that are left in the log make up the catalogue.
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    ratings: np.ndarray | None = None
    catalogue: int | None = None

    def only(self, kept: np.ndarray) -> "Log":
        ratings = None if self.ratings is None else self.ratings[kept]
        return replace(self, users=self.users[kept], items=self.items[kept], times=self.times[kept], ratings=ratings)


@dataclass(frozen=True)
class Sequences(Examples):
    """Examples that are stretches of one array of interactions, each user's in the order of time.

    items: int32 (interactions,), numbered from 0. ratings: float32 (interactions,) or None. bounds: int64 (n, 2) where
    an example's sequence begins and ends; its last interaction is the one that is asked for, which is the label.
    """

    items: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    ratings: np.ndarray | None = None
    bounds: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))


def examples(log: Log, options: dict[str, Any], source: str) -> Sequences:
    """The examples of a log: the last interactions of each user in time test, those before them validate.

    source: names the data in errors. next_item: a user's training example is the sequence without what is held out,
    of which training asks all; each interaction held out is an example whose sequence is all before it (leave one out,
    Kang and McAuley 2018). rating: each interaction is an example. Interactions of equal time stay in the order of the
    log. Users with fewer than two interactions to train on are left out. Raises UserError if nothing is left.
    """
    given = {name: schema.get("default") for name, schema in OPTIONS.items()} | options
    rates = given["target"] == "rating"
    if rates and log.ratings is None:
        raise UserError(f"{source} has no ratings, but target is rating; use target: next_item")
    log = _chosen(log, given, source)
    order = np.lexsort((np.arange(len(log.users)), log.times, log.users))
    log = log.only(order)
    users, starts, counts = np.unique(log.users, return_index=True, return_counts=True)
    left, items = np.unique(log.items, return_inverse=True)
    if log.catalogue is not None:
        items = log.items
    held = given["held_out"]
    bounds, partition, groups = [], [], []
    for split, first, last in _stretches(counts, held, rates):
        # Positions first .. last - 1 of each user are asked for.
        asked = np.maximum(last - first, 0)
        within = np.arange(asked.sum()) - np.repeat(np.cumsum(asked) - asked, asked) + np.repeat(first, asked)
        begins = np.repeat(starts, asked)
        bounds.append(np.stack([begins, begins + within + 1], axis=1))
        partition.append(np.full(asked.sum(), split, dtype="<U10"))
        groups.append(np.repeat(np.arange(len(users)), asked))
    bounds, groups = np.concatenate(bounds), np.concatenate(groups)
    ratings = None if log.ratings is None else log.ratings.astype(np.float32)
    label = log.ratings.astype(np.float64) if rates else items.astype(np.int64)
    return Sequences(
        labels=label[bounds[:, 1] - 1],
        class_names=[],
        partition=np.concatenate(partition),
        read=lambda index: items[slice(*bounds[index])],
        groups=groups,
        facts={"items": log.catalogue or len(left), "users": len(users), "target": given["target"]},
        items=items.astype(np.int32),
        ratings=ratings if rates else None,
        bounds=bounds,
    )


def _stretches(counts: np.ndarray, held: int, rates: bool):
    """For every split the first position of each user that is asked for, and the one after the last."""
    test, validation = counts - held, counts - 2 * held
    yield "train", np.zeros_like(counts) if rates else validation - 1, validation
    yield "validation", validation, test
    yield "test", test, counts


def _chosen(log: Log, given: dict[str, Any], source: str) -> Log:
    """What counts of a log: see OPTIONS."""
    if given.get("threshold") is not None and given["target"] == "next_item":
        if log.ratings is None:
            raise UserError(f"{source} has no ratings that a threshold could be for; take threshold out")
        log = log.only(log.ratings >= given["threshold"])
    if given["repeats"] == "first":
        order = np.lexsort((np.arange(len(log.users)), log.times, log.items, log.users))
        users, items = log.users[order], log.items[order]
        again = np.r_[False, (users[1:] == users[:-1]) & (items[1:] == items[:-1])] if len(order) else np.empty(0, bool)
        log = log.only(np.sort(order[~again]))
    least = max(given["min_interactions"], 2 * given["held_out"] + 2)
    while len(log.users):
        enough = np.ones(len(log.users), dtype=bool)
        for column, wanted in ((log.users, least), (log.items, given["min_interactions"])):
            _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
            enough &= counts[place] >= wanted
        if enough.all():
            return log
        log = log.only(enough)
    raise UserError(
        f"{source}: no user has {least} interactions with items of {given['min_interactions']}; "
        "lower min_interactions or held_out"
    )
