"""Time, memory and energy of training, next to the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.reporting.questions import Chart, Question, _names

if TYPE_CHECKING:
    import pandas as pd


#: Words for the candidates with and without a ring; the first are in the legend.
FRONT, BEHIND = "no other is both faster and better", "another is faster and better"


class Cost(Question):
    """Score of each candidate against the time that a run takes."""

    TITLE = "What did it cost?"
    ORDER = 90
    ANALYSES: ClassVar[tuple[str, ...]] = ("cost",)
    READING = (
        "One dot per candidate: the time that training one run took, on a logarithmic scale, and its mean score. No "
        "other candidate is both faster and better than one with a dark ring. The line is one SD to either side. "
        "Times are of the machine of this study."
    )
    DOCS = "statistics/predictions-and-cost.md#cost"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import text_format

        seconds = _seconds(tables["cost"])
        if seconds.empty:
            return []
        fast, slow = seconds.loc[seconds["estimate"].idxmin()], seconds.loc[seconds["estimate"].idxmax()]
        return [
            f"All runs together trained for {text_format.duration(seconds['total'].sum())}.",
            f"One run took from {text_format.duration(fast['estimate'])} ({_names.cell(fast)}) to "
            f"{text_format.duration(slow['estimate'])} ({_names.cell(slow)}).",
        ]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        rows = _seconds(tables["cost"]).dropna(subset="value_mean").copy()
        if rows.empty:
            return []
        rows["front"] = rows["on_front"].map({True: FRONT, False: BEHIND})
        columns = ["task", "model", "method", "estimate", "sd", "value_mean", "value_sd", "front", "n"]
        tips = vega.tooltip(
            candidate="candidate",
            estimate="seconds per run",
            value_mean="mean score",
            value_sd="SD of the score",
            n="runs",
        )
        x = {
            "field": "estimate",
            "type": "quantitative",
            "title": "seconds per run",
            "scale": {"type": "log", "nice": False, "padding": 20},
        }
        y = vega.value("value_mean", scale={"padding": 14})
        looks = vega.by_candidate()
        dots = {
            "data": {"name": "rows"},
            "mark": {"type": "point", "filled": True, "size": 90, "strokeWidth": 2},
            "encoding": {
                "x": x,
                "y": y,
                **looks,
                "stroke": {
                    "field": "front",
                    "scale": {"domain": [FRONT, BEHIND], "range": ["{ink}", "transparent"]},
                    "legend": {
                        **{"title": None, "orient": "top", "values": [FRONT], "labelLimit": 300},
                        "symbolFillColor": "transparent",
                    },
                },
                "opacity": vega.DIMMED,
                "tooltip": tips,
            },
        }
        spans = {
            "data": {"name": "rows"},
            "transform": [
                {"calculate": "datum.value_mean - datum.value_sd", "as": "from"},
                {"calculate": "datum.value_mean + datum.value_sd", "as": "to"},
            ],
            "mark": {"type": "rule"},
            "encoding": {
                "x": {"field": "estimate", "type": "quantitative"},
                "y": {"field": "from", "type": "quantitative"},
                "y2": {"field": "to"},
                "color": looks["color"],
                "opacity": vega.DIMMED,
            },
        }
        return [
            Chart(rows[columns], vega.layers(spans, dots, height=280), "Score and training time of every candidate")
        ]


def _seconds(cost: pd.DataFrame) -> pd.DataFrame:
    from variability.reporting import primary_rows

    rows = primary_rows.select(cost)
    return rows[(rows["quantity"] == "seconds") & rows["estimate"].notna()]
