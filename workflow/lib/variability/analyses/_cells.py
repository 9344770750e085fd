"""What analyses share: the moments of a cell, and the words for what varied in it."""

from collections.abc import Sequence

import pandas as pd

from variability import seeding
from variability.analyses import CELL, RUN_CELL


def failed(runs: pd.DataFrame) -> pd.Series:
    """Which rows have no value because the run failed; NaN of a completed run is a metric that is undefined."""
    return runs["value"].isna() & (runs["status"] != "completed")


def moments(runs: pd.DataFrame) -> pd.DataFrame:
    """Per cell: primary, n, n_failed, n_undefined, mean and sd (ddof 1) over the n runs that have a value.

    sd is exactly 0 where all values are equal, free of the rounding of their mean.
    """
    marked = runs.assign(_failed=failed(runs), _missing=runs["value"].isna())
    groups = marked.groupby(CELL, sort=False)
    values = groups["value"]
    table = groups.agg(primary=("primary", "first"), n=("value", "count"), n_failed=("_failed", "sum"))
    table["n_undefined"] = groups["_missing"].sum() - table["n_failed"]
    table["mean"] = values.mean()
    table["sd"] = values.std(ddof=1).mask((values.max() == values.min()) & (table["n"] > 1), 0.0)
    return table.reset_index()


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts below each other; an empty part does not change the types of the others' columns."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def with_scope(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``scope``: what varied between the runs of a cell and what was the same in all."""
    return table.merge(scopes(runs), on=RUN_CELL, how="left", validate="many_to_one")


def scopes(runs: pd.DataFrame) -> pd.DataFrame:
    """Model, task, method and their ``scope``, read off the runs: streams, recipe, software and device."""
    each = runs.drop_duplicates([*RUN_CELL, "seed"])
    facts = {f"seed_{stream}": stream for stream in seeding.STREAMS}
    facts |= {"recipe_hash": "recipe", "versions": "software", "device": "device"}
    counts = each.groupby(RUN_CELL, sort=False)[list(facts)].nunique(dropna=False)
    weights = each.groupby(RUN_CELL, sort=False)["weights"].first()
    seeds = each.groupby(RUN_CELL, sort=False)["seed"].nunique()
    texts = [
        _sentence(dict(zip(facts.values(), row, strict=True)), pretrained=kind != "none", runs=n)
        for row, kind, n in zip(counts.to_numpy(), weights, seeds, strict=True)
    ]
    return counts.index.to_frame(index=False).assign(scope=texts)


def _sentence(counts: dict[str, int], pretrained: bool, runs: int) -> str:
    varied = [fact for fact, count in counts.items() if count > 1]
    fixed = [fact for fact, count in counts.items() if count == 1]
    fixed += ["pretrained weights", "test examples"] if pretrained else ["test examples"]
    if runs == 1:
        return "a single run: nothing varied"
    return f"varied: {', '.join(varied) or 'nothing'}; fixed: {', '.join(fixed)}"
