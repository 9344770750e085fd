"""Complete part of a table of candidates and tasks that has holes."""

from __future__ import annotations

import numpy as np

#: A task is left out only where fewer than this share of the candidates would otherwise be complete.
SHARE = 0.5
FEWEST = 2


def select(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of tasks and candidates that leave no missing value in present (tasks, candidates).

    Tasks come first, because tests over tasks count them: all tasks are retained, and the candidates that have every
    one of them, if these are at least SHARE of the candidates and at least FEWEST. Otherwise the task that most
    candidates lack is left out, at a tie the first, until they are. Tasks and candidates without any value never count.
    """
    tasks, candidates = (np.flatnonzero(present.any(axis=axis)) for axis in (1, 0))
    needed = min(len(candidates), max(FEWEST, int(np.ceil(SHARE * len(candidates)))))
    while len(tasks):
        missing = ~present[np.ix_(tasks, candidates)]
        complete = ~missing.any(axis=0)
        if complete.sum() >= needed:
            return tasks, candidates[complete]
        tasks = np.delete(tasks, missing.sum(axis=1).argmax())
    return tasks, candidates[:0]
