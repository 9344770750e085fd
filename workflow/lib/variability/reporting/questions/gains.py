"""Gains over the untrained head, over a linear probe, and over training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

#: Comparisons of the table ``gain`` in the order of the page: what was changed, against what, and the claims about it.
COMPARISONS = {
    "before": ("Fine-tuning", "the same network with its untrained head", None),
    "linear_probe": ("Fine-tuning more than the head", "a linear probe", "gain_over_probe"),
    "from_scratch": ("Starting from pretrained weights", "training from random weights", "pretraining_helps"),
}


#: Not a run, and in the table ``recipe_gap``.
PROBE = "a regularised linear model of its frozen features"


class Gains(Question):
    """Paired and unpaired gains of candidates over their references, the reference probe of each network among them."""

    TITLE = "What did fine-tuning and pretraining gain?"
    ORDER = 20
    ANALYSES: ClassVar[tuple[str, ...]] = ("gain",)
    READING = (
        "One dot per candidate: the mean gain over its reference, in the units of the metric; to the right is better. "
        "The line is the interval of the mean gain. A line that crosses the dashed zero is compatible with no gain. "
        "Lines are not adjusted for their number; where a sentence gives verdicts, these are. "
        "The linear model of frozen features costs seconds: where a candidate is left of zero, its recipe leaves "
        "unused what the pretrained network offers, and a lower mean says little about the model."
    )
    DOCS = "statistics/gains.md#gain"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import decision_words, primary_rows, recipe_notes

        sentences = []
        for comparison, (change, reference, claim) in COMPARISONS.items():
            rows = _better(tables["gain"], comparison)
            if rows.empty:
                continue
            # Intervals of single gains would answer the question of a claim by another rule.
            if claim and (verdicts := decision_words.of_gains(claim, tables)):
                sentences.append(f"{change}, compared with {reference}: {verdicts}.")
                continue
            above, below = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
            known = int(rows["low"].notna().sum())
            if not known:
                sentences.append(f"{change}: too few runs for intervals of the gain over {reference}.")
                continue
            sentence = f"{change} is above {reference} in {above} of {plural(known, 'comparison')}"
            sentences.append(sentence + (f" and below it in {below}" if below else "") + " (interval without zero).")
        if "recipe_gap" in tables:
            sentences.append(recipe_notes.over_all_tasks(primary_rows.select(tables["recipe_gap"])))
        return [sentence for sentence in sentences if sentence]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        charts = []
        for comparison, (change, reference, _) in COMPARISONS.items():
            rows = _better(tables["gain"], comparison)
            if len(rows):
                charts.append(_chart(rows, f"{change}, compared with {reference}", reference="reference"))
        if "recipe_gap" in tables and len(rows := _over_probe(tables["recipe_gap"])):
            title = f"Every candidate, compared with {PROBE}"
            charts.append(_chart(rows, title, probe="linear model", probe_estimator="kind"))
        return charts


def _chart(rows: pd.DataFrame, title: str, **facts: str) -> Chart:
    """Return a chart of gains. facts: columns of the reference in the tooltip, and their names there."""
    from variability.reporting.page import vega

    columns = ["task", "model", "method", "gain", "low", "high", "n", "interval", *facts]
    tips = vega.tooltip(
        candidate="candidate", gain="mean gain", low="from", high="to", n="runs", **facts, interval="interval"
    )
    color: dict[str, Any] = {"value": "{accent}"}
    marks = [
        vega.reference(0),
        vega.intervals("low", "high", color=color),
        vega.dots("gain", tips=tips, title="gain, {unit}", color=color),
    ]
    return Chart(rows[columns], vega.layers(*marks), title)


def _over_probe(gaps: pd.DataFrame) -> pd.DataFrame:
    """Return how much better the runs are than the reference probe, above 0 where they are better."""
    from variability.reporting import primary_rows

    rows = primary_rows.select(gaps)
    rows = rows[rows["unused"].notna()]
    return rows.assign(gain=-rows["unused"], low=-rows["high"], high=-rows["low"])


def _better(gain: pd.DataFrame, comparison: str) -> pd.DataFrame:
    """Return the gains of one comparison of the primary metric, above 0 where the candidate is better."""
    from variability.reporting import orientation, primary_rows

    rows = primary_rows.select(gain)
    return orientation.turned(rows[(rows["comparison"] == comparison) & rows["gain"].notna()])
