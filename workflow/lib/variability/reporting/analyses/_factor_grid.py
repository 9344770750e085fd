"""Runs as a grid of factors, from which variance components are estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability.reporting.analyses import _factors
from variability.results import varied_streams
from variability.results.columns import STREAM_SEEDS
from variability.stats import variance_components

if TYPE_CHECKING:
    import pandas as pd

CROSS = " x "


class Grid(NamedTuple):
    """Completed runs classified by factors with two levels or more.

    results: (runs,), the metric. codes: (runs, factors), levels as numbers; the levels of a nested factor are numbered
    within each level of the factors above it. above: {factor: the factors that it is nested in}.
    """

    results: np.ndarray
    names: list[str]
    codes: np.ndarray
    above: dict[int, list[int]]

    @property
    def terms(self) -> list[variance_components.Term]:
        """Main effects and interactions of the factors."""
        return variance_components.terms(len(self.names), self.above)

    def label(self, term: variance_components.Term) -> str:
        """Format a term as ``model x method``; factors that another one is nested in are not mentioned."""
        nesting = {outer for factor in term for outer in self.above.get(factor, ())}
        return CROSS.join(self.names[factor] for factor in term if factor not in nesting)

    def cells(self) -> tuple[variance_components.Cells, np.ndarray]:
        """Return the cells, and the number of each run's cell."""
        # A grid of one cell has no factor.
        shape = self.codes.max(axis=0, initial=0) + 1
        flat = np.ravel_multi_index(tuple(self.codes.T), shape) if len(shape) else np.zeros(len(self.codes), dtype=int)
        _, first, cell, counts = np.unique(flat, return_index=True, return_inverse=True, return_counts=True)
        means, _ = self.moments(cell)
        within = np.square(self.results - means[cell]).sum()
        return variance_components.Cells(means, counts, self.codes[first], within), cell

    def moments(self, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance (ddof 1, NaN for a single run) of each cell. cell: number of each run's cell."""
        # Measured from one of the cell's values: equal values then have no spread, free of the rounding error of their
        # mean.
        _, first, counts = np.unique(cell, return_index=True, return_counts=True)
        start = self.results[first]
        means = start + np.bincount(cell, self.results - start[cell]) / counts
        squares = np.bincount(cell, np.square(self.results - means[cell]))
        return means, np.divide(squares, counts - 1, out=np.full(len(counts), np.nan), where=counts > 1)

    def complete(self) -> np.ndarray | None:
        """Return the values with an axis for every factor and one for the runs of a cell; None if the grid has gaps."""
        if not self.codes.shape[1]:
            return self.results
        shape = tuple(self.codes.max(axis=0) + 1)
        counts = np.bincount(np.ravel_multi_index(tuple(self.codes.T), shape), minlength=int(np.prod(shape)))
        if counts.min() != counts.max():
            return None
        order = np.lexsort(self.codes.T[::-1])
        return self.results[order].reshape(*shape, counts[0])


def grid(runs: pd.DataFrame, across: bool) -> Grid:
    """Build the grid of completed runs of one task, or across tasks. runs: as ``_factors.classified`` returns them."""
    columns, inside = _factors.columns(runs, across)
    names = list(columns)
    codes = {name: _numbers(runs[column]) for name, column in columns.items()}
    for name, outers in inside.items():
        groups = runs.groupby([columns[outer] for outer in outers])[columns[name]]
        codes[name] = groups.rank(method="dense").astype(int) - 1
    values = runs["value"].to_numpy(dtype=float)
    numbers = np.column_stack([codes[name] for name in names]) if names else np.zeros((len(runs), 0), dtype=int)
    above = {names.index(name): [names.index(outer) for outer in outers] for name, outers in inside.items()}
    return Grid(values, names, numbers, above)


def _numbers(column: pd.Series) -> pd.Series:
    return column.rank(method="dense").astype(int) - 1


class Pairs(NamedTuple):
    """Runs of declared pairs: each is a cell of its own, and the pair is one more factor, crossed with the others.

    cells: of the runs. term: of the pair. balanced: True if every cell of the grid has a run of every pair.
    """

    cells: variance_components.Cells
    term: variance_components.Term
    balanced: bool


def pairs(runs: pd.DataFrame, grid: Grid) -> Pairs | None:
    """Return the runs with their pairs as a factor; None if no two runs are of one pair, or all are of the same.

    Pairs are within tasks: over several tasks they are nested in the task. runs: those of the grid.
    """
    seeds = runs["seed"].rank(method="dense").astype(int).to_numpy() - 1
    task = [grid.names.index("task")] if "task" in grid.names else []
    of_pair = np.unique(np.column_stack([grid.codes[:, task], seeds]), axis=0, return_inverse=True)[1].ravel()
    if len(set(of_pair)) in (len(runs), 1):
        return None
    codes = np.column_stack([grid.codes, of_pair])
    cells = variance_components.Cells(grid.results, np.ones(len(runs), dtype=int), codes, 0.0)
    complete = grid.complete()
    several = len(runs) // complete.shape[-1] if complete is not None and grid.names else 0
    of_task = len(np.unique(grid.codes[:, task], axis=0)) if task else 1
    balanced = several > 0 and len(set(of_pair)) * several == len(runs) * of_task
    return Pairs(cells, (*task, codes.shape[1] - 1), balanced)


class WithinCells(NamedTuple):
    """Runs of cells within which groups of streams are crossed.

    labels: of the components within cells, the residual last. anova: their analysis of variance. noise: (cells of the
    grid, components), coefficients of the components in number of runs times variance of the cell's mean. n: number of
    runs.
    """

    labels: list[str]
    anova: variance_components.Anova
    noise: np.ndarray
    n: int


def within_cells(runs: pd.DataFrame, grid: Grid, cell: np.ndarray, layout: varied_streams.Layout) -> WithinCells | None:
    """Return the components within cells, from cells in which all combinations completed equally often.

    cell: number of each run's cell. None if there is no such cell, or if streams of some runs are unknown: then the
    components within cells cannot be separated.
    """
    if not layout.crossed or runs[STREAM_SEEDS].isna().any(axis=None):
        return None
    codes = np.column_stack([varied_streams.levels(runs, group) for group in layout.crossed])
    names = [", ".join(group) for group in layout.crossed]
    usable = _crossed(cell, codes)
    if not usable.any():
        return None
    nested = np.column_stack([np.unique(cell[usable], return_inverse=True)[1], codes[usable]])
    above = {factor: [0] for factor in range(1, nested.shape[1])}
    values = Grid(grid.results[usable], [], nested, {}).complete()
    model = variance_components.anova(values, above)
    components = [i for i, term in enumerate(model.terms) if term != (0,)] + [len(model.terms)]
    terms = [tuple(factor - 1 for factor in model.terms[i][1:]) for i in components[:-1]]
    labels = [CROSS.join(names[factor] for factor in term) for term in terms]
    last = CROSS.join(names) if values.shape[-1] == 1 else "rerun"
    if layout.unique:
        last = ", ".join(layout.unique) if last == "rerun" else f"{last}, {', '.join(layout.unique)}"
    # Components between cells do not occur within them, so those within cells are estimated separately.
    anova = variance_components.Anova(
        terms, model.df[components], model.ms[components], model.weights[np.ix_(components, components)]
    )
    noise = np.column_stack([*(_noise(cell, codes[:, list(term)]) for term in terms), np.ones(cell.max() + 1)])
    return WithinCells([*labels, last], anova, noise, int(usable.sum()))


def _crossed(cell: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return which runs belong to cells of the most frequent complete shape, with two or more levels per group."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number in range(cell.max() + 1):
        of_cell = codes[cell == number]
        levels = [np.unique(column, return_inverse=True) for column in of_cell.T]
        shape = tuple(len(values) for values, _ in levels)
        counts = np.bincount(
            np.ravel_multi_index([indices for _, indices in levels], shape), minlength=int(np.prod(shape))
        )
        # A single group that differs in every run cannot be separated from the residual.
        separable = min(shape) > 1 and (len(shape) > 1 or counts[0] > 1)
        if separable and counts.min() == counts.max():
            shapes.setdefault((*shape, int(counts[0])), []).append(number)
    if not shapes:
        return np.zeros(len(cell), dtype=bool)
    return np.isin(cell, max(shapes.values(), key=len))


def _noise(cell: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return per cell the sum of squared numbers of runs with the same levels, over the number of runs."""
    levels, counts = np.unique(np.column_stack([cell, codes]), axis=0, return_counts=True)
    return np.bincount(levels[:, 0], np.square(counts)) / np.bincount(cell)
