"""What analyses share: the moments of a cell, and the words for what varied in it."""

from collections.abc import Sequence

import pandas as pd

from variability.results.columns import CELL, CELL_VALUE, RUN, STREAM_SEED

#: The scope of runs from elsewhere.
IMPORTED = "varied: the seed as imported; what else varied or was fixed is not recorded"


def failed(runs: pd.DataFrame) -> pd.Series:
    """Which rows have no value because the run failed; NaN of a completed run is a metric that is undefined."""
    return runs["value"].isna() & (runs["status"] != "completed")


def moments(runs: pd.DataFrame) -> pd.DataFrame:
    """Per cell: primary, n, n_failed, n_undefined, mean and sd (ddof 1) over the n runs that have a value.

    sd is exactly 0 where all values are equal, free of the rounding of their mean.
    """
    marked = runs.assign(_failed=failed(runs), _missing=runs["value"].isna())
    groups = marked.groupby(CELL_VALUE, sort=False)
    values = groups["value"]
    table = groups.agg(primary=("primary", "first"), n=("value", "count"), n_failed=("_failed", "sum"))
    table["n_undefined"] = groups["_missing"].sum() - table["n_failed"]
    table["mean"] = values.mean()
    table["sd"] = values.std(ddof=1).mask((values.max() == values.min()) & (table["n"] > 1), 0.0)
    return table.reset_index()


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts below each other; an empty part does not change the types of the others' columns."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def with_scope(table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """The table with a column ``scope``: what varied between the runs of a cell and what was the same in all.

    by: columns of the table that say which cells a row is about: all of a task, with ``["task"]``.
    """
    return table.merge(scopes(runs, by), on=list(by), how="left", validate="many_to_one")


def scopes(runs: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """The columns ``by`` and the ``scope`` of their cells, read off the runs: streams, recipe, software and device.

    A fact varied where it did so within one of the cells; that cells differ from one another is their definition.
    """
    each = runs.drop_duplicates(RUN)
    facts = {column: stream for stream, column in STREAM_SEED.items()}
    facts |= {"recipe_hash": "recipe", "versions": "software", "device": "device"}
    cells = each.groupby(CELL, sort=False)
    counts = cells[list(facts)].nunique(dropna=False)
    counts["_pretrained"] = cells["weights"].first() != "none"
    counts["_runs"] = cells["seed"].nunique()
    counts["_imported"] = cells["seed_init"].count() == 0
    most = (
        counts.reset_index()
        .assign(_all=True)
        .groupby(list(by), sort=False)[[*facts, "_pretrained", "_runs", "_imported"]]
        .max()
    )
    texts = [
        IMPORTED if imported else _sentence(dict(zip(facts.values(), row, strict=True)), pretrained, runs)
        for *row, pretrained, runs, imported in most.itertuples(index=False)
    ]
    return most.index.to_frame(index=False).assign(scope=texts)


def scope(runs: pd.DataFrame) -> str:
    """One sentence for all cells of the runs together."""
    return scopes(runs, ["_all"])["scope"].iloc[0]


def _sentence(counts: dict[str, int], pretrained: bool, runs: int) -> str:
    varied = [fact for fact, count in counts.items() if count > 1]
    fixed = [fact for fact, count in counts.items() if count == 1]
    fixed += ["pretrained weights", "test examples"] if pretrained else ["test examples"]
    if runs == 1:
        return "a single run: nothing varied"
    return f"varied: {', '.join(varied) or 'nothing'}; fixed: {', '.join(fixed)}"
