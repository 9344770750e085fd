"""Runs that failed, diverged, did not learn, or are far from the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the table ``failures`` in words.
KINDS = {
    "n_failed": "no result: failed or diverged",
    "n_chance": "no better than a constant prediction",
    "n_outlier": "far from the other runs",
}


class Failures(Question):
    """Runs with a problem, by candidate and kind."""

    TITLE = "What failed?"
    ORDER = 60
    ANALYSES: ClassVar[tuple[str, ...]] = ("failures",)
    READING = (
        "The bars count runs with a problem, by kind. Runs without a result are in no mean; runs at chance and "
        "outlying runs are in all means, because leaving them out would flatter the candidate."
    )
    DOCS = "statistics/spread.md#failures"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import run_counts

        return [run_counts.in_words(tables["runs"], tables["failures"])]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        rows = tables["failures"].melt(["task", "model", "method", "n_runs"], list(KINDS), "kind", "count")
        rows = rows[rows["count"] > 0].assign(kind=lambda table: table["kind"].map(KINDS))
        if rows.empty:
            return []
        bar = {
            "data": {"name": "rows"},
            "mark": {"type": "bar", "height": 14},
            "encoding": {
                "y": vega.CANDIDATES,
                "x": {"field": "count", "type": "quantitative", "title": "runs", "axis": vega.COUNTS},
                "color": {
                    "field": "kind",
                    "scale": {"domain": [*KINDS.values()], "range": ["{failed}", "{second}", "{faint}"]},
                    "legend": {"title": None, "orient": "top"},
                },
                "opacity": vega.DIMMED,
                "tooltip": vega.tooltip(candidate="candidate", kind="kind", count="runs", n_runs="of"),
            },
        }
        return [Chart(rows, vega.layers(bar), "Runs with a problem")]
