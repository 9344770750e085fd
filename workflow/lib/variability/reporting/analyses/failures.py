"""Failed runs: how often, for what reasons, and their effect on the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL, CELL_VALUE

if TYPE_CHECKING:
    import pandas as pd

#: Factor by which the MAD of normal values estimates their SD (Rousseeuw & Croux 1993).
MAD_TO_SD = 1.4826
COLUMNS = [
    *(*CELL_VALUE, "primary", "rate", "low", "high", "n_runs", "n_failed_any", "n_failed", "n_chance", "n_outlier"),
    *("n", "n_undefined", "mean", "sd", "n_without", "mean_without", "sd_without"),
    *("chance_limit", "outlier_limit", "note"),
]


class Failures(Analysis):
    """Failed runs of each cell by reason, on the primary metric of the test split after fine-tuning.

    incomplete (n_failed): the run diverged, or was reported as failed. chance: its accuracy is at most two binomial
    standard errors of the test set above the share of the most frequent class, which a network that has learnt nothing
    reaches. outlier: its value is worse than the median of the completed runs by more than ``mads`` scaled MADs (robust
    z-scores, Iglewicz & Hoaglin 1993) and by more than ``points``: 0.03 of a metric between 0 and 1, or 3 % of the
    median's absolute value otherwise. Without the second condition, runs that nearly agree would make outliers of
    harmless ones; with a MAD of 0 it applies alone. A run counts once in n_failed_any, whatever the number of its
    reasons. Its rate is a share of n_runs, the runs that can be judged, with Wilson's (1927) interval for independent
    runs: a run whose metric is undefined can be judged if its accuracy shows whether it stayed at chance.

    mean and sd are over all n completed runs, mean_without and sd_without over those that are neither at chance nor
    outliers. The latter describe the runs that worked; they do not estimate the result of the next run.
    """

    CAPTION = (
        "Per cell: runs that did not complete, stayed at chance or are far below the others, the rate of all of them "
        "(Wilson interval), and the mean and SD over the completed runs with and without the flagged ones."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "mads": {
            "type": "number",
            "minimum": 0,
            "default": 5,
            "description": "smallest distance of an outlier from the median, in scaled MADs (each about an SD)",
        },
        "points": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.03,
            "description": "smallest distance of an outlier from the median; a fraction of the median if the metric is "
            "not between 0 and 1",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells, _failure_flags
        from variability.stats import intervals

        primary, level = primary_rows.select(tables["runs"]), self.option("level")
        cells = self._with_limits(_cells.moments(primary), primary)
        runs = _failure_flags.flagged(tables["runs"], cells)
        cells = cells.merge(_counts(runs), on=CELL, validate="one_to_one")
        cells = cells.merge(_without(runs), on=CELL_VALUE, validate="one_to_one")
        cells["low"], cells["high"] = intervals.wilson_interval(cells["n_failed_any"], cells["n_runs"], level)
        cells["rate"] = cells["n_failed_any"] / cells["n_runs"].where(cells["n_runs"] > 0)
        cells["n_chance"] = cells["n_chance"].mask(cells["chance_limit"].isna())
        cells["n_outlier"] = cells["n_outlier"].mask(cells["outlier_limit"].isna())
        cells["note"] = _note(cells)
        cells["estimator"] = "share of runs that failed for any reason; mean and SD with and without the flagged runs"
        table = cells[[*COLUMNS, "estimator"]].assign(interval="Wilson, of the rate", level=level, ddof=1)
        return _cells.with_scope(table, tables["runs"])

    def _with_limits(self, cells, primary):
        from variability.reporting.analyses import _metric_scale

        values = primary.groupby(CELL_VALUE, sort=False)["value"]
        deviation = (primary["value"] - values.transform("median")).abs()
        facts = primary.assign(_share=_metric_scale.is_share(primary), _deviation=deviation).groupby(
            CELL_VALUE, sort=False
        )
        cells = cells.merge(
            facts.agg(
                median=("value", "median"),
                mad=("_deviation", "median"),
                share=("_share", "first"),
                higher_is_better=("higher_is_better", "first"),
            ).reset_index(),
            on=CELL_VALUE,
            validate="one_to_one",
        )
        points = _metric_scale.distance(self.option("points"), cells["share"], cells["median"])
        robust = self.option("mads") * MAD_TO_SD * cells["mad"]
        # With a median and a MAD of 0 there is no scale.
        margin = robust.where(robust > points.fillna(0), points)
        sign = cells["higher_is_better"].map({True: 1.0, False: -1.0}).astype(float)
        return cells.assign(outlier_limit=cells["median"] - sign * margin)


def _counts(runs):
    from variability.reporting.analyses import _failure_flags

    reasons = runs[_failure_flags.REASONS]
    # A run whose metric is undefined may have stayed at chance nevertheless, if it has an accuracy.
    judged = runs["value"].notna() | runs["incomplete"] | (runs["accuracy"].notna() & runs["chance_limit"].notna())
    cells = runs.assign(_any=reasons.any(axis=1), _judged=judged).groupby(CELL, sort=False)
    table = cells.agg(
        n_runs=("_judged", "sum"),
        n_failed_any=("_any", "sum"),
        n_chance=("chance", "sum"),
        n_outlier=("outlier", "sum"),
        chance_limit=("chance_limit", "median"),
    ).astype(float)
    return table.astype({"n_runs": int, "n_failed_any": int}).reset_index()


def _without(runs):
    from variability.reporting.analyses import _cells

    unflagged = runs.assign(value=runs["value"].mask(runs["chance"] | runs["outlier"]))
    names = {name: f"{name}_without" for name in ("n", "mean", "sd")}
    return _cells.moments(unflagged)[[*CELL_VALUE, *names]].rename(columns=names)


def _note(cells):
    from variability.reporting.analyses import _notes

    has_runs = cells["n"] > 0
    no_chance, no_limit = cells["chance_limit"].isna(), cells["outlier_limit"].isna()
    return _notes.notes(
        cells,
        {
            "no completed run": (cells["n_failed"] > 0) & ~has_runs,
            "metric undefined": (cells["n_undefined"] > 0) & ~has_runs,
            "chance level unknown": has_runs & no_chance,
            "outliers unknown: it is not known whether higher is better": has_runs & cells["higher_is_better"].isna(),
            "outliers unknown: median and MAD are 0": has_runs & no_limit & cells["higher_is_better"].notna(),
            "MAD is 0: outliers are found by their distance in points only": has_runs
            & ~no_limit
            & (cells["mad"] == 0)
            & (cells["n"] > 1),
            "fewer than 3 runs cannot show an outlier": cells["n"].between(1, 2),
        },
    )
