"""Gains over the untrained head, over a linear probe, and over training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

#: Comparisons of the table ``gain`` in the order of the page: what was changed, against what, the claims about it, and
#: the column of ``decisions`` that names the reference.
COMPARISONS = {
    "before": ("Fine-tuning", "the same network with its untrained head", None, None),
    "linear_probe": ("Fine-tuning more than the head", "a linear probe", "gain_over_probe", "method_b"),
    "from_scratch": (
        "Starting from pretrained weights", "training from random weights", "pretraining_helps", "model_b"
    ),
}  # fmt: skip

#: Words for the line of a chart.
ADJUSTED, ALONE = "adjusted {level} interval", "{level} interval, not adjusted"

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
        "Adjusted intervals are those of the verdicts: they allow for all comparisons of the task, and exclude zero "
        "where one candidate beats the other. The others are each for one comparison alone. "
        "The linear model of frozen features costs seconds: where a candidate is left of zero, its recipe leaves "
        "unused what the pretrained network offers, and a lower mean says little about the model."
    )
    DOCS = "statistics/gains.md#gain"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import decision_words, primary_rows, recipe_notes

        sentences = []
        for comparison, (change, reference, claim, _) in COMPARISONS.items():
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
        for comparison, (change, reference, _, other) in COMPARISONS.items():
            rows, line = _better(tables["gain"], comparison), ALONE
            if rows.empty:
                continue
            if other and len(tables.get("decisions", ())):
                rows, line = _as_decided(rows, tables, comparison, other), ADJUSTED
            charts.append(_chart(rows, f"{change}, compared with {reference}", line, reference="reference"))
        if "recipe_gap" in tables and len(rows := _over_probe(tables["recipe_gap"])):
            title = f"Every candidate, compared with {PROBE}"
            charts.append(_chart(rows, title, ALONE, probe="linear model", probe_estimator="kind"))
        return charts


def _as_decided(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], comparison: str, other: str) -> pd.DataFrame:
    """Return gains with the differences and intervals of the table ``decisions``, by which claims have their verdicts.

    other: the column of a pair that names the reference.
    """
    from variability.reporting import claimed_pairs

    pairs = claimed_pairs.both_ways(tables["decisions"])
    pairs = claimed_pairs.with_controls(pairs, tables["gain"], comparison, other)
    facts = ["difference", "low", "high", "interval"]
    pairs = pairs.rename(columns={other: "reference"}).drop_duplicates([*CELL, "reference"])
    kept = rows.drop(columns=["low", "high", "interval"])
    merged = kept.merge(pairs[[*CELL, "reference", *facts]], on=[*CELL, "reference"], how="left")
    return merged.assign(gain=merged["difference"].fillna(merged["gain"]))


def _chart(rows: pd.DataFrame, title: str, line: str, **facts: str) -> Chart:
    """Return a chart of gains.

    line: words for the intervals. facts: columns of the reference in the tooltip, and their names there.
    """
    from variability.reporting import text_format
    from variability.reporting.page import vega

    # The title of the axis may break into lines, but not before a percent sign.
    line = line.format(level=text_format.percent(rows["level"].iloc[0]).replace(" ", "\N{NO-BREAK SPACE}"))

    columns = ["task", "model", "method", "gain", "low", "high", "n", "interval", *facts]
    tips = vega.tooltip(
        candidate="candidate", gain="mean gain", low="from", high="to", n="runs", **facts, interval="interval"
    )
    color: dict[str, Any] = {"value": "{accent}"}
    marks = [
        vega.reference(0),
        vega.intervals("low", "high", color=color),
        vega.dots("gain", tips=tips, title=f"gain, {{unit}}; line: {line}", color=color),
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
