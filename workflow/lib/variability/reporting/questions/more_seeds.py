"""Numbers of seeds that a precision, a difference or a decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

#: Goals of the table ``seeds_needed`` in words.
GOALS = {
    "half_width": "know the mean within ± {goal}",
    "difference": "see a difference of {goal} from another candidate",
    "gap": "separate it from the next worse candidate",
    "better": "show that it is better in {goal} of all pairs of runs",
}
#: Name of a goal that is another number in each cell, see the table.
MARGIN = "the margin of its task"


class MoreSeeds(Question):
    """Runs per candidate that the usual goals need, next to those of the study."""

    TITLE = "How many seeds are enough?"
    ORDER = 50
    ANALYSES: ClassVar[tuple[str, ...]] = ("seeds_needed",)
    READING = (
        "One dot per candidate and goal: the number of seeds that reaches the goal, on a logarithmic scale. The dashed "
        "line is the number of runs that the study has; dots to its left are reached already. A number that separates "
        "two candidates is that of one comparison alone. Claims share their level among all comparisons, so the number "
        "of seeds that a claim names is usually larger."
    )
    DOCS = "statistics/sample-size.md#seeds_needed"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import text_format
        from variability.stats import sample_size

        rows = _goals(tables["seeds_needed"])
        sentences = []
        for goal, of_goal in rows.groupby("goal_in_words", sort=False):
            reached = int((of_goal["n_needed"] <= of_goal["n"]).sum())
            needed = text_format.count(of_goal["n_needed"]).removeprefix("n = ")
            needed += " or more" if of_goal["n_needed"].max() >= sample_size.MOST else ""
            of = plural(len(of_goal), "cell")
            sentences.append(f"To {goal}: {needed} runs; reached by {reached} of {of}.")
        return sentences

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        rows = _goals(tables["seeds_needed"])
        columns = ["task", "model", "method", "goal_in_words", "n_needed", "n", "reference", "power"]
        tips = vega.tooltip(
            candidate="candidate", goal_in_words="to", n_needed="runs needed", n="runs now", reference="compared with"
        )
        legend = {"title": "to", "orient": "top", "columns": 1}
        colors = ["{accent}", "{second}", "{third}", "{fourth}"]
        color = {"field": "goal_in_words", "scale": {"range": colors}, "legend": legend}
        shape = {"field": "goal_in_words", "legend": legend}
        now: dict[str, Any] = {
            "data": {"name": "rows"},
            "mark": {"type": "rule", "strokeDash": [4, 3], "opacity": 0.7, "color": "{ink}"},
            "encoding": {"x": {"aggregate": "max", "field": "n", "type": "quantitative"}},
        }
        dots = vega.dots("n_needed", tips=tips, title="runs per candidate", color=color, shape=shape)
        dots["encoding"]["x"]["scale"] = {"type": "log", "nice": False, "padding": 12}
        return [Chart(rows[columns], vega.layers(now, dots), "Seeds needed by every candidate for every goal")]


def _goals(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with numbers of runs, with their goals in words: one for all tasks, whatever their units."""
    from variability.reporting import primary_rows, text_format

    rows = primary_rows.select(table).dropna(subset="n_needed").copy()
    rows = rows[rows["target"].isin(list(GOALS))]
    words = {}
    for target, goals in rows.groupby("target")["goal"]:
        alike = goals.nunique() == 1
        words[target] = GOALS[target].format(goal=text_format.number(goals.iloc[0]) if alike else MARGIN)
    return rows.assign(goal_in_words=rows["target"].map(words))
