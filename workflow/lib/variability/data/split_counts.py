"""Numbers of examples that a config requests for each split, and what is wrong with them."""

from collections.abc import Iterator, Mapping

import numpy as np

from variability.advice import agree, listed, plural
from variability.errors import Problem

#: Order of sampling: the test first, so that the other splits do not influence it.
ORDER = ("test", "validation", "train")
_HELD_OUT = ("validation", "test")
#: Share of the training examples for validation if the config requests none and the data set ships none.
DEFAULT_VALIDATION = 0.1


def pool_of(name: str, partitions: Mapping[str, int] | np.ndarray) -> tuple[str, ...]:
    """Return the partitions from which a split is sampled. partitions: those that have rows."""
    return (name,) if name in _HELD_OUT and name in partitions else ("", "train")


def plan(split: Mapping, sizes: Mapping[str, int]) -> tuple[dict[str, int], list[Problem]]:
    """Return the number of examples of each split, and the problems with them, one for each mistake.

    split: the config's. sizes: examples per partition of the data set ("" for unpartitioned ones). The key of a problem
    is a split, or "" if several splits together request too many.
    """
    sizes = {name: size for name, size in sizes.items() if size}
    pools = {name: pool_of(name, sizes) for name in ORDER}
    size = {name: sum(sizes.get(partition, 0) for partition in of_split) for name, of_split in pools.items()}
    counts: dict[str, int] = {}
    problems: list[Problem] = []
    for name in (name for name in ORDER if split[name] != "all"):
        counts[name], message = _number(split[name], name, size[name], sizes)
        problems += [Problem(name, message)] if message else []
    for of_pool in dict.fromkeys(pools.values()):
        names = [name for name in ORDER if pools[name] == of_pool]
        wrong = list(_excess({name: counts[name] for name in names if name in counts}, size[names[0]]))
        problems += wrong
        for name in (name for name in names if name not in counts):
            # Of several such splits, the first one takes all; where others are wrong, what they leave is not known.
            counts[name] = max(0, size[name] - sum(counts.get(other, 0) for other in names))
            if not (counts[name] or wrong):
                problems.append(Problem(name, _nothing_left([other for other in names if split[other] == "all"])))
        has_problem = wrong or any(problem.key == "train" for problem in problems)
        if "train" in names and not (counts["train"] or has_problem):
            problems.append(Problem("train", "leaves nothing to train on; request at least one example per class"))
    if split["resample"] and split["test"] == "all" and pools["test"] == pools["train"]:
        problems.append(
            Problem("test", "is all that training leaves, which would change from run to run; give a number")
        )
    return counts, problems


def _number(requested: float | str | None, name: str, size: int, sizes: Mapping[str, int]) -> tuple[int, str]:
    """Return the number of examples that a split requests, and what is wrong with it, or nothing.

    size: number of examples that it may be sampled from. sizes: of the partitions that have rows.
    """
    if requested is None:
        requested = "shipped" if name in sizes else DEFAULT_VALIDATION
    if requested == "shipped":
        if name in sizes:
            return size, ""
        shipped = ", ".join(partition or "unpartitioned examples" for partition in sizes)
        # One that is not shipped leaves what it would be sampled from: the others are not to blame.
        return 0, f"the data set ships no such split, only {shipped}; give a number"
    if not isinstance(requested, float):
        return int(requested), ""
    count = int(requested * size + 1e-9)
    return count, "" if count else f"{requested:g} of {plural(size, 'example')} is less than one; request more"


def _excess(counts: Mapping[str, int], size: int) -> Iterator[Problem]:
    """Yield the problems of splits that request more than there is. counts: of those sampled from ``size`` examples."""
    possible = {name: count for name, count in counts.items() if count <= size}
    total = sum(possible.values())
    for name in counts.keys() - possible.keys():
        yield Problem(name, _too_many(counts[name], max(0, size - total)))
    if total > size:
        # The last of the largest: if it alone can be the mistake, it is.
        largest = max(reversed(possible), key=possible.__getitem__)
        if (left := size - (total - possible[largest])) > 0:
            yield Problem(largest, _too_many(possible[largest], left))
        else:
            each = listed((f"{name} {count}" for name, count in possible.items() if count), last=" and ")
            yield Problem(
                "", f"{each} are {plural(total, 'example')}, and there are {size} to sample from; request fewer"
            )


def _too_many(count: int, left: int) -> str:
    is_left = agree(left, "is", "are")
    return f"requests {plural(count, 'example')} and {left} {is_left} left to sample from; request fewer"


def _nothing_left(names: list[str]) -> str:
    if len(names) > 1:
        return "requests all that is left, and another split does, too; give a number"
    return "requests all that is left, and nothing is left; request fewer for the other splits"
