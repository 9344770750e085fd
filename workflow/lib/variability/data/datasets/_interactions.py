"""Conversion of a log of interactions (user, item, time) to the examples of a recommender, which are sequences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from variability.advice import agree, plural
from variability.data.datasets import Examples
from variability.errors import Problem, UserError

TARGETS = {"next_item": "ranking", "rating": "regression"}

#: Options of every data set of interactions.
OPTIONS: dict[str, dict] = {
    "target": {
        "enum": list(TARGETS),
        "default": "next_item",
        "description": "prediction target: the item that a user takes next, or the user's rating of an item",
    },
    "min_interactions": {
        "type": "integer",
        "minimum": 1,
        "default": 5,
        "description": "of each user and each item; those with fewer are removed until all have enough (k-core)",
    },
    "held_out": {
        "type": "integer",
        "minimum": 1,
        "default": 1,
        "description": "number of each user's last interactions for testing; as many before them are for validation",
    },
    "threshold": {
        "type": "number",
        "description": "ratings below it do not count as interactions (next_item)",
    },
    "repeats": {
        "enum": ["first", "keep"],
        "default": "first",
        "description": "which of a user's interactions with the same item count: the first, or all of them",
    },
}


def check(options: dict[str, Any]) -> Iterator[Problem]:
    """Yield problems with options that would have no effect."""
    if "threshold" in options and options.get("target") == "rating":
        yield Problem("threshold", "says which ratings are interactions, but with target: rating all are; remove it")


@dataclass(frozen=True)
class Log:
    """Interactions, one per row of each array.

    ratings: None if the log has none. catalogue: number of items, numbered from 0, that can be recommended; None if the
    catalogue consists of the items that remain in the log. sources: maps a row of the log as read to its source; rows:
    those rows, None for all in order. names: of the items, by number; None if the numbers are their names.
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    ratings: np.ndarray | None = None
    catalogue: int | None = None
    sources: Callable[[int], str] | None = None
    rows: np.ndarray | None = None
    names: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> "Log":
        """Return the log with some rows only. rows: their indices or a mask."""
        ratings = None if self.ratings is None else self.ratings[rows]
        of_file = np.arange(len(self.users)) if self.rows is None else self.rows
        columns = {name: getattr(self, name)[rows] for name in ("users", "items", "times")}
        return replace(self, **columns, ratings=ratings, rows=of_file[rows])


@dataclass(frozen=True)
class Sequences(Examples):
    """Examples that are slices of one array of interactions, sorted by user and time.

    items: int32 (interactions,), numbered from 0. ratings: float32 (interactions,) or None. bounds: int64 (n, 2) begin
    and end of an example's sequence; its last interaction is the target, which is the label.
    """

    items: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    ratings: np.ndarray | None = None
    bounds: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))


def examples(log: Log, options: dict[str, Any], source: str) -> Sequences:
    """Return the examples of a log: each user's last interactions are for testing, those before them for validation.

    source: name of the data in errors. next_item: a user's training example is the sequence without the held-out
    interactions, all items of which training predicts; each held-out interaction is an example whose sequence is all
    before it (leave one out, Kang and McAuley 2018). rating: each interaction is an example. Interactions of equal time
    stay in the order of the log. Users with fewer than two interactions to train on are removed. Raises UserError if
    nothing is left.
    """
    options = {name: schema.get("default") for name, schema in OPTIONS.items()} | options
    rates = options["target"] == "rating"
    if rates and log.ratings is None:
        raise UserError(f"{source} has no ratings, but target is rating; use target: next_item")
    read, log = log, _filtered(log, options, source)
    order = np.lexsort((np.arange(len(log.users)), log.times, log.users))
    log = log.select(order)
    users, starts, counts = np.unique(log.users, return_index=True, return_counts=True)
    catalogue, items = np.unique(log.items, return_inverse=True)
    if log.catalogue is not None:
        items = log.items
    held_out = options["held_out"]
    bounds, partition, groups = [], [], []
    for split, first, last in _target_positions(counts, held_out, rates):
        # Positions first .. last - 1 of each user are targets.
        targets = np.maximum(last - first, 0)
        position = np.arange(targets.sum()) - np.repeat(np.cumsum(targets) - targets - first, targets)
        begins = np.repeat(starts, targets)
        bounds.append(np.stack([begins, begins + position + 1], axis=1))
        partition.append(np.full(targets.sum(), split, dtype="<U10"))
        groups.append(np.repeat(np.arange(len(users)), targets))
    bounds, groups = np.concatenate(bounds), np.concatenate(groups)
    ratings = None if log.ratings is None else log.ratings.astype(np.float32)
    last, of_file, sources = bounds[:, 1] - 1, log.rows, log.sources
    label = items.astype(np.int64) if log.ratings is None or not rates else log.ratings.astype(np.float64)
    return Sequences(
        labels=label[last],
        class_names=[],
        partition=np.concatenate(partition),
        read=lambda index: items[slice(*bounds[index])],
        groups=groups,
        source=None if sources is None else lambda index: sources(int(of_file[last[index]])),
        remarks=_remarks(read, log, options),
        facts={"items": log.catalogue or len(catalogue), "users": len(users), "target": options["target"]},
        label_names=[] if log.catalogue is not None else _names(log, catalogue),
        items=items.astype(np.int32),
        ratings=ratings if rates else None,
        bounds=bounds,
    )


def _names(log: Log, catalogue: np.ndarray) -> list[str]:
    return [str(name) for name in (catalogue if log.names is None else log.names[catalogue])]


def _remarks(read: Log, log: Log, options: dict[str, Any]) -> tuple[str, ...]:
    """Return what was left out of a log, as sentences. log: what remains of ``read``."""
    if len(log.users) == len(read.users):
        return ()
    used = " and ".join(
        f"{len(np.unique(after))} of {len(np.unique(before))} {noun}"
        for before, after, noun in ((read.users, log.users, "users"), (read.items, log.items, "items"))
    )
    reasons = [
        f"{name}: {options[name]}"
        for name in ("min_interactions", "held_out", "repeats", "threshold")
        if name in options
    ]
    return (
        f"{len(log.users)} of {plural(len(read.users), 'interaction')} {agree(len(log.users), 'is', 'are')} used, of "
        f"{used} ({', '.join(reasons)}).",
    )


def _target_positions(counts: np.ndarray, held_out: int, rates: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each split with the position of every user's first target in it, and the position after the last one."""
    test, validation = counts - held_out, counts - 2 * held_out
    yield "train", np.zeros_like(counts) if rates else validation - 1, validation
    yield "validation", validation, test
    yield "test", test, counts


def _filtered(log: Log, options: dict[str, Any], source: str) -> Log:
    """Return the interactions that count, see OPTIONS."""
    if options.get("threshold") is not None and options["target"] == "next_item":
        if log.ratings is None:
            raise UserError(f"{source} has no ratings to compare with a threshold; remove threshold")
        log = log.select(log.ratings >= options["threshold"])
    if options["repeats"] == "first":
        order = np.lexsort((np.arange(len(log.users)), log.times, log.items, log.users))
        users, items = log.users[order], log.items[order]
        again = np.r_[False, (users[1:] == users[:-1]) & (items[1:] == items[:-1])] if len(order) else np.empty(0, bool)
        log = log.select(np.sort(order[~again]))
    fewest = max(options["min_interactions"], 2 * options["held_out"] + 2)
    while len(log.users):
        enough = np.ones(len(log.users), dtype=bool)
        for column, required in ((log.users, fewest), (log.items, options["min_interactions"])):
            _, index, counts = np.unique(column, return_inverse=True, return_counts=True)
            enough &= counts[index] >= required
        if enough.all():
            return log
        log = log.select(enough)
    raise UserError(
        f"{source}: no user has {plural(fewest, 'interaction')} with items that have {options['min_interactions']}; "
        "lower min_interactions or held_out"
    )
