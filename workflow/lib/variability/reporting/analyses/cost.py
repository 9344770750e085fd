"""Cost of a run and of a precise mean, and cells that are worth their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import metric_scales, run_status
from variability.results.columns import CELL_VALUE

if TYPE_CHECKING:
    import pandas as pd

#: Note of cells whose seconds cannot be compared with those of others.
SEVERAL_DEVICES = "the task's runs were made on different devices"
UNITS = {"seconds": "s", "energy_j": "J", "peak_memory_mb": "MB", "bytes": "bytes"}
COLUMNS = [
    *(
        *CELL_VALUE,
        "primary",
        "quantity",
        "unit",
        "estimate",
        "sd",
        "low",
        "high",
        "total",
        "n",
        "n_failed",
        "n_unknown",
    ),
    *("half_width", "sd_level", "runs_needed", "value_mean", "value_sd", "on_front"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class Cost(Analysis):
    """Cost of every cell, one row per ``quantity``, next to its mean of the primary metric (test, after).

    seconds (of fine-tuning, without pretraining and prediction), energy_j, peak_memory_mb, bytes (what a run stores on
    disk): mean over the n completed runs for which it is known, with Student's t interval. total is the sum over all
    runs, including failed ones; a peak has no total.

    seconds_to_half_width: runs_needed times the seconds per completed run, which include those of failed runs. This
    many completed runs reduce the t interval of the mean metric to +- half_width: a fraction of the metric's declared
    range, or of the mean if none is declared. runs_needed uses the one-sided upper limit of the SD (Browne 1995),
    because the SD of a few runs is as often too small as too large.

    on_front: no other cell of the task is at least as fast and has at least as good a mean, and is better in one of the
    two (Pareto). It compares estimates: a cell can be on the front because of lucky seeds.
    """

    REQUIRES = ("seconds",)
    CAPTION = (
        "Per cell: seconds, energy, peak memory and disk space of a run (mean, t interval) and in total, seconds until "
        "the mean metric is known to a half-width, and whether another cell of the task is both faster and better. "
        "Seconds are those of a run's epochs; frozen parts that were computed once for all seeds are not included."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "sd_level": LEVEL | {"default": 0.8, "description": "confidence level of the upper limit of the SD"},
        "half_width": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.01,
            "description": "goal for the mean's interval, as a fraction of the metric's declared range, or of the mean "
            "if none is declared",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        runs = primary_rows.select(tables["runs"])
        cells = _with_metric(runs)
        by_quantity = {quantity: self._quantity(runs, quantity) for quantity in UNITS}
        cells["on_front"] = _fronts(cells, by_quantity["seconds"]["estimate"])
        facts = [*CELL_VALUE, "value_mean", "value_sd", "on_front"]
        parts = [part.merge(cells[facts], on=CELL_VALUE, validate="one_to_one") for part in by_quantity.values()]
        parts.append(self._to_half_width(cells, by_quantity["seconds"]))
        table = _cells.stacked(parts).assign(level=self.option("level"), ddof=1).reindex(columns=COLUMNS)
        return _cells.with_scope(table, tables["runs"])

    def _quantity(self, runs, quantity):
        from variability.reporting.analyses import _cells, _notes
        from variability.stats import intervals

        amount = runs[quantity].astype(float)
        part = _cells.moments(runs.assign(value=amount.where(~run_status.incomplete(runs))))
        part = part.rename(columns={"mean": "estimate", "n_undefined": "n_unknown"})
        part["low"], part["high"] = intervals.t_interval(part["estimate"], part["sd"], part["n"], self.option("level"))
        sums = runs.assign(total=amount).groupby(CELL_VALUE, sort=False)["total"].sum(min_count=1)
        part["total"] = np.nan if quantity == "peak_memory_mb" else sums.to_numpy()
        part["note"] = _notes.notes(
            part,
            {
                f"{quantity} unknown": (part["n"] == 0) & (part["n_unknown"] > 0),
                f"{quantity} of some runs unknown": (part["n"] > 0) & (part["n_unknown"] > 0),
                "no completed run": (part["n"] == 0) & (part["n_unknown"] == 0),
                "a single run: no spread": part["n"] == 1,
                SEVERAL_DEVICES: _on_several_devices(part, runs),
            },
        )
        interval = np.where(part["n"] < 2, "none", "t")
        return part.assign(
            quantity=quantity, unit=UNITS[quantity], estimator="mean over completed runs", interval=interval
        )

    def _to_half_width(self, cells, seconds):
        from variability.reporting.analyses import _notes
        from variability.stats import sample_size

        half_width = metric_scales.distance(self.option("half_width"), cells["unit_length"], cells["value_mean"])
        upper = sample_size.sd_upper(cells["value_sd"], cells["n"], self.option("sd_level"))
        needed = sample_size.for_half_width(upper, half_width, self.option("level"))
        part = cells.assign(
            quantity="seconds_to_half_width",
            unit="s",
            half_width=half_width,
            sd_level=self.option("sd_level"),
            runs_needed=needed,
            estimate=needed * (seconds["total"] / seconds["n"].where(seconds["n"] > 0)),
            n_unknown=seconds["n_unknown"],
            estimator="runs needed, from the upper limit of the SD, times seconds per completed run",
            interval="none",
        )
        part["note"] = _notes.notes(
            part,
            {
                "fewer than 2 completed runs: spread unknown": part["n"] < 2,
                "seconds unknown": (part["n"] > 0) & (seconds["n"] == 0),
                "seconds of some runs unknown": (seconds["n"] > 0) & (seconds["n_unknown"] > 0),
                "a mean of 0 has no fraction": (part["n"] > 0) & half_width.isna(),
                "the runs agree (SD 0): 2 is the least, not a finding": (part["n"] > 1) & (part["value_sd"] == 0),
                f"{sample_size.MOST:,} runs or more": part["runs_needed"] >= sample_size.MOST,
            },
        )
        return part


def _with_metric(runs):
    """Return the cells with the moments of their primary metric, in the order of all moments of these runs."""
    from variability.reporting.analyses import _cells

    cells = _cells.moments(runs).rename(columns={"mean": "value_mean", "sd": "value_sd"})
    facts = runs.assign(unit_length=metric_scales.length(runs)).groupby(CELL_VALUE, sort=False)[
        ["unit_length", "higher_is_better"]
    ]
    return cells.merge(facts.first().reset_index(), on=CELL_VALUE, validate="one_to_one")


def _fronts(cells, seconds):
    """Return on_front of every cell; None if its seconds, its mean or the direction of its metric is unknown."""
    import pandas as pd

    front = pd.Series(None, index=cells.index, dtype=object)
    value = cells["value_mean"] * cells["higher_is_better"].map({True: 1.0, False: -1.0}).astype(float)
    known = seconds.notna() & value.notna()
    for _, rows in cells[known].groupby("task", sort=False):
        front[rows.index] = _on_front(seconds[rows.index].to_numpy(), value[rows.index].to_numpy())
    return front


def _on_front(seconds, value):
    """Return (cells,) True for cells that no other cell dominates; less seconds and more value are better."""
    slower, worse = seconds[:, None] - seconds, value - value[:, None]
    dominated = (slower >= 0) & (worse >= 0) & ((slower > 0) | (worse > 0))
    return ~dominated.any(axis=1)


def _on_several_devices(cells, runs):
    devices = runs.groupby("task", sort=False)["device"].nunique()
    return cells["task"].map(devices) > 1
