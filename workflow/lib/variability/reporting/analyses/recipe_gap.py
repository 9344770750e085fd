"""Performance that each recipe leaves unused: its runs against a linear model of the same network's frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL_VALUE
from variability.stats import rounding

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["model", "task", "split", "metric"]
COLUMNS = [
    *(*CELL_VALUE, "method_kind", "primary", "higher_is_better", "mean", "n", "n_failed", "probe", "n_probes"),
    *("probe_estimator", "strength", "unused", "low", "high", "sd", "exceeds_margin", "decided", "margin"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class RecipeGap(Analysis):
    """Advantage of the reference probe over the runs of a cell, in the unit of the metric; below 0 it is worse.

    The reference probe is a regularised linear model of the features before the head, fitted on the training examples
    with a strength chosen on the validation examples: logistic regression for classes, ridge regression (Hoerl and
    Kennard 1970) for numbers. No recipe of a linear probe should do worse than this by more than noise; fine-tuning
    more of the network seldom should. If it does, the cell shows its recipe rather than its model or its seeds. The
    margin is a share of the probe's absolute value. The interval covers the seeds; both sides share the test examples.
    ``decided``: the interval is above 0, so that the gap is not one of these few seeds.
    """

    NEEDS = ("runs", "reference_probe")
    SUMMARISED = True
    CAPTION = (
        "What each recipe leaves unused: a regularised linear model of the frozen features, its strength chosen on "
        "validation, compared with the runs of the same network (paired by seed where each seed has its own split). "
        "Above 0 the linear model is better; it is not a run and enters no other table."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "margin": {
            "type": "number",
            "minimum": 0,
            "default": 0.03,
            "description": "share of the probe's value that a recipe may leave unused before it is named",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting.analyses import _cells
        from variability.stats import intervals

        runs, level, margin = tables["runs"], self.option("level"), self.option("margin")
        runs = runs[runs["phase"] == "after"]
        runs = runs[runs["task"].isin(tables["reference_probe"]["task"])]
        with_probe = _with_probe(runs, tables["reference_probe"])
        cells = _cells.moments(runs)[[*CELL_VALUE, "primary", "mean", "n", "n_failed"]]
        groups = with_probe.groupby(CELL_VALUE, sort=False)
        table = groups.agg(
            method_kind=("method_kind", "first"),
            higher_is_better=("higher_is_better", "first"),
            probe=("probe", "mean"),
            n_probes=("probe_seed", "nunique"),
            probe_estimator=("probe_estimator", "first"),
            strength=("strength", "median"),
            note=("note", "first"),
            unused=("unused", "mean"),
            sd=("unused", "std"),
            range=("unused", lambda unused: unused.max() - unused.min()),
        ).reset_index()
        table = cells.merge(table, on=CELL_VALUE, how="left", validate="one_to_one")
        equal = rounding.is_rounding(table["range"], table["probe"])
        table["sd"] = table["sd"].mask(equal & (table["n"] > 1), 0.0)
        table["low"], table["high"] = intervals.t_interval(table["unused"], table["sd"], table["n"], level)
        table = table.assign(
            margin=margin * table["probe"].abs(),
            estimator="mean over the runs of how much better the reference probe is on the same examples",
            interval="t over the seeds",
            level=level,
            ddof=1,
        )
        table["exceeds_margin"] = table["unused"] > table["margin"]
        table["decided"] = table["low"] > 0
        return _cells.with_scope(table.reindex(columns=COLUMNS), runs)


def _with_probe(runs, probes):
    """Return the runs with the columns probe and unused, and the probe's facts."""
    import numpy as np

    facts = probes.rename(columns={"value": "probe", "estimator": "probe_estimator"})
    columns = ["probe", "probe_estimator", "strength", "note"]
    by_seed = facts["seed"].notna()
    # Other columns of the runs may have the same names.
    runs = runs[[*CELL_VALUE, "seed", "value", "method_kind", "higher_is_better"]].reset_index(drop=True)
    paired = runs.merge(facts[by_seed][[*PAIR, "seed", *columns]], on=[*PAIR, "seed"], how="left")
    shared = runs.merge(facts[~by_seed & facts["metric"].notna()][[*PAIR, *columns]], on=PAIR, how="left")
    reasons = facts[facts["metric"].isna()].set_index(["model", "task"])["note"]
    merged = runs.copy()
    for column in columns:
        merged[column] = paired[column].where(paired["probe"].notna(), shared[column])
    missing = merged["probe"].isna()
    names = list(zip(merged["model"], merged["task"], strict=True))
    merged["note"] = merged["note"].where(~missing, [reasons.get(name) for name in names])
    sign = np.where(merged["higher_is_better"].eq(True), 1, np.where(merged["higher_is_better"].eq(False), -1, np.nan))
    # Runs that share their split share one probe.
    own_split = paired["probe"].notna()
    merged["probe_seed"] = merged["seed"].where(own_split, 0).where(merged["probe"].notna())
    return merged.assign(unused=sign * (merged["probe"] - merged["value"]))
