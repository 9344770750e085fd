"""Candidates that are first on each task, and those that cannot be separated from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.advice import plural
from variability.reporting import display_names
from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

FIRST, BEATEN, NOT_COMPARED = "the best, or one of those that may be", "beaten", "not compared"
#: Colour of each.
LOOKS = {FIRST: "{accent}", BEATEN: "{soft}", NOT_COMPARED: "{faint}"}


class Winners(Question):
    """Means of all candidates with intervals, marked by the decisions of the study."""

    TITLE = "Who wins, and how sure is that?"
    ORDER = 10
    ANALYSES: ClassVar[tuple[str, ...]] = ("decisions", "intervals")
    READING = (
        "One dot per candidate: the mean over its completed runs; the line is its interval. The best candidate is "
        "among the filled blue dots: no other candidate beats them once all comparisons of the task are taken "
        "together. Overlapping lines do not decide this, the table decisions does."
    )
    DOCS = "statistics/comparisons.md#decisions"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        from variability.reporting import decision_words

        of_tasks = [of_task for _, of_task in tables["decisions"].groupby("task", sort=False)]
        open_tasks = [of_task for of_task in of_tasks if not of_task["is_best"].iloc[0]]
        sizes = sorted(len(decision_words.first_place(of_task)) for of_task in open_tasks)
        shared = [size for size in sizes if size > 1]
        decided = len(of_tasks) - len(open_tasks)
        if len(of_tasks) == 1:
            sentences = [f"{'One' if decided else 'No'} candidate beats all others."]
        else:
            sentences = [f"On {decided} of {plural(len(of_tasks), 'task')} one candidate beats all others."]
        if shared:
            least, most = shared[0], shared[-1]
            counts = f"{least} candidates" if least == most else f"{least} to {most} candidates"
            where = f"On {plural(len(shared), 'task')}, the" if len(of_tasks) > 1 else "The"
            sentences.append(f"{where} best is one of {counts}, none of which beats another.")
        if unknown := sizes.count(0):
            where = f"On {plural(unknown, 'task')} no" if len(of_tasks) > 1 else "No"
            sentences.append(f"{where} two candidates can be compared, which needs two runs of both.")
        return sentences

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        from variability.reporting import decision_words, primary_rows
        from variability.reporting.page import vega

        means = primary_rows.select(tables["intervals"])
        means = means[means["target"] == "mean"].copy()
        places = {}
        for task, of_task in tables["decisions"].groupby("task", sort=False):
            places |= dict.fromkeys(((task, name) for name in decision_words.first_place(of_task)), FIRST)
            places |= dict.fromkeys(((task, name) for name in decision_words.not_compared(of_task)), NOT_COMPARED)
        names = zip(means["task"], means["model"], means["method"], strict=True)
        # A task with one candidate has no decisions.
        rest = {task: BEATEN for task, _ in places}
        means["place"] = [
            places.get((task, display_names.candidate(model, method)), rest.get(task, NOT_COMPARED))
            for task, model, method in names
        ]
        means = means.dropna(subset="estimate")
        columns = ["task", "model", "method", "estimate", "low", "high", "n", "n_failed", "place", "interval", "level"]
        color = {
            "field": "place",
            "scale": {
                "domain": [name for name in LOOKS if name in set(means["place"])],
                "range": [LOOKS[name] for name in LOOKS if name in set(means["place"])],
            },
            "legend": {"title": None, "orient": "top"},
        }
        tips = vega.tooltip(
            candidate="candidate", estimate="mean", low="from", high="to", n="runs", n_failed="without a result",
            place="place",
        )  # fmt: skip
        marks = [vega.intervals("low", "high", color=color), vega.dots("estimate", tips=tips, color=color)]
        return [Chart(means[columns], vega.layers(*marks), "Mean of every candidate with its interval")]
