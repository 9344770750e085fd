"""Spread of the runs of each candidate, every run a dot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question, _names

if TYPE_CHECKING:
    import pandas as pd


class Seeds(Question):
    """All runs, with the mean and interval of each candidate."""

    TITLE = "How far does the seed alone move it?"
    ORDER = 30
    ANALYSES: ClassVar[tuple[str, ...]] = ("spread", "intervals")
    READING = (
        "Every dot is one run; runs in one row differ in their seed only. The tick is the mean and the line its "
        "interval. Point at a dot for its numbers, click it for the run's recipe, learning curve and errors. The "
        "metric, split and phase above apply to this chart. With more than 20,000 runs, colours count them instead."
    )
    DOCS = "statistics/spread.md#spread"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import primary_rows, text_format

        spread = primary_rows.select(tables["spread"])
        spread = spread[spread["n"] > 1]
        if spread.empty:
            return ["Every candidate has a single run on a task, so the spread between seeds is not known."]
        sentences = []
        widths = (spread["max"] - spread["min"]).to_numpy()
        widest = spread.iloc[int(widths.argmax())]
        digits = text_format.decimals(spread["sd"].median())
        if spread["metric"].nunique() == 1:
            typical = text_format.number(spread["sd"].median(), digits=digits)
            sentences.append(
                f"The seed alone typically moves a run by about {typical} from the mean of its candidate (SD of "
                f"{widest['metric']}, median of {plural(len(spread), 'cell')})."
            )
        low, high = (text_format.number(widest[end], digits=digits) for end in ("min", "max"))
        sentences.append(
            f"The widest range is that of {_names.cell(widest)}: its {widest['n']} runs reach from {low} to {high}."
        )
        return sentences

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        tips = vega.tooltip(candidate="candidate", seed="seed", value="value", status="status")
        run = {
            "data": {"name": "rows"},
            "mark": {"type": "point", "filled": True, "size": 45, "cursor": "pointer"},
            "encoding": {
                "y": vega.CANDIDATES,
                "yOffset": {"field": "offset", "type": "quantitative", "scale": {"domain": [-1, 1]}},
                "x": vega.value("value"),
                "color": {"value": "{accent}"},
                "opacity": {
                    "condition": {"test": "hot === null || datum.candidate === hot", "value": 0.75},
                    "value": 0.12,
                },
                "stroke": {"condition": {"test": "datum.run === hotRun", "value": "{ink}"}, "value": None},
                "strokeWidth": {"value": 2},
                "size": {"condition": {"test": "datum.run === hotRun", "value": 160}, "value": 45},
                "tooltip": tips,
            },
        }
        mean = {
            "data": {"name": "means"},
            "mark": {"type": "tick", "thickness": 2.5, "size": 22},
            "encoding": {
                "y": vega.CANDIDATES,
                "x": {"field": "estimate", "type": "quantitative"},
                "tooltip": vega.tooltip(candidate="candidate", estimate="mean", low="from", high="to", n="runs"),
                "color": {"value": "{ink}"},
                "opacity": vega.DIMMED,
            },
        }
        line = vega.intervals("low", "high", data="means", width=1.5, color={"value": "{ink}"})
        # Dots are above the line of their mean, which would otherwise hide them from the pointer.
        chart = vega.layers(line, mean, run, height={"step": 26})
        chart["params"].append({"name": "hotRun", "value": None})
        counts = {
            "data": {"name": "rows"},
            "mark": {"type": "rect", "height": 16},
            "encoding": {
                "y": vega.CANDIDATES,
                "x": vega.value("from"),
                "x2": {"field": "to"},
                "color": {
                    "field": "share",
                    "type": "quantitative",
                    "scale": {"range": ["{faint}", "{accent}"]},
                    "legend": {"title": "share of the candidate's runs", "orient": "top", "format": ".0%"},
                },
                "opacity": vega.DIMMED,
                "tooltip": vega.tooltip(
                    candidate="candidate", count="runs", share="share of its runs", **{"from": "from", "to": "to"}
                ),
            },
        }
        many = vega.layers(counts, line, mean, height={"step": 26})
        return [Chart(None, chart, "Every run of every candidate", many)]
