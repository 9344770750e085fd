"""Noise of the test set against noise of the seeds, as numbers and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from variability.advice import agree, listed, plural
from variability.reporting import primary_rows
from variability.reporting.analyses.test_noise import BEYOND, NOT_TESTED
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

#: Most tasks that a sentence names.
NAMED = 8


def errors(test_noise: pd.DataFrame, spread: pd.DataFrame) -> pd.DataFrame:
    """Return cells with two completed runs or more: CELL, n, and standard errors of the mean, se_test and se_seeds.

    test_noise, spread: tables of these analyses; of ``spread`` the rows of the primary metric.
    """
    scores = test_noise[test_noise["quantity"] == "score"]
    cells = scores[[*CELL, "se"]].rename(columns={"se": "se_test"}).merge(spread[[*CELL, "sd", "n"]], on=CELL)
    cells = cells.assign(se_seeds=cells["sd"] / cells["n"] ** 0.5)
    return cells[(cells["n"] > 1) & cells[["se_test", "se_seeds"]].notna().all(axis=1)].reset_index(drop=True)


def sentence(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return which noise is larger, and, of single runs, how many differences exceed that of the test set.

    tables: ``test_noise`` and ``spread``; empty without the first, or if nothing is known.
    """
    if "test_noise" not in tables:
        return ""
    noise = tables["test_noise"]
    cells = errors(noise, primary_rows.select(tables["spread"])) if "spread" in tables else noise.iloc[:0]
    return " ".join(filter(None, [_larger(cells), _of_single_runs(noise)]))


def _larger(cells):
    if cells.empty:
        return ""
    larger = int((cells["se_test"] > cells["se_seeds"]).sum())
    ratio = (cells["se_test"] / cells["se_seeds"]).median()
    times = f": its standard error is {ratio:.2g} times theirs in the median" if isfinite(ratio) else ""
    return (
        f"The finite test set leaves the mean more open than the seeds do for {larger} of "
        f"{plural(len(cells), 'cell')}{times} (table test_noise)."
    )


def _of_single_runs(noise):
    tested = noise[(noise["quantity"] == "difference") & (noise["verdict"] != NOT_TESTED)]
    tested = tested[(tested["n"] == 1) & (tested["n_reference"] == 1)]
    if tested.empty:
        return ""
    beyond = int((tested["verdict"] == BEYOND).sum())
    exceed = f"{beyond} {agree(beyond, 'exceeds', 'exceed')}"
    tasks = listed(tested["task"].unique(), NAMED, last=" and ")
    return (
        f"Of {plural(len(tested), 'difference')} between candidates with one run (on {tasks}), {exceed} what another "
        "test set would change (table test_noise); other seeds may change them."
    )
