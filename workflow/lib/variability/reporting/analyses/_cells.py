"""Moments of cells, and the column ``scope``: what varied between the runs of a cell."""

from collections.abc import Sequence

import pandas as pd

from variability.results import run_status
from variability.results.columns import CELL, CELL_VALUE, RUN, STREAM_SEED
from variability.stats import rounding

#: Scope of imported runs.
IMPORTED = "varied: the seed as imported; what else varied or was fixed is not recorded"


def failed(runs: pd.DataFrame) -> pd.Series:
    """Return which rows have no value because the run failed.

    A missing value of a completed run is an undefined metric.
    """
    return runs["value"].isna() & run_status.incomplete(runs)


def moments(runs: pd.DataFrame) -> pd.DataFrame:
    """Return per cell: primary, n, n_failed, n_undefined, mean and sd (ddof 1) over the n runs with a value.

    sd is exactly 0 where all values are equal up to rounding.
    """
    marked = runs.assign(_failed=failed(runs), _missing=runs["value"].isna())
    groups = marked.groupby(CELL_VALUE, sort=False)
    values = groups["value"]
    table = groups.agg(primary=("primary", "first"), n=("value", "count"), n_failed=("_failed", "sum"))
    table["n_undefined"] = groups["_missing"].sum() - table["n_failed"]
    table["mean"] = values.mean()
    equal = rounding.is_rounding(values.max() - values.min(), table["mean"])
    table["sd"] = values.std(ddof=1).mask(equal & (table["n"] > 1), 0.0)
    return table.reset_index()


def constant(cells: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Return per cell: the model declares that no seed changes its values, and they are equal. cells: ``moments``."""
    if "deterministic" not in runs:
        return pd.Series(False, cells.index)
    declared = runs.assign(_constant=runs["deterministic"].eq(True)).groupby(CELL_VALUE)["_constant"].all()
    values = declared.reindex(pd.MultiIndex.from_frame(cells[CELL_VALUE])).to_numpy()
    return values & (cells["n"] > 0) & ~(cells["sd"] > 0)


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the rows of all parts; an empty part does not change the types of the columns."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def with_scope(table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Add the column ``scope``: what varied between the runs of a cell, and what was the same in all of them.

    by: columns of the table that identify the cells of a row; ``["task"]`` for all cells of a task.
    """
    return table.merge(scopes(runs, by), on=list(by), how="left", validate="many_to_one")


def scopes(runs: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Return the columns ``by`` and the ``scope`` of their cells: streams, recipe, software and device.

    A fact counts as varied if it varied within one of the cells; cells differ from one another by definition.
    """
    every_run = runs.drop_duplicates(RUN)
    facts = {column: stream for stream, column in STREAM_SEED.items()}
    facts |= {"recipe_hash": "recipe", "versions": "software", "device": "device"}
    cells = every_run.groupby(CELL, sort=False)
    counts = cells[list(facts)].nunique(dropna=False)
    counts["_pretrained"] = cells["weights"].first() != "none"
    counts["_runs"] = cells["seed"].nunique()
    counts["_imported"] = cells["seed_init"].count() == 0
    largest = (
        counts.reset_index()
        .assign(_all=True)
        .groupby(list(by), sort=False)[[*facts, "_pretrained", "_runs", "_imported"]]
        .max()
    )
    texts = [
        IMPORTED if imported else _sentence(dict(zip(facts.values(), row, strict=True)), pretrained, runs)
        for *row, pretrained, runs, imported in largest.itertuples(index=False)
    ]
    return largest.index.to_frame(index=False).assign(scope=texts)


def scope(runs: pd.DataFrame) -> str:
    """Return the scope of all cells of the runs together."""
    return scopes(runs, ["_all"])["scope"].iloc[0]


def _sentence(counts: dict[str, int], pretrained: bool, runs: int) -> str:
    varied = [fact for fact, count in counts.items() if count > 1]
    fixed = [fact for fact, count in counts.items() if count == 1]
    fixed += ["pretrained weights", "test examples"] if pretrained else ["test examples"]
    if runs == 1:
        return "a single run: nothing varied"
    return f"varied: {', '.join(varied) or 'nothing'}; fixed: {', '.join(fixed)}"
