"""Tasks and candidates that are compared over all tasks, and a note on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability.advice import listed, plural
from variability.reporting import display_names
from variability.results.columns import CANDIDATE
from variability.stats import complete_tables

if TYPE_CHECKING:
    import pandas as pd

#: Most names in a note.
NAMED = 8


class CompleteTasks(NamedTuple):
    """Means of the candidates on the tasks of a study, and the part of them without holes.

    means: (tasks, candidates), NaN without a value. complete: the part of it that ``complete_tables.select`` selects.
    others: model and method of the other candidates, and which of the selected tasks they lack, those that lack the
    fewest first. left_out: note on tasks and candidates that are not in ``complete``; empty if all are.
    """

    means: pd.DataFrame
    complete: pd.DataFrame
    others: pd.DataFrame
    left_out: str


def of(runs: pd.DataFrame) -> CompleteTasks:
    """Return the complete part of the runs, which are rows of the primary metric."""
    # Pivoting drops tasks and candidates without any value, which the note must name.
    means = runs.pivot_table(index="task", columns=CANDIDATE, values="value").reindex(
        index=sorted(runs["task"].unique()), columns=runs.groupby(CANDIDATE).size().index
    )
    tasks, candidates = complete_tables.select(means.notna().to_numpy())
    holes = means.iloc[tasks].isna()
    unranked = means.columns.delete(candidates)
    others = unranked.to_frame(index=False).assign(lacks=[_lacking(holes[name]) for name in unranked])
    others = others.iloc[np.argsort([holes[name].sum() for name in unranked], kind="stable")].reset_index(drop=True)
    notes = []
    if names := [f"task {task}" for task in means.index.delete(tasks)]:
        notes.append(f"left out, because results are missing: {listed(names, NAMED)}")
    names = [f"{display_names.candidate(model, method)} on {lacks}" for model, method, lacks in _rows(others)]
    if names:
        notes.append(f"not ranked, because results are missing: {listed(names, NAMED)}")
    return CompleteTasks(means, means.iloc[tasks, candidates], others, "; ".join(notes))


def _rows(table):
    return table.itertuples(index=False, name=None)


def _lacking(holes):
    """Return the task that a candidate lacks, or how many. holes: True where it does, by task."""
    lacking = holes.index[holes]
    return lacking[0] if len(lacking) == 1 else f"{len(lacking)} of {plural(len(holes), 'task')}"
