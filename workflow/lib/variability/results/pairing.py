"""Pairs of runs, as the study declares them: runs of different candidates that share what makes them vary.

Runs whose streams are known are recognised as pairs by them. If other runs are pairs, such as those of one fold, only
the user knows, and declares it once for the whole study.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from variability.advice import agree, listed
from variability.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Values of the study's key ``pairing``, and of the column of the runs table.
AUTO, BY_SEED = "auto", "seed"


def by_seed(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs are pairs with all runs of the same task and seed."""
    return (runs["pairing"] == BY_SEED).to_numpy()


def declared(runs: pd.DataFrame, pairing: str) -> pd.DataFrame:
    """Return the runs table with the study's pairing. Raises UserError if runs lack partners."""
    if pairing == BY_SEED:
        keys = runs[["model", "task", "method", "seed"]].drop_duplicates()
        if message := problem(keys.itertuples(index=False, name=None)):
            raise UserError(f"pairing: {message}")
    return runs.assign(pairing=pairing)


def problem_of_labels(labelled: Sequence[str], sources: int) -> str:
    """Return why seeds that are labels cannot be paired; empty if they can.

    labelled: imports with such seeds. sources: number of files, the runs trained here counting as one.
    """
    if not labelled or sources < 2:
        return ""
    return (
        f"the seeds of imports.{labelled[0]} are labels, which are numbered within each file, so equal numbers in "
        "other files are not the same label; write whole numbers as seeds"
    )


def problem(runs: Iterable[tuple[str, str, str, int]]) -> str:
    """Return why runs (model, task, method, seed) cannot be paired by their seeds; empty if they can.

    Every candidate of a task must have the same seeds: a mean over other seeds would not be that of the pairs.
    """
    tasks: dict[str, dict[tuple[str, str], set[int]]] = {}
    for model, task, method, seed in runs:
        tasks.setdefault(task, {}).setdefault((model, method), set()).add(seed)
    for task, candidates in tasks.items():
        every = set().union(*candidates.values())
        for (model, method), seeds in candidates.items():
            if missing := sorted(every - seeds):
                return (
                    f"on task {task}, {model} ({method}) has no run of {agree(len(missing), 'seed', 'seeds')} "
                    f"{listed(missing, 5)}, which other candidates have, so not all runs have partners; add the "
                    "missing runs, leave these seeds out with grid.exclude, or remove `pairing: seed`"
                )
    return ""
