"""Tests of the complete part of tables with holes, by hand."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from variability.stats.complete_tables import select


def table(*tasks):
    """Return presence of candidates (columns) on tasks (rows): ``x`` has a value."""
    return np.array([[mark == "x" for mark in task] for task in tasks])


@pytest.mark.parametrize(
    ("rows", "tasks", "candidates"),
    [
        # Half of the candidates have every task. Without t1, 3 x 4 cells would remain instead of 4 x 2.
        (("xxxx", "xx..", "xxxx", "xxxx"), [0, 1, 2, 3], [0, 1]),
        # One of four is too few. c3, the only one without t2, is set aside, then c2, at a tie the last. Of the tasks
        # that c0 and c1 share, c2 lacks none.
        (("xxxx", "x...", "xxx.", "xxxx"), [0, 2, 3], [0, 1, 2]),
        # Holes of one candidate each: at a tie the last is set aside, until three of five remain.
        ((".xxxx", "x.xxx", "xx.xx", "xxxxx"), [1, 2, 3], [0, 3, 4]),
        # Leaving out the task that most lack until two have the rest would leave two tasks. c0, whose holes cost most,
        # is set aside (1/4 + 1/2 + 1/4), then c1; what the others share remains.
        (("..xx", ".xxx", ".x.x", "xxxx", "x.x."), [0, 1, 3], [2, 3]),
        # Two candidates need each other, and share these tasks.
        (("xx", "x.", ".x", "xx"), [0, 3], [0, 1]),
        # Of three one may have holes.
        (("xxx", "xx.", "xxx"), [0, 1, 2], [0, 1]),
        # A task and a candidate without any value decide nothing.
        (("xx.x", "....", "xx.."), [0, 2], [0, 1]),
        # Three groups of candidates with tasks of their own: no half has a task. Of equal groups the first.
        (("xx....", "xx....", "..xx..", "..xx..", "....xx", "....xx"), [0, 1], [0, 1]),
        # The group with the most tasks remains, and of groups with as many tasks the one with the most candidates.
        (("xx....", "xx....", "..xx..", "..xx..", "..xx..", "....xx", "....xx"), [2, 3, 4], [2, 3]),
        (("xx.....", "xx.....", "..xxx..", "..xxx..", ".....xx", ".....xx"), [2, 3], [2, 3, 4]),
        # No two candidates have a task in common.
        (("x.", ".x"), [], []),
        (("x", "."), [0], [0]),
    ],
)
def test_tasks_are_retained_while_half_of_the_candidates_have_them(rows, tasks, candidates):
    assert [positions.tolist() for positions in select(table(*rows))] == [tasks, candidates]


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_the_remaining_table_is_complete_and_a_complete_table_is_unchanged(present):
    tasks, candidates = select(present)
    assert present[np.ix_(tasks, candidates)].all()
    used, common = present.any(axis=0).sum(), present.T.astype(int) @ present
    np.fill_diagonal(common, 0)
    assert not len(tasks) or len(candidates) >= min(used, 2)
    assert len(tasks) >= min(common.max(initial=0), 2)
    if present.all():
        assert (len(tasks), len(candidates)) == present.shape


def test_scattered_holes_leave_nearly_as_many_tasks_as_any_choice_of_candidates():
    rng, lost = np.random.default_rng(0), []
    for _ in range(40):
        present = rng.random((10, 8)) > 0.2
        best = max(present[:, list(half)].all(axis=1).sum() for half in combinations(range(8), 4))
        lost.append(best - len(select(present)[0]))
    assert max(lost) <= 2 and np.mean(lost) < 0.3
