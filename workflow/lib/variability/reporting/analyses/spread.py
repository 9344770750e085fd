"""Spread of runs that differ only in their seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL_VALUE

if TYPE_CHECKING:
    import pandas as pd


class Spread(Analysis):
    """Centre and spread of every cell over its completed runs.

    sd has ddof 1 and a chi-square interval, which depends on normality; mad is the median of |value - median|, unscaled
    (times 1.4826 it estimates a normal SD); iqr is the distance between the quartiles by linear interpolation (Hyndman
    & Fan 1996, type 7). n + n_failed + n_undefined is the number of runs.
    """

    SUMMARISED = True
    CAPTION = (
        "Centre and spread over the completed runs of every cell, which differ only in their seed. Each row states its "
        "numbers of runs that completed, did not complete, or have no defined value, and its scope: what varied "
        "between the runs."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting.analyses import _cells, _notes
        from variability.stats import intervals

        runs, level = tables["runs"], self.option("level")
        spread = _cells.moments(runs)
        spread["sd_low"], spread["sd_high"] = intervals.sd_interval(spread["sd"], spread["n"], level)
        spread = spread.merge(_order_statistics(runs), on=CELL_VALUE, validate="one_to_one")
        spread["estimator"] = "mean, SD, median, MAD (unscaled), IQR over completed runs"
        spread["interval"] = "chi-square, of the SD"
        spread["level"] = level
        spread["ddof"] = 1
        spread["note"] = _notes.notes(
            spread,
            {
                "no value of any run": spread["n"] == 0,
                "a single run: no spread": spread["n"] == 1,
                "all runs are equal: an SD of 0 is plausible for deterministic runs only": spread["sd"] == 0,
            },
        )
        return _cells.with_scope(spread, runs)


def _order_statistics(runs):
    values = runs.groupby(CELL_VALUE, sort=False)["value"]
    table = values.median().to_frame("median")
    deviation = (runs["value"] - values.transform("median")).abs()
    table["mad"] = runs.assign(value=deviation).groupby(CELL_VALUE, sort=False)["value"].median()
    table["q25"], table["q75"] = values.quantile(0.25), values.quantile(0.75)
    table["iqr"] = table["q75"] - table["q25"]
    table["min"], table["max"] = values.min(), values.max()
    return table.reset_index()
