"""Shared ranks on each task: the ranks that the decisions leave to each candidate, with brackets around ties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, rank_words, text_format
from variability.reporting.analyses.decisions import BEATS
from variability.reporting.plots import Plot, _labels, _panels, _rank_limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 20


class SharedRanks(Plot):
    """One panel per task, those with the most decided pairs; rows are the best candidates, at most MOST.

    Bars, brackets and their letters are those of the table ``decisions``.
    """

    NEEDS = ("runs",)
    REQUIRES = ("candidates",)
    ANALYSES = ("decisions",)
    CAPTION = (
        "Ranks that the decisions leave to each candidate of a task (bars, simultaneous limits), in the order of the "
        "means (dots). Brackets on the right join candidates of which none beats another: they share ranks."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, decisions = primary_rows.select(tables["runs"]), tables["decisions"]
        every = _labels.names(decisions, "task")
        decided = (decisions["decision"] == BEATS).groupby(decisions["task"]).mean().to_dict()
        tasks = _panels.highest(every, decided, _panels.TASKS)
        panels = {task: rank_words.ranked(decisions[decisions["task"] == task]) for task in tasks}
        names = {task: [figure_style.wrap(one.name, 30) for one in rows[:MOST]] for task, rows in panels.items()}
        height = _rank_limits.row_height([label for of_task in names.values() for label in of_task])
        most = max(map(len, names.values()), default=0)
        fits, most = _panels.fitting(len(tasks), most, height, 0.8, columns=figure_style.columns(_panels.COLUMNS))
        tasks = _panels.highest(every, decided, fits)
        shown, labels = ({task: rows[task][:most] for task in tasks} for rows in (panels, names))
        longest = max(map(len, shown.values()), default=2)
        rows = -(-len(tasks) // figure_style.columns(_panels.COLUMNS))
        note = f"{_rank_limits.NOTE}{_level(decisions)}{_rank_limits.runs_in_words(runs)}{_labels.one_run(runs)}"
        note += _panels.left_out(tasks, every, "tasks", "with the most decided pairs")
        if any(len(panels[task]) > most for task in tasks):
            note += f" Only the {most} best means of a task are shown."
        figure = figure_style.figure(
            width=max(6.5, 0.4 + 4.2 * min(max(len(tasks), 1), figure_style.columns(_panels.COLUMNS))),
            height=2.0 + max(rows, 1) * (0.8 + height * longest),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, shared ranks",
            ),
            note=note,
        )
        if not tasks:
            return _panels.placeholder(figure, "Not drawn: no two candidates have a value on the same task.")
        for axes, task in zip(_panels.grid(figure, len(tasks)), tasks, strict=True):
            axes.set_title(figure_style.wrap(task, 40), loc="left")
            _rank_limits.draw(axes, shown[task], labels[task])
        return figure


def _level(decisions: pd.DataFrame) -> str:
    return f" Level: {text_format.percent(decisions['level'].iloc[0])} per task." if len(decisions) else ""
