"""Cells of a task as matrices, and which of their runs are pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from variability.results import pairing, run_status
from variability.results.columns import CANDIDATE, STREAM_SEEDS
from variability.stats.pair_tests import RunFacts
from variability.stats.rounding import ROUNDING

if TYPE_CHECKING:
    import pandas as pd

#: Reasons why runs of two cells are pairs; the first that applies is used. The words are values of tables.
UNPAIRED = "none"
OF_NETWORK = "same network, equal streams"
OF_SPLIT = "same split of the data"
AS_DECLARED = "equal seeds, as the study declares"


class Cells(NamedTuple):
    """Cells of a task in the order of their names, so that nothing depends on the order of the runs.

    names: model and method. matrix: (cells, seeds), NaN where there is no run or no value. packed: the same without
    gaps, in order of the seeds. n, n_failed, n_runs: (cells,), runs with a value, failed runs, all runs. codes: for
    each reason to pair, (cells, seeds) numbers; two runs of a seed are a pair if their numbers are equal and not -1.
    facts: see ``pair_tests.RunFacts``; held_out is NaN where runs have splits of their own of unknown sizes.
    """

    names: pd.DataFrame
    matrix: np.ndarray
    packed: np.ndarray
    n: np.ndarray
    n_failed: np.ndarray
    n_runs: np.ndarray
    codes: dict[str, np.ndarray]
    facts: RunFacts

    def with_values(self) -> Cells:
        """Return the cells that have a value."""
        chosen = self.n > 0
        arrays = {key: getattr(self, key)[chosen] for key in ("matrix", "packed", "n", "n_failed", "n_runs")}
        codes = {kind: numbers[chosen] for kind, numbers in self.codes.items()}
        facts = self.facts.of(chosen)
        return Cells(names=self.names[chosen].reset_index(drop=True), codes=codes, facts=facts, **arrays)


def cells_of(runs: pd.DataFrame) -> Cells:
    """Build the cells from the runs of one task and metric.

    The column ``separate`` marks runs that are far from the others of their cell, see ``run_flags.with_separate``; none
    without it.
    """
    groups = runs.groupby(CANDIDATE, sort=True)
    row = groups.ngroup().to_numpy()
    seeds, column = np.unique(runs["seed"].to_numpy(), return_inverse=True)

    def by_seed(entries: ArrayLike, missing: float) -> np.ndarray:
        entries = np.asarray(entries)
        matrix = np.full((groups.ngroups, len(seeds)), missing, dtype=entries.dtype)
        matrix[row, column] = entries
        return matrix

    values = by_seed(runs["value"].astype(float), np.nan)
    split = by_seed(_numbered(runs, ["seed_split"]), -1)
    split[[len(set(cell[cell >= 0])) < 2 for cell in split]] = -1
    return Cells(
        names=runs[CANDIDATE].drop_duplicates().sort_values(CANDIDATE, ignore_index=True),
        matrix=values,
        packed=np.take_along_axis(values, np.argsort(np.isnan(values), axis=1, kind="stable"), axis=1),
        n=(~np.isnan(values)).sum(axis=1),
        n_failed=by_seed(runs["value"].isna() & run_status.incomplete(runs), False).sum(axis=1),
        n_runs=by_seed(np.ones(len(runs), dtype=int), 0).sum(axis=1),
        codes={
            OF_NETWORK: by_seed(_numbered(runs, ["model", *STREAM_SEEDS]), -1),
            OF_SPLIT: split,
            AS_DECLARED: by_seed(np.where(pairing.by_seed(runs), column, -1), -1),
        },
        facts=RunFacts(
            constant=_constant(runs, values, row),
            held_out=_held_out(runs, row, split),
            separate=by_seed(runs.get("separate", np.zeros(len(runs), dtype=bool)), False),
        ),
    )


def _constant(runs: pd.DataFrame, values: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return (cells,): the result is declared or known to depend on no seed, and all values are equal."""
    if "deterministic" not in runs:
        return np.zeros(len(values), dtype=bool)
    declared = np.ones(len(values), dtype=bool)
    np.logical_and.at(declared, row, runs["deterministic"].eq(True).to_numpy())
    low, high = np.nanmin(values, axis=1, initial=np.inf), np.nanmax(values, axis=1, initial=-np.inf)
    return declared & (high - low <= ROUNDING * np.abs(high))


def _held_out(runs: pd.DataFrame, row: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Return (cells,): test examples per training example where each run has a split of its own, otherwise 0.

    split: (cells, seeds) numbers of the splits, -1 where it did not vary or is not known. Of k folds k - 1 are for
    training. NaN if the numbers of examples are not known.
    """
    count = len(split)
    folds = np.full(count, np.nan)
    if "folds" in runs:
        np.fmax.at(folds, row, runs["folds"].to_numpy(dtype=float))
    sizes = np.full((2, count), np.nan)
    for size, key in zip(sizes, ("n_test", "n_train"), strict=True):
        if key in runs:
            np.fmax.at(size, row, runs[key].to_numpy(dtype=float))
    share = np.where((sizes > 0).all(axis=0), sizes[0] / np.where(sizes[1] > 0, sizes[1], 1), np.nan)
    of_folds = np.where(folds >= 2, 1 / np.maximum(folds - 1, 1), share)
    own_split = ~np.isnan(folds) | (split >= 0).any(axis=1)
    return np.where(own_split, of_folds, 0.0)


def partners(cells: Cells, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every two cells (a[i], b[i]), why their runs are pairs, and the seeds of these pairs.

    The second is (pairs of cells, seeds). Every run of the smaller cell must have a partner, including failed runs:
    pairs that failures break remain pairs, and cells that overlap by chance are unpaired.
    """
    kinds = np.full(len(a), UNPAIRED, dtype=object)
    paired_seeds = np.zeros((len(a), cells.matrix.shape[1]), dtype=bool)
    required = np.minimum(cells.n_runs[a], cells.n_runs[b])
    for kind, codes in cells.codes.items():
        remaining = np.flatnonzero(kinds == UNPAIRED)
        if (codes < 0).all() or not len(remaining):
            continue
        equal = (codes[a[remaining]] == codes[b[remaining]]) & (codes[a[remaining]] >= 0)
        complete = equal.sum(axis=1) == required[remaining]
        kinds[remaining[complete]] = kind
        paired_seeds[remaining[complete]] = equal[complete]
    return kinds, paired_seeds


def shared_by_all(runs: pd.DataFrame) -> bool:
    """Return True if runs of equal seeds are pairs for all candidates, whatever their networks.

    The study declares it, or the seed determined the split of the data, and in the same way for all candidates.
    """
    if pairing.by_seed(runs).all():
        return True
    split = runs["seed_split"]
    if split.isna().any() or (split == split.iloc[0]).all():
        return False
    return bool((split == split.groupby(runs["seed"]).transform("first")).all())


def kinds(cells: Cells) -> np.ndarray:
    """Return (cells, cells): why the runs of each two cells are pairs."""
    a, b = np.triu_indices(len(cells.names), 1)
    matrix = np.full((len(cells.names), len(cells.names)), UNPAIRED, dtype=object)
    matrix[a, b] = matrix[b, a] = partners(cells, a, b)[0]
    return matrix


def _numbered(runs: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Number each combination of values; -1 where one of them is missing."""
    return runs.groupby(columns, sort=True).ngroup().fillna(-1).to_numpy().astype(int)
