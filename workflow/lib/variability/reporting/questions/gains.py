"""Gains over the untrained head, over a linear probe, and over training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

#: Comparisons of the table ``gain`` in the order of the page: what was changed, and against what.
COMPARISONS = {
    "before": ("Fine-tuning", "the same network with its untrained head"),
    "linear_probe": ("Fine-tuning more than the head", "a linear probe"),
    "from_scratch": ("Starting from pretrained weights", "training from random weights"),
}


class Gains(Question):
    """Paired and unpaired gains of candidates over their references."""

    TITLE = "What did fine-tuning and pretraining gain?"
    ORDER = 20
    ANALYSES: ClassVar[tuple[str, ...]] = ("gain",)
    READING = (
        "One dot per candidate: the mean gain over its reference, in the units of the metric; to the right is better. "
        "The line is the interval of the mean gain. A line that crosses the dashed zero is compatible with no gain."
    )
    DOCS = "statistics/gains.md#gain"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        sentences = []
        for comparison, (change, reference) in COMPARISONS.items():
            rows = _better(tables["gain"], comparison)
            if rows.empty:
                continue
            above, below = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
            known = int(rows["low"].notna().sum())
            if not known:
                sentences.append(f"{change}: too few runs for intervals of the gain over {reference}.")
                continue
            sentence = f"{change} is above {reference} in {above} of {plural(known, 'comparison')}"
            sentences.append(sentence + (f" and below it in {below}" if below else "") + " (interval without zero).")
        return sentences

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        charts = []
        for comparison, (change, reference) in COMPARISONS.items():
            rows = _better(tables["gain"], comparison)
            if rows.empty:
                continue
            columns = ["task", "model", "method", "gain", "low", "high", "n", "reference", "interval"]
            tips = vega.tooltip(
                candidate="candidate", gain="mean gain", low="from", high="to", n="runs", reference="reference",
                interval="interval",
            )  # fmt: skip
            color: dict[str, Any] = {"value": "{accent}"}
            marks = [
                vega.reference(0),
                vega.intervals("low", "high", color=color),
                vega.dots("gain", tips=tips, title="gain, {unit}", color=color),
            ]
            charts.append(Chart(rows[columns], vega.layers(*marks), f"{change}, compared with {reference}"))
        return charts


def _better(gain: pd.DataFrame, comparison: str) -> pd.DataFrame:
    """Return the gains of one comparison of the primary metric, above 0 where the candidate is better."""
    from variability.reporting import orientation, primary_rows

    rows = primary_rows.select(gain)
    return orientation.turned(rows[(rows["comparison"] == comparison) & rows["gain"].notna()])
