"""Examples with equal content: how they are recognised, kept in one split, and reported.

Contents are numbered: equal examples have the same number, that of the first of them. All of them count as one example
that was listed several times, whatever their labels are.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from variability.advice import agree, plural
from variability.data.splits import POOL
from variability.errors import UserError

#: Values of ``split.duplicates``. group: equal examples stay in one split where the workflow samples it; between
#: partitions that the data set ships they are counted, and refused above MOST. drop: training examples that are also in
#: the test or validation partition are left out, too, and validation examples that are in the test. refuse: none may be
#: in two partitions. allow: they are only counted.
POLICIES = ("group", "drop", "refuse", "allow")
#: Share of a held-out split above which it is a copy. Short texts recur by chance, so that half of a test may be known.
MOST = 0.9
#: Contents and examples that a message lists.
_LISTED = 3
#: (name of the count, split whose examples are counted, splits that hold examples with their content).
_OVERLAPS = (
    ("test_in_training", "test", ("train", POOL)),
    ("validation_in_training", "validation", ("train",)),
    ("test_in_validation", "test", ("validation",)),
)


def number(digests: Sequence[bytes], rows: np.ndarray) -> np.ndarray:
    """Return the content of each row: the number of the first row with the same digest. rows: (n,) int, ascending."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(digest, row) for digest, row in zip(digests, rows.tolist(), strict=True)], int)


def join(groups: np.ndarray, contents: np.ndarray) -> np.ndarray:
    """Return groups in which equal contents are in one group: those that share a content become one.

    groups, contents: (n,) int. A joined group has the lowest number of its parts.
    """
    joined = groups
    while True:
        lowest = np.full(int(contents.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(lowest, contents, joined)
        renamed = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(renamed, groups, lowest[contents])
        if np.array_equal(renamed[groups], joined):
            return joined
        joined = renamed[groups]


def overlaps(names: np.ndarray, contents: np.ndarray) -> dict[str, np.ndarray]:
    """Return masks of the examples whose content is in another split, too, by the name of their count.

    An example is in one mask at most. names: (n,) split of each example, as ``splits.stored`` returned them.
    """
    masks: dict[str, np.ndarray] = {}
    seen = np.zeros(len(names), bool)
    for count, split, others in _OVERLAPS:
        masks[count] = (names == split) & ~seen & np.isin(contents, contents[np.isin(names, others)])
        seen |= masks[count]
    return masks


def report(names: np.ndarray, contents: np.ndarray, labels: np.ndarray, source: Callable[[int], str]) -> dict[str, Any]:
    """Return the counts of equal examples, as plain values; empty if all examples differ.

    names, contents, labels: of all examples that were compared, with the name "" for those that are in no split.
    source: returns the source of one of them. ``examples``: number of examples whose content occurs again,
    ``contents``: of different contents among them, ``contents_with_two_labels``: of those that have several labels.
    ``listed``: sources of a few, those in several splits first.
    """
    _, index, counts = np.unique(contents, return_inverse=True, return_counts=True)
    repeated = counts[index] > 1
    if not repeated.any():
        return {}
    masks = overlaps(names, contents)
    first = np.full(len(counts), -1)
    first[index[::-1]] = np.arange(len(index))[::-1]
    ambiguous = np.unique(contents[labels != labels[first[index]]])
    across = np.unique(contents[np.logical_or.reduce(list(masks.values()))])
    order = dict.fromkeys([*across, *ambiguous, *np.unique(contents[repeated])])
    listed = [[source(int(row)) for row in np.flatnonzero(contents == content)] for content in list(order)[:_LISTED]]
    return {
        "examples": int(repeated.sum()),
        "contents": int((counts > 1).sum()),
        "contents_with_two_labels": len(ambiguous),
        **{name: int(mask.sum()) for name, mask in masks.items()},
        "listed": [sources[: _LISTED + 1] for sources in listed],
    }


def require_separate(policy: str, counted: Mapping[str, Any], sizes: Mapping[str, int], task: str) -> None:
    """Raise UserError if the held-out splits share more content with others than the policy admits.

    counted: what ``report`` returned. sizes: examples per split. task: its name, for the message.
    """
    if policy == "allow" or not counted:
        return
    for split, parts in (
        ("test", {"training": counted["test_in_training"], "validation": counted["test_in_validation"]}),
        ("validation", {"training": counted["validation_in_training"]}),
    ):
        if sum(parts.values()) > (0 if policy == "refuse" else MOST * sizes.get(split, 0)):
            others = " or ".join(name for name, count in parts.items() if count)
            raise UserError(
                f"{task}{': ' * bool(task)}{(shared := sum(parts.values()))} of the "
                f"{plural(sizes[split], f'{split} example')} also {agree(shared, 'occurs', 'occur')} in {others} "
                f"({_listing(counted)}); correct the partitions, or set split.duplicates: drop to leave these out of "
                f"{others}, or allow to use the data unchanged"
            )


def in_words(counted: Mapping[str, Any]) -> list[str]:
    """Return what ``report`` counted as sentences; none if it counted nothing."""
    if not counted:
        return []
    sentences = [
        f"{plural(counted['examples'], 'example has', 'examples have')} the same content as another "
        f"({_listing(counted)})."
    ]
    for count, split, others in _OVERLAPS:
        if counted[count]:
            other = "validation" if others == ("validation",) else "training"
            sentences.append(
                f"{counted[count]} of the {split} examples also {agree(counted[count], 'occurs', 'occur')} in {other}."
            )
    if counted["contents_with_two_labels"]:
        sentences.append(
            f"Several labels are given to the same content: {plural(counted['contents_with_two_labels'], 'time')}."
        )
    return sentences


def _listing(counted: Mapping[str, Any]) -> str:
    """Return the listed examples in words: ``a = b, c in several rows, ...``."""
    shown = [
        " = ".join(sources[:_LISTED]) + (" = ..." if len(sources) > _LISTED else "")
        if len(set(sources)) > 1
        else f"{sources[0]} in several rows"
        for sources in counted["listed"]
    ]
    return ", ".join(shown) + (", ..." if counted["contents"] > len(shown) else "")


def check_partitions(
    policy: str, partition: np.ndarray, examples: Sequence[Hashable], source: Callable[[int], str]
) -> None:
    """Raise UserError if the partitions that a data set ships share more content than the policy admits.

    partition: (n,) of str; rows of none are for training. examples: (n,) in a form in which equal content is equal.
    """
    if policy == "drop":
        return
    names = np.where(partition == "", "train", partition)
    first: dict[Hashable, int] = {}
    contents = np.array([first.setdefault(example, row) for row, example in enumerate(examples)], int)
    counted = report(names, contents, np.zeros(len(contents)), source)
    require_separate(policy, counted, Counter(names.tolist()), "")
