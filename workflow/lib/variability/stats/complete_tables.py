"""Complete part of a table of candidates and tasks that has holes."""

from __future__ import annotations

import numpy as np

#: Tasks are left out only where fewer than this share of the candidates have all of them.
SHARE = 0.5
#: Fewest candidates that can be compared, and fewest tasks that are more than one.
FEWEST = 2


def select(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of tasks and candidates that leave no missing value in present (tasks, candidates).

    Tasks come first, because tests over tasks count them: all tasks are retained, and the candidates that have every
    one of them, if these are at least SHARE of the candidates and at least FEWEST. Otherwise candidates are set aside
    one at a time, until no more than these remain: the one whose holes cost most. A hole of a task that k of the
    remaining candidates lack costs 2^-k, because the task is regained only when all of them are set aside. At a tie the
    last. Tasks are then those that all the remaining candidates have, and candidates all that have these tasks. If that
    leaves fewer than FEWEST tasks, as where groups of candidates have tasks of their own, see ``_most_tasks``. Tasks
    and candidates without any value never count.
    """
    tasks, candidates = (np.flatnonzero(present.any(axis=axis)) for axis in (1, 0))
    needed = min(len(candidates), max(FEWEST, int(np.ceil(SHARE * len(candidates)))))
    missing = ~present[np.ix_(tasks, candidates)]
    remaining = np.arange(len(candidates))
    while len(remaining) > needed:
        holes = missing[:, remaining]
        costs = 0.5 ** holes.sum(axis=1) @ holes
        if not costs.any():
            break
        remaining = np.delete(remaining, len(remaining) - 1 - costs[::-1].argmax())
    complete = ~missing[:, remaining].any(axis=1)
    if complete.sum() < FEWEST:
        others = _most_tasks(present)
        if len(others[0]) > complete.sum() or not complete.any():
            return others
    return tasks[complete], candidates[~missing[complete].any(axis=0)]


def _most_tasks(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most tasks that two candidates have in common, and every candidate that has these.

    Of several such sets of tasks, the one that most candidates have; at a tie, the one with the first tasks.
    """
    first, second = np.triu_indices(present.shape[1], 1)
    common = (present[:, first] & present[:, second]).T
    if not common.any():
        return np.arange(0), np.arange(0)
    sets = np.unique(common[common.sum(axis=1) == common.sum(axis=1).max()], axis=0)[::-1]
    having = sets.astype(int) @ present.astype(int) == sets.sum(axis=1, keepdims=True)
    best = having.sum(axis=1).argmax()
    return np.flatnonzero(sets[best]), np.flatnonzero(having[best])
