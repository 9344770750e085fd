"""Agreement of the networks' confidence with their accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.reporting.questions import Chart, Question, _names

if TYPE_CHECKING:
    import pandas as pd


class Calibration(Question):
    """Accuracy as a function of confidence."""

    TITLE = "Can the stated confidence be trusted?"
    ORDER = 80
    ANALYSES: ClassVar[tuple[str, ...]] = ("calibration",)
    READING = (
        "Predictions are sorted by the confidence that the network states. On the dashed diagonal a network that is "
        "80 % sure is right in 80 % of the cases; below it, it is too sure. Each dot is the mean over runs, its "
        "upright line the range from the lowest to the highest run; a line connects the dots of a candidate."
    )
    DOCS = "statistics/predictions-and-cost.md#calibration"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import text_format

        errors = tables["calibration"]
        errors = errors[errors["quantity"] == "ece"].dropna(subset="estimate")
        if errors.empty:
            return []
        best, worst = errors.loc[errors["estimate"].idxmin()], errors.loc[errors["estimate"].idxmax()]
        if len(errors) == 1:
            return [
                f"Confidence and accuracy differ on average by {text_format.number(best['estimate'])} "
                f"({_names.cell(best)}; expected calibration error)."
            ]
        return [
            "Confidence and accuracy differ on average by between "
            f"{text_format.number(best['estimate'])} ({_names.cell(best)}) and "
            f"{text_format.number(worst['estimate'])} ({_names.cell(worst)}; expected "
            "calibration error)."
        ]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        rows = tables["calibration"]
        rows = rows[(rows["quantity"] == "bin") & (rows["n"] > 0)].dropna(subset=["estimate", "confidence"])
        columns = ["task", "model", "method", "confidence", "estimate", "min", "max", "n", "count"]
        tips = vega.tooltip(
            candidate="candidate", confidence="confidence", estimate="accuracy", min="lowest run", max="highest run",
            count="examples per run", n="runs with examples",
        )  # fmt: skip
        x = {"field": "confidence", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%"}}
        y = {"field": "estimate", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%"}}
        looks = vega.by_candidate()
        diagonal = {
            "data": {"values": [{"at": 0}, {"at": 1}]},
            "mark": {"type": "line", "strokeDash": [4, 3], "opacity": 0.6, "color": "{ink}"},
            "encoding": {"x": {"field": "at", "type": "quantitative"}, "y": {"field": "at", "type": "quantitative"}},
        }
        encoding = {"x": {**x, "title": "stated confidence"}, "color": looks["color"], "opacity": vega.DIMMED}
        line = {
            "data": {"name": "rows"},
            "mark": {"type": "line"},
            "encoding": {**encoding, "y": {**y, "title": "accuracy"}},
        }
        spans = {
            "data": {"name": "rows"},
            "mark": {"type": "rule", "opacity": 0.5},
            "encoding": {**encoding, "y": {"field": "min", "type": "quantitative"}, "y2": {"field": "max"}},
        }
        dots = {
            "data": {"name": "rows"},
            "mark": {"type": "point", "filled": True, "size": 45},
            "encoding": {**encoding, **looks, "y": y, "tooltip": tips},
        }
        return [
            Chart(rows[columns], vega.layers(diagonal, spans, line, dots, height=300), "Accuracy by stated confidence")
        ]
