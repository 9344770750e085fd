"""Rows of the table ``overall`` about candidates that lack one of its tasks, and so have no rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.reporting.analyses import _all_tasks
from variability.reporting.equivalent_pairs import NOT_RANKED
from variability.results.columns import CANDIDATE
from variability.stats import over_tasks

if TYPE_CHECKING:
    import pandas as pd

#: Columns that such a row has in common with the pairs of the candidate that is ahead.
COMMON = [
    *("over", "model", "method", "unit", "n", "n_failed", "rank_low", "rank_high", "letters", "interval", "level"),
    *("leader", "leader_method", "is_best", "ties_for_first", "candidates", "tasks", "groups", "all_tasks", "left_out"),
    *("ddof", "scope"),
]
ESTIMATOR = "mean over tasks of the difference of means"


def added(pairs: pd.DataFrame, every: _all_tasks.AllTasks, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of ranked candidates, and below them the one that is ahead against each of the others.

    The difference is over the tasks that both have, with its interval and without a test. runs: of all candidates.
    """
    import pandas as pd

    if every.others.empty:
        return pairs
    first = pairs.iloc[0]
    leader = (first["leader"], first["leader_method"])
    counts = _all_tasks.counts_of_runs(runs, every.tasks, every.others)
    rows = []
    for one, of_runs in zip(every.others.itertuples(), counts.itertuples(), strict=True):
        row = first[COMMON].to_dict() | {"model_b": one.model, "method_b": one.method, "letters_b": ""}
        row |= {"n_b": of_runs.n, "n_failed_b": of_runs.n_failed, "estimator": ESTIMATOR}
        row |= {"tests": 0, "resamples": 0}
        row |= {"decision": NOT_RANKED, "note": f"no result on {one.lacks}"}
        rows.append(row | _difference(runs, leader, (one.model, one.method), first["level"]))
    return pd.concat([pairs, pd.DataFrame(rows)], ignore_index=True)


def _difference(runs, leader, other, level):
    """Return the difference leader minus other, its interval, and the numbers of tasks."""
    pair = _all_tasks.collect(runs, [leader, other])
    if pair is None:
        return dict.fromkeys(("wins", "ties", "losses", "n_tasks"), 0)
    a = np.array([pair.names[CANDIDATE].apply(tuple, axis=1).tolist().index(leader)])
    b = 1 - a
    values = pair.differences[a, b]
    n, se = (~np.isnan(values)).sum(axis=1), over_tasks.standard_error(values)
    difference = np.nanmean(values)
    (half,) = _all_tasks.half_widths(pair, a, b, n, se, 0.5 + level / 2)
    return {
        **{"difference": difference, "se": se[0], "low": difference - half, "high": difference + half},
        **{"wins": (values > 0).sum(), "ties": (values == 0).sum(), "losses": (values < 0).sum(), "n_tasks": n[0]},
    }
