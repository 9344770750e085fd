"""The cells of a task as matrices, and which of their runs are pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability.reporting.analyses import _cells
from variability.results.columns import STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd

CANDIDATE = ["model", "method"]
#: Why runs of two cells are pairs, the first that holds; the words stand in tables.
UNPAIRED = "none"
OF_NETWORK = "same network, equal streams"
OF_SPLIT = "same split of the data"
AS_TOLD = "equal seeds, as the option says"


class Cells(NamedTuple):
    """The cells of a task in the order of their names, so that nothing depends on the order of the runs.

    names: model and method. matrix: (cells, seeds), NaN where there is no run or no value. packed: the same without
    gaps, by seed. n, n_failed, n_runs: runs with a value, failed ones, all (cells,). codes: for each reason to pair
    (cells, seeds) numbers; two runs of a seed are partners where theirs are equal and not -1.
    """

    names: pd.DataFrame
    matrix: np.ndarray
    packed: np.ndarray
    n: np.ndarray
    n_failed: np.ndarray
    n_runs: np.ndarray
    codes: dict[str, np.ndarray]


def cells_of(runs: pd.DataFrame, told: bool) -> Cells:
    """Of the runs of one task and metric; told: whether imported runs with equal seeds are pairs."""
    groups = runs.groupby(CANDIDATE, sort=True)
    row = groups.ngroup().to_numpy()
    seeds, column = np.unique(runs["seed"].to_numpy(), return_inverse=True)

    def by_seed(entries, missing):
        entries = np.asarray(entries)
        found = np.full((groups.ngroups, len(seeds)), missing, dtype=entries.dtype)
        found[row, column] = entries
        return found

    values = by_seed(runs["value"].astype(float), np.nan)
    split = by_seed(_numbered(runs, ["seed_split"]), -1)
    split[[len(set(each[each >= 0])) < 2 for each in split]] = -1
    imported = runs[STREAM_SEEDS].isna().all(axis=1).to_numpy()
    return Cells(
        names=runs[CANDIDATE].drop_duplicates().sort_values(CANDIDATE, ignore_index=True),
        matrix=values,
        packed=np.take_along_axis(values, np.argsort(np.isnan(values), axis=1, kind="stable"), axis=1),
        n=(~np.isnan(values)).sum(axis=1),
        n_failed=by_seed(_cells.failed(runs), False).sum(axis=1),
        n_runs=by_seed(np.ones(len(runs), dtype=int), 0).sum(axis=1),
        codes={
            OF_NETWORK: by_seed(_numbered(runs, ["model", *STREAM_SEEDS]), -1),
            OF_SPLIT: split,
            AS_TOLD: by_seed(np.where(imported & told, _numbered(runs, ["source"]), -1), -1),
        },
    )


def partners(cells: Cells, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Why the runs of each two cells (a[i], b[i]) are pairs, and of which seeds (pairs of cells, seeds) they are.

    Every run of the smaller cell must have a partner, failed runs included: pairs that failures take apart stay
    pairs, and cells that overlap by chance are none.
    """
    kinds = np.full(len(a), UNPAIRED, dtype=object)
    both = np.zeros((len(a), cells.matrix.shape[1]), dtype=bool)
    wanted = np.minimum(cells.n_runs[a], cells.n_runs[b])
    for kind, codes in cells.codes.items():
        left = np.flatnonzero(kinds == UNPAIRED)
        if (codes < 0).all() or not len(left):
            continue
        equal = (codes[a[left]] == codes[b[left]]) & (codes[a[left]] >= 0)
        complete = equal.sum(axis=1) == wanted[left]
        kinds[left[complete]] = kind
        both[left[complete]] = equal[complete]
    return kinds, both


def _numbered(runs: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """A number for each combination of values, -1 where one of them is missing."""
    return runs.groupby(columns, sort=True).ngroup().fillna(-1).to_numpy().astype(int)
