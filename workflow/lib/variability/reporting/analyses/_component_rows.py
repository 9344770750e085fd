"""Runs of one task, or of several, prepared for the rows of ``components``, and what these rows have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from variability.reporting.analyses import _factor_grid
from variability.results import pairing, varied_streams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from variability.stats import variance_components

Row = dict[str, Any]
NOT_ESTIMABLE = "not estimable: "
#: How the note begins that a share depends on the order in which overlapping factors are counted.
OVERLAPS = "overlaps with other factors: "
CONFOUNDED = f"{NOT_ESTIMABLE}in these runs it does not vary independently of the other factors"
#: Component of what runs with equal seeds share, if they are declared as pairs.
PAIR = "pair (equal seeds)"
NOT_SHARED = "what the runs of a pair do not share"
SHARED = "includes what the runs of a pair share, such as their fold"
NO_PARTNER = f"{NOT_ESTIMABLE}it needs two candidates with two seeds that both have"
SINGLE = f"{NOT_ESTIMABLE}no cell has two completed runs, so the seed cannot be separated from it"


class Classified(NamedTuple):
    """Completed runs with their grid, cells, streams and pairs.

    cell: number of each run's cell. within: components within cells, if streams are crossed there. pairs: None if they
    are not declared or cannot be separated. seed: name of the component.
    """

    runs: pd.DataFrame
    grid: _factor_grid.Grid
    cells: variance_components.Cells
    cell: np.ndarray
    layout: varied_streams.Layout
    within: _factor_grid.WithinCells | None
    declared: bool
    pairs: _factor_grid.Pairs | None
    seed: str

    @property
    def single(self) -> bool:
        """True if no cell has two runs, so that the highest interaction cannot be separated from the seed."""
        return not self.cells.df_within


def classify(runs: pd.DataFrame, across: bool) -> Classified | None:
    """Return the completed runs in their grid, None if there are fewer than two. across: True for several tasks."""
    completed = runs[runs["value"].notna()]
    if len(completed) < 2:
        return None
    layout = varied_streams.layout(runs)
    grid = _factor_grid.grid(completed, across)
    cells, cell = grid.cells()
    within = _factor_grid.within_cells(completed, grid, cell, layout)
    declared = bool(pairing.by_seed(completed).any())
    pairs = _factor_grid.pairs(completed, grid) if declared and within is None and cells.df_within else None
    return Classified(completed, grid, cells, cell, layout, within, declared, pairs, seed_name(layout))


def seed_name(layout: varied_streams.Layout) -> str:
    """Return the name of the seed's component, with the streams that varied."""
    return f"seed ({', '.join(stream for group in layout.groups for stream in group)})" if layout.groups else "seed"


def missing(component: str, role: str, reason: str) -> Row:
    """Return a row of a component that cannot be estimated."""
    return {"component": component, "role": role, "estimator": "none", "interval": "none", "note": reason}


def role(grid: Any, term: Any) -> str:
    """Return the role of a term."""
    label = grid.label(term)
    return "pretraining" if label == "pretraining seed" else "interaction" if " x " in label else "factor"


def with_pairs(rows: list[Row], separated: bool, crossed: bool) -> list[Row]:
    """Return the rows with notes on what the runs of a declared pair share, and its row if it cannot be separated."""
    note = NOT_SHARED if separated else SHARED
    noted = [
        row | {"note": "; ".join(filter(None, [row["note"], note]))} if row["role"] in ("seed", "residual") else row
        for row in rows
    ]
    if separated:
        return noted
    reason = f"{NOT_ESTIMABLE}the streams of the seed are crossed" if crossed else NO_PARTNER
    first = next(at for at, row in enumerate(noted) if row["role"] in ("seed", "residual"))
    return [*noted[:first], missing(PAIR, "pair", reason), *noted[first:]]
