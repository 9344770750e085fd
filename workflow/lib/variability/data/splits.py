"""Which examples train, validate and test.

A split is drawn within the partition a data set ships, or carved from its training (or unpartitioned) rows where
none ships. Every draw is stratified: classes keep their shares of the pool, by largest remainder, and have at least
one example each where the number asked for allows it.

Examples that are not independent of each other (a group) stay together where several splits are drawn from one pool:
else what is tested was half seen in training. Whole groups are taken then, as many as come nearest to what is asked.

Each of the three draws has a position of its own in ``seeding`` and ranks all rows by keys of its own, keyed by
example id. So asking for more of one split takes rows from another only where both want the same row, and asking for
more training examples keeps the ones there were.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from variability import seeding
from variability.errors import Problem, UserError

#: Order of drawing: what is measured comes before what it is measured with.
_ORDER = ("test", "validation", "train")
_HELD_OUT = ("validation", "test")
#: Share of the training examples that validates where nothing is asked for and none are shipped.
LEFT_OPEN = 0.1
#: Rows that are neither training nor test yet: what ``redraw`` deals out again for each run.
POOL = "pool"


def check(split: Mapping, sizes: Mapping[str, int]) -> list[Problem]:
    """Problems of a split with a data set whose partitions have these sizes ("" for unpartitioned rows)."""
    return _plan(split, sizes)[1]


def draw(
    labels: np.ndarray,
    partition: np.ndarray,
    split: Mapping,
    class_names: Sequence[str],
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The split of each row, drawn with the task's own seed: (n,) of "train", "validation", "test", or "" for unused.

    labels: (n,) int. partition: (n,) of str as in ``datasets.Examples``. split: ``train, validation, test`` (a count,
    a fraction of the partition drawn from, "all", "shipped", None for what is shipped or else a tenth), ``seed``,
    ``resample``. groups: (n,) int from 0, or None.
    Raises UserError where more is asked for than there is, and where a class has no training example.
    """
    names, ids = np.full(len(labels), "", dtype="<U10"), np.arange(len(labels))
    return _fill(names, labels, partition, split, class_names, ids, split["seed"], _ORDER, groups)


def stored(names: np.ndarray, partition: np.ndarray, split: Mapping) -> np.ndarray:
    """Of a draw, what must be kept: as it is, or with all that runs may draw from marked POOL if they resample."""
    if not split["resample"]:
        return names
    drawn_from = np.isin(partition, _pool("train", partition)) | np.isin(partition, _pool("validation", partition))
    return np.where((names != "test") & drawn_from, POOL, np.where(names == "test", names, ""))


def redraw(
    labels: np.ndarray,
    partition: np.ndarray,
    kept: np.ndarray,
    split: Mapping,
    class_names: Sequence[str],
    example_ids: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The split of each kept row for one run: test as it stands, training and validation from the run's seed.

    kept: (n,) of "test" and POOL, as ``stored`` returned them, without the rows it dropped.
    """
    names = np.where(kept == "test", "test", "").astype("<U10")
    return _fill(names, labels, partition, split, class_names, example_ids, seed, ("validation", "train"), groups)


def quotas(available: np.ndarray, shares: np.ndarray, total: int) -> np.ndarray:
    """How many of each class to draw: ints that sum to ``total``, none above ``available``.

    available, shares: (classes,) counts of what is left, and of the pool whose proportions are to be kept. Largest
    remainder; each class that has any gets one if ``total`` reaches round. Raises ValueError if total > sum(available).
    """
    if total > available.sum():
        raise ValueError(f"{total} of {available.sum()}")
    ideal = total * shares / max(shares.sum(), 1)
    quota = np.minimum(np.floor(ideal).astype(np.int64), available)
    if total >= (available > 0).sum():
        quota = np.maximum(quota, np.minimum(available, 1))
    while (excess := quota.sum() - total) > 0:
        surplus = np.where(quota > 1, quota - ideal, -np.inf)
        quota[np.argsort(-surplus, kind="stable")[: min(excess, (quota > 1).sum())]] -= 1
    while (missing := total - quota.sum()) > 0:
        room = quota < available
        wanting = np.argsort(-np.where(room, ideal - quota, -np.inf), kind="stable")
        quota[wanting[: min(missing, room.sum())]] += 1
    return quota


def _fill(names, labels, partition, split, class_names, example_ids, seed, order, groups) -> np.ndarray:
    sizes = {str(each): int(count) for each, count in zip(*np.unique(partition, return_counts=True), strict=True)}
    counts, problems = _plan(split, sizes)
    if problems:
        raise UserError(f"split.{problems[0]}")
    for each in sorted(order, key=lambda name: (split[name] == "all", _ORDER.index(name))):
        pool = np.isin(partition, _pool(each, partition))
        free = pool & (names == "")
        if groups is not None and _shares_its_pool(each, counts, sizes):
            asked = int(free.sum()) if split[each] == "all" else counts[each]
            generator = seeding.split(seed, each).generator()
            names[_whole_groups(labels, free, groups, asked, generator)] = each
            if counts[each] and each not in names:
                raise UserError(
                    f"split.{each}: nothing is left to draw from, because groups stay together and there are only "
                    f"{len(np.unique(groups[pool]))}; leave out a split, or give the examples their partitions"
                )
            continue
        shares = np.bincount(labels[pool], minlength=len(class_names))
        quota = quotas(np.bincount(labels[free], minlength=len(class_names)), shares, counts[each])
        names[_lowest(labels, free, quota, _keys(seed, each, example_ids))] = each
    _every_class_trains(names, labels, class_names)
    return names


def _keys(seed: int, name: str, example_ids: np.ndarray) -> np.ndarray:
    if not len(example_ids):
        return np.empty(0)
    return seeding.split(seed, name).generator().random(int(example_ids.max()) + 1)[example_ids]


def _lowest(labels: np.ndarray, free: np.ndarray, quota: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Rows with the lowest keys of each class among the free ones, as many as the class's quota."""
    rows = np.flatnonzero(free)
    rows = rows[np.lexsort((keys[rows], labels[rows]))]
    ends = np.cumsum(np.bincount(labels[rows], minlength=len(quota)))
    starts = np.concatenate(([0], ends[:-1]))
    return np.concatenate([rows[start : start + count] for start, count in zip(starts, quota, strict=True)])


def _shares_its_pool(name: str, counts: Mapping[str, int], partitions) -> bool:
    """Whether another split that is asked for comes from the same rows."""
    pool = _pool(name, partitions)
    return any(counts[other] and _pool(other, partitions) == pool for other in counts if other != name)


def _whole_groups(labels: np.ndarray, free: np.ndarray, groups: np.ndarray, asked: int, generator) -> np.ndarray:
    """Rows of whole groups among the free ones, as many as come nearest to ``asked``, at least one.

    Groups stand in one random order, in which those of each class (the most frequent of a group) are spread evenly; its
    beginning is taken. So classes keep their shares as far as groups allow, and asking for more keeps what there was.
    """
    rows = np.flatnonzero(free)
    if not (asked and len(rows)):
        return rows[:0]
    there, place, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    table = np.zeros((len(there), int(labels.max()) + 1), np.int64)
    np.add.at(table, (place, labels[rows]), 1)
    keys = generator.random((int(groups.max()) + 1, 2))[there]
    position = np.empty(len(there))
    for stratum in np.unique(usual := table.argmax(axis=1)):
        members = np.flatnonzero(usual == stratum)
        members = members[np.argsort(keys[members, 0], kind="stable")]
        before = np.cumsum(sizes[members]) - sizes[members]
        # Somewhere within its stretch of the class, so that a class of one group has its chance of any place.
        position[members] = (before + keys[members, 1] * sizes[members]) / sizes[members].sum()
    order = np.argsort(position, kind="stable")
    taken = order[: int(np.abs(np.cumsum(sizes[order]) - asked).argmin()) + 1]
    return rows[np.isin(place, taken)]


def _pool(name: str, partitions) -> tuple[str, ...]:
    """The partitions a split is drawn from, given those that have rows."""
    return (name,) if name in _HELD_OUT and name in partitions else ("", "train")


def _plan(split: Mapping, sizes: Mapping[str, int]) -> tuple[dict[str, int], list[Problem]]:
    """Examples per split, and what is wrong with that."""
    sizes = {name: size for name, size in sizes.items() if size}
    pools = {name: _pool(name, sizes) for name in _ORDER}
    size = {name: sum(sizes.get(each, 0) for each in pool) for name, pool in pools.items()}
    counts: dict[str, int] = {}
    problems: list[Problem] = []
    for name in sorted(_ORDER, key=lambda name: (split[name] == "all", _ORDER.index(name))):
        asked = split[name]
        if asked is None:
            asked = "shipped" if name in sizes else LEFT_OPEN
        left = max(0, size[name] - sum(counts[other] for other in counts if pools[other] == pools[name]))
        if asked == "all":
            counts[name] = left
            if left < 1:
                problems.append(Problem(name, "asks for all that is left, and nothing is left; ask for a number"))
        elif asked == "shipped":
            counts[name] = size[name]
            if name not in sizes:
                ships = ", ".join(each or "unpartitioned examples" for each in sizes)
                problems.append(Problem(name, f"the data set ships no such split, only {ships}; ask for a number"))
        else:
            counts[name] = int(asked * size[name] + 1e-9) if isinstance(asked, float) else asked
            if isinstance(asked, float) and not counts[name]:
                problems.append(Problem(name, f"{asked:g} of {size[name]} examples is not even one; ask for more"))
        if counts[name] > left:
            problems.append(
                Problem(name, f"asks for {counts[name]} examples and {left} are left to draw from; ask for fewer")
            )
    if counts["train"] < 1:
        problems.append(Problem("train", "leaves nothing to train on; ask for at least one example per class"))
    if split["resample"] and split["test"] == "all" and pools["test"] == pools["train"]:
        problems.append(
            Problem("test", "is all that training leaves, which would change from run to run; ask for a number")
        )
    return counts, problems


def _every_class_trains(names: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    trained = np.bincount(labels[names == "train"], minlength=len(class_names))
    missing = np.flatnonzero(trained == 0)
    if len(missing):
        shown = ", ".join(repr(class_names[label]) for label in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"split.train: {trained.sum()} examples leave {len(missing)} of {len(class_names)} classes without any "
            f"({shown}); ask for more, or take out the classes that have too few "
            "examples for all splits"
        )
