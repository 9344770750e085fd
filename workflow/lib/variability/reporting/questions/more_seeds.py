"""Numbers of seeds that a precision, a difference or a decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from variability.advice import listed, plural
from variability.reporting import display_names
from variability.reporting.questions import Chart, Question
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd


class Goal(NamedTuple):
    """A goal in words. sentence: continues "To"; label: in the legend of the chart, at most 30 characters."""

    sentence: str
    label: str


#: Goals of the table ``seeds_needed`` by target, and that of the table ``decisions``.
GOALS = {
    "half_width": Goal("know the mean within ± {goal}", "mean within ± {goal}"),
    "difference": Goal("see a difference of {goal} in one planned comparison", "a difference of {goal}"),
    "better": Goal("show that one candidate is better in {goal} of all pairs of runs", "better in {goal} of pairs"),
    "decision": Goal("decide between a candidate and the next worse one", "the next worse candidate"),
}
#: Why pairs of candidates have no number.
NO_PLAN = "no plan from single, equal or collapsed runs, nor for splits that overlap"
#: Most different sizes of a goal that a sentence lists.
MOST_SIZES = 2


class MoreSeeds(Question):
    """Runs per candidate that the usual goals need, next to those of the study."""

    TITLE = "How many seeds are enough?"
    ORDER = 50
    ANALYSES: ClassVar[tuple[str, ...]] = ("seeds_needed",)
    READING = (
        "One dot per candidate and goal: the number of runs that reaches the goal, on a logarithmic scale. The dashed "
        "line is the number of runs that the study has; dots on it or to its left are reached already. The number for "
        "the next worse candidate is the one that claims name: it probably ends the comparison of the two, with a "
        "difference or as equivalent, among all comparisons of the task. That for a difference of a given size is for "
        "one comparison planned alone."
    )
    DOCS = "statistics/sample-size.md#seeds_needed"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import text_format
        from variability.stats import sample_size

        sentences = []
        without = _without_number(tables)
        for sentence, of_goal in _goals(tables).groupby("sentence", sort=False):
            reached = int((of_goal["n_needed"] <= of_goal["n"]).sum())
            needed = text_format.count(of_goal["n_needed"]).removeprefix("n = ")
            needed += " or more" if of_goal["n_needed"].max() >= sample_size.MOST else ""
            of = plural(len(of_goal), "pair" if of_goal["target"].iloc[0] == "decision" else "cell")
            unknown = without.get(of_goal["target"].iloc[0], "")
            sentences.append(f"To {sentence}: {needed} runs; reached by {reached} of {of}{unknown}.")
        return sentences

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting.page import vega

        rows = _goals(tables)
        columns = [
            "task",
            "model",
            "method",
            "label",
            "n_needed",
            "needed",
            "n",
            "goal",
            "reference",
            "power",
            "offset",
        ]
        tips = vega.tooltip(
            candidate="candidate", label="for", needed="runs needed", n="runs now", goal="goal", reference="against"
        )
        legend = {"title": "runs for", "orient": "top", "columns": 1}
        labels = list(rows["label"].unique())
        # Goals that need equally many runs are side by side.
        rows["offset"] = rows["label"].map({label: (2 * at + 1) / len(labels) - 1 for at, label in enumerate(labels)})
        colors = ["{accent}", "{second}", "{third}", "{fourth}"][: len(labels)]
        color = {"field": "label", "scale": {"domain": labels, "range": colors}, "legend": legend}
        shape = {"field": "label", "scale": {"domain": labels}, "legend": legend}
        now: dict[str, Any] = {
            "data": {"name": "rows"},
            "mark": {"type": "rule", "strokeDash": [4, 3], "opacity": 0.7, "color": "{ink}"},
            "encoding": {"x": {"aggregate": "max", "field": "n", "type": "quantitative"}},
        }
        dots = vega.dots("n_needed", tips=tips, title="runs per candidate", color=color, shape=shape)
        dots["mark"]["size"] = 45
        dots["encoding"]["x"]["scale"] = {"type": "log", "nice": False, "padding": 12}
        dots["encoding"]["yOffset"] = {"field": "offset", "type": "quantitative", "scale": {"domain": [-1, 1]}}
        chart = vega.layers(now, dots, height={"step": 30})
        return [Chart(rows[columns], chart, "Seeds needed by every candidate for every goal")]


def _goals(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rows with numbers of runs, with their goals in words: one for all tasks, whatever their units."""
    import pandas as pd

    from variability.reporting import primary_rows, text_format

    rows = primary_rows.select(tables["seeds_needed"])
    parts = [rows[rows["target"].isin(list(GOALS))].assign(reference=None)]
    if len(tables.get("decisions", ())):
        parts.append(_of_decisions(primary_rows.select(tables["decisions"])))
    rows = pd.concat(parts, ignore_index=True).dropna(subset="n_needed")
    words = {}
    for target, goals in rows.groupby("target", sort=False):
        words[target] = [text.format(goal=size) for text, size in zip(GOALS[target], _size(goals), strict=True)]
    sentences, labels = ([words[target][at] for target in rows["target"]] for at in (0, 1))
    return rows.assign(sentence=sentences, label=labels, needed=rows["n_needed"].map(text_format.runs_needed))


def _without_number(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return how many cells or pairs have no number, and the reasons, in words by target."""
    import pandas as pd

    from variability.reporting import primary_rows

    parts = [primary_rows.select(tables["seeds_needed"])]
    if len(tables.get("decisions", ())):
        parts.append(_of_decisions(primary_rows.select(tables["decisions"])).assign(note=NO_PLAN))
    rows = pd.concat([part.reindex(columns=["target", "n_needed", "note"]) for part in parts], ignore_index=True)
    rows = rows[rows["n_needed"].isna()]
    return {
        str(target): f"; unknown for {len(cells)} more ({'; '.join(cells['note'].dropna().unique())})"
        for target, cells in rows.groupby("target", sort=False)
    }


def _of_decisions(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that decide between every candidate and the one with the next worse mean on its task."""
    import numpy as np

    from variability.stats import sample_size

    nearest = pairs.sort_values("difference", kind="stable").drop_duplicates(CELL)
    constant = nearest["deterministic"].astype(bool) | nearest["deterministic_b"].astype(bool)
    sides = nearest[["n", "n_b"]]
    n = sides.max(axis=1).where(constant, sides.min(axis=1))
    names = zip(nearest["model_b"], nearest["method_b"], strict=True)
    return nearest[CELL].assign(
        target="decision",
        goal=nearest["difference"],
        n=n,
        n_needed=np.minimum(n + nearest["n_more"], sample_size.MOST),
        reference=[display_names.candidate(*name) for name in names],
        power=np.nan,
    )


def _size(goals: pd.DataFrame) -> tuple[str, str]:
    """Return the size of the goals of one target in words, and in few words. goals: its rows."""
    from variability.reporting import text_format
    from variability.reporting.analyses.seeds_needed import AS_GIVEN, DECLARED, OF_MEAN

    target, sizes, origins = goals["target"].iloc[0], goals["goal"], goals["goal_from"]
    if target == "decision":
        return "", ""
    if sizes.nunique() == 1:
        size = text_format.percent(sizes.iloc[0]) if target == "better" else f"{sizes.iloc[0]:.3g}"
        return size, size
    if (origins == DECLARED).all():
        return "the margin of its task", "its margin"
    of_mean = origins.str.contains(OF_MEAN, regex=False)
    share = next((origin.partition(" of ")[0] for origin in origins if origin not in (AS_GIVEN, DECLARED)), "")
    if of_mean.all():
        return f"{share} of the mean", share
    if not (of_mean | (origins == DECLARED)).any():
        return f"{share} of the range of its metric", f"{share} of the range"
    numbers = sizes[(origins == AS_GIVEN) | (origins == DECLARED)]
    ranges = ~of_mean & (origins != AS_GIVEN) & (origins != DECLARED)
    parts = [f"{size:.3g}" for size in sorted(numbers.unique())] if numbers.nunique() <= MOST_SIZES else ["the margin"]
    parts += [f"{share} of the mean"] * bool(of_mean.any()) + [f"{share} of the range"] * bool(ranges.any())
    return f"{listed(parts, last=' or ')} (by task)", "its goal"
