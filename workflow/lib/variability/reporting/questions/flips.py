"""Test examples on which runs of the same candidate disagree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.reporting.questions import Chart, Question, _names

if TYPE_CHECKING:
    import pandas as pd


class Flips(Question):
    """Disagreement of runs on single examples; the page shows the examples below."""

    TITLE = "Which examples flip?"
    ORDER = 70
    ANALYSES: ClassVar[tuple[str, ...]] = ("churn",)
    READING = (
        "One dot per candidate: how often two of its runs, which differ in their seed only, predict something else for "
        "the same test example; the line is its interval. Two runs can have the same score and still disagree. Below "
        "are the examples on which the runs disagree most, with the votes of the seeds."
    )
    DOCS = "statistics/predictions-and-cost.md#churn"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import text_format

        rows = _within(tables["churn"])
        if rows.empty:
            return []
        # Shares of examples and differences of numbers have no common scale.
        return [_range(of_kind, text_format) for _, of_kind in rows.groupby("kind", sort=False)]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega
        from variability.results import predictions

        rows = _within(tables["churn"])
        columns = ["task", "model", "method", "estimate", "low", "high", "n", "n_examples", "interval"]
        tips = vega.tooltip(
            candidate="candidate", estimate="disagreement", low="from", high="to", n="runs", n_examples="examples"
        )
        color = {"value": "{accent}"}
        # Tasks of several kinds have several units.
        kinds = rows["kind"].unique()
        unit = f" ({predictions.unit(kinds[0])})" if len(kinds) == 1 else ""
        marks = [
            vega.intervals("low", "high", color=color),
            vega.dots("estimate", tips=tips, title=f"disagreement of two runs{unit}", color=color),
        ]
        return [Chart(rows[columns], vega.layers(*marks), "Disagreement of two runs of a candidate")]


def _within(churn: pd.DataFrame) -> pd.DataFrame:
    return churn[(churn["quantity"] == "disagreement") & churn["model_reference"].isna()].dropna(subset="estimate")


def _range(rows, text_format) -> str:
    """Return the sentence on the candidates of one kind of task that disagree least and most."""
    from variability.results import predictions

    least, most = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
    disagree, what = "disagree on", " of the test examples"
    if not predictions.is_discrete(most["kind"]):
        disagree, what = "disagree by", f" on average, {predictions.unit(most['kind'])}"
    amounts = f"{_amount(least, text_format)} ({_names.cell(least)})"
    if len(rows) > 1:
        amounts += f" to {_amount(most, text_format)} ({_names.cell(most)})"
    return f"Two runs that differ in their seed only {disagree} {amounts}{what}."


def _amount(row, text_format) -> str:
    from variability.results import predictions

    if predictions.is_discrete(row["kind"]):
        return f"{100 * row['estimate']:.1f} %"
    return text_format.number(row["estimate"])
