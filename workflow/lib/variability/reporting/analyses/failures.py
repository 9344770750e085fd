"""Runs that did not work: how often, for what reasons, and their effect on the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import run_flags, run_status
from variability.results.columns import CELL, CELL_VALUE
from variability.stats.outlier_thresholds import FALSE_ALARMS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *(*CELL_VALUE, "primary", "rate", "low", "high", "n_runs", "n_flagged", "n_failed", "n_diverged"),
    *("n_chance", "n_outlier", "n_above", "n", "n_undefined", "mean", "sd", "n_without", "mean_without", "sd_without"),
    *("chance_limit", "collapsed_at", "outlier_limit", "mads", "false_alarms", "points", "note"),
]


class Failures(Analysis):
    """Runs of each cell that did not work, by reason, on the primary metric of the test split after fine-tuning.

    incomplete (n_failed, of which n_diverged): the run failed or diverged, see ``results.run_status``. chance: it is no
    better than a constant prediction. outlier: it is not at chance, and far worse than the median of the runs of its
    cell that are not. Both are defined in ``results.run_flags``. A flagged run has one of these reasons. The rate is a
    share of n_runs, the runs that can be judged, with Wilson's (1927) interval for independent runs: a run whose metric
    is undefined can be judged if its accuracy shows whether it stayed at chance.

    n_above: runs that are better than that median by as much as an outlier is worse. They are not flagged, because they
    did not fail; a mistake in the data, or test examples among the training data, would look like that.

    false_alarms: largest share of cells with normal values in which any run is called an outlier; unknown if the
    distance ``mads`` is an option of the study.

    mean and sd are over all n completed runs, mean_without and sd_without over those that are neither at chance nor
    outliers. The latter describe the runs that worked; they do not estimate the result of the next run.
    """

    CAPTION = (
        "Per cell: runs that did not complete, are at chance (no better than a constant prediction) or outlying (far "
        "below the others), the rate of all of them (Wilson interval), and the mean and SD over the completed runs "
        "with and without the flagged ones."
    )
    SUMMARISED = True
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "mads": {
            "type": ["number", "null"],
            "minimum": 0,
            "default": None,
            "description": "smallest distance of an outlier from the median, in scaled MADs (each about an SD); by "
            f"default that with which {100 * FALSE_ALARMS:g} % of cells with normal values have an outlier",
        },
        "points": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": run_flags.POINTS,
            "description": "smallest distance of an outlier from the median, as a fraction of the metric's range, or "
            "of the median if no range is declared",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells
        from variability.stats import intervals

        primary, level = primary_rows.select(tables["runs"]), self.option("level")
        mads, points = self.option("mads"), self.option("points")
        runs = run_flags.flagged(primary, tables["runs"], mads, points)
        cells = _cells.moments(primary)
        cells = cells.merge(_counts(runs), on=CELL, validate="one_to_one")
        cells = cells.merge(_without(runs), on=CELL_VALUE, validate="one_to_one")
        cells["low"], cells["high"] = intervals.wilson_interval(cells["n_flagged"], cells["n_runs"], level)
        cells["rate"] = cells["n_flagged"] / cells["n_runs"].where(cells["n_runs"] > 0)
        cells["n_chance"] = cells["n_chance"].where(cells["chance_known"])
        cells["n_outlier"] = cells["n_outlier"].mask(cells["outlier_limit"].isna() & ~(cells["n_chance"] == cells["n"]))
        cells["n_above"] = cells["n_above"].mask(cells["n_outlier"].isna())
        cells["note"] = _note(cells)
        cells["estimator"] = "share of runs that did not work for any reason; mean and SD with and without the flagged"
        cells = cells.assign(points=points, false_alarms=FALSE_ALARMS if mads is None else float("nan"))
        table = cells[[*COLUMNS, "estimator"]].assign(interval="Wilson, of the rate", level=level)
        return _cells.with_scope(table.assign(ddof=1), tables["runs"])


def _counts(runs):
    diverged = run_status.diverged(runs)
    cells = runs.assign(_any=runs[run_flags.FLAGS].any(axis=1), _diverged=diverged).groupby(CELL, sort=False)
    table = cells.agg(
        n_runs=("judged", "sum"),
        n_flagged=("_any", "sum"),
        n_diverged=("_diverged", "sum"),
        n_chance=("chance", "sum"),
        n_outlier=("outlier", "sum"),
        n_above=("above", "sum"),
        chance_limit=("chance_limit", "median"),
        collapsed_at=("collapsed_at", "median"),
        outlier_limit=("outlier_limit", "median"),
        mad=("mad", "median"),
        mads=("mads", "median"),
        higher_is_better=("higher_is_better", "first"),
    )
    table["chance_known"] = cells["chance_known"].any()
    return table.astype({"n_chance": float, "n_outlier": float, "n_above": float}).reset_index()


def _without(runs):
    from variability.reporting.analyses import _cells

    unflagged = runs.assign(value=runs["value"].mask(runs["chance"] | runs["outlier"]))
    names = {name: f"{name}_without" for name in ("n", "mean", "sd")}
    return _cells.moments(unflagged)[[*CELL_VALUE, *names]].rename(columns=names)


def _note(cells):
    from variability.reporting.analyses import _notes

    has_runs = cells["n"] > 0
    no_limit, directed = cells["outlier_limit"].isna(), cells["higher_is_better"].notna()
    all_at_chance = has_runs & (cells["n_chance"] == cells["n"])
    reasons = {
        "no completed run": (cells["n_failed"] > 0) & ~has_runs,
        "metric undefined on these test examples": (cells["n_undefined"] > 0) & ~has_runs,
        "chance level unknown": has_runs & ~cells["chance_known"],
        "all runs are at chance": all_at_chance,
        "outliers unknown: it is not known whether higher is better": has_runs & ~directed,
        "outliers unknown: median and MAD are 0": has_runs & no_limit & directed & ~all_at_chance,
        "MAD is 0: outliers are recognised by their distance in points only": has_runs
        & ~no_limit
        & (cells["mad"] == 0)
        & (cells["n"] > 1),
        "fewer than 3 runs cannot show an outlier": cells["n"].between(1, 2),
    }
    for level, of_level in cells.groupby("collapsed_at"):
        same = cells.index.isin(of_level.index)
        reasons[f"runs at exactly {level:.6g} collapsed: the others are clearly better"] = has_runs & same
    return _notes.notes(cells, reasons)
