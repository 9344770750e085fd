"""Shared ranks and letters that follow from decisions "a beats b" about every two candidates.

The decisions are simultaneous: the probability of any false one is limited. So are the statements made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class RankLimits(NamedTuple):
    """Limits of the rank of each candidate, (candidates,) integers; 1 is the best."""

    low: np.ndarray
    high: np.ndarray


def rank_limits(beats: np.ndarray) -> RankLimits:
    """Return the best and the worst rank that the decisions leave to each candidate.

    beats: (candidates, candidates), True where the row beats the column. A candidate is behind all that beat it and
    ahead of all that it beats (Mogstad, Romano, Shaikh & Wilhelm, Rev. Econ. Stud. 91 (2024) 476, sect. 3.2): if no
    decision is false, all true ranks are within their limits, for ties from the first to the last rank that they share.
    """
    return RankLimits(1 + beats.sum(axis=0), len(beats) - beats.sum(axis=1))


def tie_groups(beats: np.ndarray, order: Sequence[int]) -> list[list[int]]:
    """Return groups of candidates among which nobody beats anybody.

    Two candidates are in a common group if and only if neither beats the other: a cover of the undecided pairs by
    cliques (Piepho 2004; Gramm et al., Comput. Stat. Data Anal. 52 (2007) 725). Groups are built in the given order,
    each as large as possible, and start with their best member. Where decisions follow the order without exception,
    these are the runs of the order that nothing divides.
    """
    undecided = ~(beats | beats.T)
    positions = {one: at for at, one in enumerate(order)}
    covered = np.zeros(beats.shape, dtype=bool)
    groups = []
    # A candidate is undecided against itself, so each is in a group.
    for position, first in enumerate(order):
        for second in order[position + 1 :]:
            if undecided[first, second] and not covered[first, second]:
                groups.append(_grown([first, second], order, undecided))
                covered[np.ix_(groups[-1], groups[-1])] = True
        if not covered[first].any():
            groups.append([first])
    groups = [sorted(group, key=lambda one: positions[one]) for group in groups]
    return sorted(groups, key=lambda group: [positions[one] for one in group])


def _grown(group, order, undecided):
    """Return a group with all candidates, in order, that are undecided against each of its members."""
    for one in order:
        if one not in group and undecided[one][group].all():
            group = [*group, one]
    return group


def letters(groups: Sequence[Sequence[int]], count: int) -> list[str]:
    """Return the compact letter display: candidates that share a letter are in a common group.

    After z come A to Z, then (53), (54) and so on. count: number of candidates.
    """
    shown = [""] * count
    for number, group in enumerate(groups):
        for one in group:
            shown[one] += _letter(number)
    return shown


def _letter(number: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return alphabet[number] if number < len(alphabet) else f"({number + 1})"


class Ranks(NamedTuple):
    """Limits of the ranks of all candidates, and their letters; (candidates,) each."""

    rank_low: np.ndarray
    rank_high: np.ndarray
    letters: np.ndarray


def of_decisions(a: np.ndarray, b: np.ndarray, beats: np.ndarray, order: np.ndarray, compared: np.ndarray) -> Ranks:
    """Return shared ranks and letters from pairs.

    a, b: (pairs,) candidates; beats: True where a beats b. order: candidates from the best to the worst. compared:
    (candidates,), False for those that cannot be compared with any other: they have no rank and no letter, and the
    others are ranked without them.
    """
    count, ranked = len(order), np.flatnonzero(compared)
    matrix = np.zeros((count, count), dtype=bool)
    matrix[a[beats], b[beats]] = True
    matrix = matrix[np.ix_(ranked, ranked)]
    positions = {int(one): index for index, one in enumerate(ranked)}
    groups = tie_groups(matrix, [positions[int(one)] for one in order if compared[one]])
    low, high, shown = np.full(count, np.nan), np.full(count, np.nan), np.full(count, "", dtype=object)
    low[ranked], high[ranked] = rank_limits(matrix)
    shown[ranked] = letters(groups, len(ranked))
    return Ranks(low, high, shown)
