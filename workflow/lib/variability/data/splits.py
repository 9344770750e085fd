"""Random splits into examples for training, validation and test.

A split is sampled within the partition of that name that the data set ships, or from its training (or unpartitioned)
rows if it ships none. Splits are stratified: classes keep their shares of the pool, by largest remainder, and have at
least one example each if the requested number allows it.

Examples that depend on each other (a group) stay together if several splits are sampled from one pool: otherwise the
test would contain examples that training has half seen. Then whole groups are taken, as many as come nearest to the
requested number.

Examples with equal content are split as one where several splits are sampled from one pool: they have the same random
key, and those that a split leaves are not used by the others. So the numbers of examples are those requested.

Each of the three splits has its own position in ``seeding`` and ranks all rows by random keys of its own, one for each
example id. So a larger split takes rows from another only if both rank the same row first, and a larger training split
contains the smaller one.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from variability import seeding
from variability.advice import plural
from variability.data.split_counts import ORDER, plan, pool_of
from variability.errors import Problem, UserError

#: Marks rows that are neither training nor test yet: ``resample`` distributes them for each run.
POOL = "pool"
#: Partition of rows that no split is sampled from.
LEFT_OUT = "left out"


def check(split: Mapping, sizes: Mapping[str, int]) -> list[Problem]:
    """Return the problems of a split with a data set whose partitions have these sizes ("" for unpartitioned rows)."""
    return plan(split, sizes)[1]


def sample(
    labels: np.ndarray,
    partition: np.ndarray,
    split: Mapping,
    class_names: Sequence[str],
    groups: np.ndarray | None = None,
    contents: np.ndarray | None = None,
) -> np.ndarray:
    """Sample the split of each row with the task's own seed.

    labels: (n,) int. partition: (n,) of str as in ``datasets.Examples``. split: ``train, validation, test`` (a count,
    a fraction of the partition sampled from, "all", "shipped", None for the shipped one or else a tenth), ``seed``,
    ``resample``, ``duplicates``. groups: (n,) int from 0, or None. contents: (n,) row number of the first example with
    the same content, or None. Returns (n,) of "train", "validation", "test", or "" for unused. Raises UserError if more
    is requested than there is, and if a class has no training example.
    """
    names, ids = np.full(len(labels), "", dtype="<U10"), np.arange(len(labels))
    contents = ids if contents is None else contents
    return _fill(names, labels, partition, split, class_names, contents, split["seed"], ORDER, groups)


def stored(names: np.ndarray, partition: np.ndarray, split: Mapping, contents: np.ndarray | None = None) -> np.ndarray:
    """Return the splits to store: those of ``sample``, or with POOL for all rows among which runs sample their own.

    contents: as for ``sample``.
    """
    if not split["resample"]:
        return names
    tested = np.where(names == "test", "test", "").astype("<U10")
    contents = np.arange(len(names)) if contents is None else contents
    sampled_from = np.logical_or.reduce(
        [_free(name, tested, partition, split, contents) for name in ("train", "validation")]
    )
    return np.where(sampled_from, POOL, tested)


def resample(
    labels: np.ndarray,
    partition: np.ndarray,
    stored_names: np.ndarray,
    split: Mapping,
    class_names: Sequence[str],
    contents: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Sample the split of each stored row for one run: the test is unchanged, the rest follows from the run's seed.

    stored_names: (n,) of "test" and POOL, as ``stored`` returned them, without the rows that are "". contents: (n,) id
    of the first example with the same content.
    """
    names = np.where(stored_names == "test", "test", "").astype("<U10")
    return _fill(names, labels, partition, split, class_names, contents, seed, ("validation", "train"), groups)


def quotas(available: np.ndarray, shares: np.ndarray, total: int) -> np.ndarray:
    """Return the number of examples to sample from each class: integers of sum ``total``, none above ``available``.

    available, shares: (classes,) counts of the remaining rows, and of the pool whose proportions are to be preserved.
    Largest remainder; each class with any rows gets at least one if ``total`` suffices. Raises ValueError if total >
    sum(available).
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


def _fill(
    names: np.ndarray,
    labels: np.ndarray,
    partition: np.ndarray,
    split: Mapping,
    class_names: Sequence[str],
    contents: np.ndarray,
    seed: int,
    order: Sequence[str],
    groups: np.ndarray | None,
) -> np.ndarray:
    """Sample the splits in ``order`` from the rows without a name, and return ``names`` with them filled in."""
    sizes = {str(name): int(count) for name, count in zip(*np.unique(partition, return_counts=True), strict=True)}
    counts, problems = plan(split, sizes)
    if problems:
        raise UserError(f"split{'.' if problems[0].key else ': '}{problems[0]}")
    shared = {name: _shares_its_pool(name, counts, sizes) for name in order}
    for name in sorted(order, key=lambda name: (split[name] == "all" and shared[name], ORDER.index(name))):
        pool = np.isin(partition, pool_of(name, partition))
        free = _free(name, names, partition, split, contents)
        if groups is not None and shared[name]:
            count = int(free.sum()) if split[name] == "all" else counts[name]
            names[_whole_groups(labels, free, groups, count, seeding.split(seed, name).generator())] = name
            if counts[name] and name not in names:
                raise UserError(
                    f"split.{name}: nothing is left to sample from, because groups stay together and there are only "
                    f"{len(np.unique(groups[pool]))}; leave out a split, or give the examples their partitions"
                )
            continue
        if counts[name] and not free.any():
            raise UserError(
                f"split.{name}: nothing is left to sample from, because examples of equal content are not split; "
                "request fewer for the other splits, or set duplicates: allow"
            )
        shares = np.bincount(labels[pool], minlength=len(class_names))
        total = min(counts[name], int(free.sum()))
        quota = quotas(np.bincount(labels[free], minlength=len(class_names)), shares, total)
        names[_lowest(labels, free, quota, _keys(seed, name, contents))] = name
    _require_all_classes(names, labels, class_names)
    return names


def _free(name: str, names: np.ndarray, partition: np.ndarray, split: Mapping, contents: np.ndarray) -> np.ndarray:
    """Return a mask of the rows that a split may be sampled from, see ``duplicates.POLICIES``.

    names: (n,) splits of the rows that are sampled already, otherwise "".
    """
    pool, policy = np.isin(partition, pool_of(name, partition)), split.get("duplicates")
    free = pool & (names == "")
    if policy != "allow":
        free &= ~np.isin(contents, contents[pool & (names != "")])
    if policy == "drop" and name != "test":
        free &= ~np.isin(contents, contents[np.isin(names, ORDER[: ORDER.index(name)])])
    return free


def _keys(seed: int, name: str, contents: np.ndarray) -> np.ndarray:
    """Return the random key of each row for a split. Equal contents have the same one."""
    if not len(contents):
        return np.empty(0)
    return seeding.split(seed, name).generator().random(int(contents.max()) + 1)[contents]


def _lowest(labels: np.ndarray, free: np.ndarray, quota: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the free rows with the lowest keys of each class, as many as the class's quota."""
    rows = np.flatnonzero(free)
    rows = rows[np.lexsort((keys[rows], labels[rows]))]
    ends = np.cumsum(np.bincount(labels[rows], minlength=len(quota)))
    starts = np.concatenate(([0], ends[:-1]))
    return np.concatenate([rows[start : start + count] for start, count in zip(starts, quota, strict=True)])


def _shares_its_pool(name: str, counts: Mapping[str, int], partitions: Mapping[str, int]) -> bool:
    """Return whether another requested split is sampled from the same rows."""
    pool = pool_of(name, partitions)
    return any(counts[other] and pool_of(other, partitions) == pool for other in counts if other != name)


def _whole_groups(
    labels: np.ndarray, free: np.ndarray, groups: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the free rows of whole groups, as many as come nearest to ``count``, at least one group.

    All groups are put in a random order in which those of each class (the most frequent in a group) are spread evenly;
    the first ones are taken. So classes keep their shares as far as groups allow, and a larger count adds groups to
    those of a smaller one.
    """
    rows = np.flatnonzero(free)
    if not (count and len(rows)):
        return rows[:0]
    group_ids, index, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    class_counts = np.zeros((len(group_ids), int(labels.max()) + 1), np.int64)
    np.add.at(class_counts, (index, labels[rows]), 1)
    keys = generator.random((int(groups.max()) + 1, 2))[group_ids]
    position = np.empty(len(group_ids))
    majority = class_counts.argmax(axis=1)
    for stratum in np.unique(majority):
        members = np.flatnonzero(majority == stratum)
        members = members[np.argsort(keys[members, 0], kind="stable")]
        before = np.cumsum(sizes[members]) - sizes[members]
        # A random point of the group's stretch of the class, so that the only group of a class may be anywhere.
        position[members] = (before + keys[members, 1] * sizes[members]) / sizes[members].sum()
    order = np.argsort(position, kind="stable")
    taken = order[: int(np.abs(np.cumsum(sizes[order]) - count).argmin()) + 1]
    return rows[np.isin(index, taken)]


def _require_all_classes(names: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Raise UserError if a class has no training example."""
    trained = np.bincount(labels[names == "train"], minlength=len(class_names))
    missing = np.flatnonzero(trained == 0)
    if len(missing):
        shown = ", ".join(repr(class_names[label]) for label in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"split.train: {plural(trained.sum(), 'example leaves', 'examples leave')} {len(missing)} of "
            f"{plural(len(class_names), 'class', 'classes')} without any ({shown}); request more, or remove the "
            "classes that have too few examples for all splits"
        )
