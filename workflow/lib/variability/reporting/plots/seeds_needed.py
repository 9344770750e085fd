"""Power to detect a difference against the number of runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = 2
LOOKS = {
    "sd": figure_style.Look(figure_style.COLORS[0], "o", "-"),
    "sd_upper": figure_style.Look(figure_style.COLORS[1], "s", "--"),
}


class SeedsNeeded(Plot):
    """One panel per task: power of a two-sided t test against the number of runs per model, for the task's median SD.

    The upper curve uses that SD itself, the lower one its upper confidence limit.
    """

    NEEDS = ("runs",)
    REQUIRES = ("seeds",)
    ANALYSES = ("seeds_needed",)
    CAPTION = (
        "Power to detect a given difference between two models in one planned comparison, against the number of "
        "completed runs per model: from the median SD of a task's cells, and from the median of its upper confidence "
        "limits, which is the one to plan with. Marks: where the power that is aimed at (horizontal line) is reached. "
        "Grey: n of the study."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), primary_rows.select(tables["seeds_needed"])
        every = [task for task in _labels.names(runs, "task") if (table["task"] == task).any()]
        needed = table[table["target"] == "difference"].groupby("task")["n_needed"].median().dropna().to_dict()
        most = min(len(every), _panels.TASKS)
        most, _ = _panels.fitting(most, 1, 2.75, 0, columns=figure_style.columns(COLUMNS))
        tasks = _panels.highest(every, needed, most)
        rows, columns = (
            max(1, -(-len(tasks) // figure_style.columns(COLUMNS))),
            max(1, min(figure_style.columns(COLUMNS), len(tasks))),
        )
        level = text_format.percent(table["sd_level"].max()) if len(table) else ""
        figure = figure_style.figure(
            width=max(6.5, 4.1 * columns),
            height=1.9 + 2.75 * rows,
            title=self.option(
                "title",
                f"{self.study}: runs needed to detect a difference, {_labels.metric_of(runs)} on the "
                f"{primary_rows.SPLIT} split",
            ),
            note="Power of one two-sided t test with n completed runs of either model (noncentral t), both with the "
            f"task's median SD, or the median of its one-sided {level} upper limits (chi-square). Vertical lines: the "
            f"study's n (grey) and the n that detects such a chance (dotted). {_labels.incomplete(runs)}."
            + _panels.left_out(tasks, every, "tasks", "that need the most runs"),
            legend=_legend(table),
        )
        if not tasks:
            return _panels.placeholder(figure, "There are no runs to plan with.")
        if not (table["sd"] > 0).any():
            text = "No candidate has two completed runs that differ, and so an SD to plan with."
            return _panels.placeholder(figure, text)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(grid.flat, tasks, strict=False):
            _panel(axes, task, table[table["task"] == task])
        return figure


def _legend(table):
    legend = [
        figure_style.handle("from the median SD", LOOKS["sd"]),
        figure_style.handle("from the median upper limit of the SD", LOOKS["sd_upper"]),
    ]
    better = table[table["target"] == "better"]
    if len(better):
        chance = text_format.percent(better["goal"].iloc[0])
        label = f"{chance} chance that a run of one is better: n = {better['n_needed'].iloc[0]:.0f}"
        legend.append(figure_style.handle(label, figure_style.Look(figure_style.INK, "", ":"), lw=1))
    return [
        *legend,
        figure_style.handle("n of the study", figure_style.Look(figure_style.SOFT, "", "-"), lw=3, alpha=0.5),
    ]


def _panel(axes, task, table):
    import numpy as np

    from variability.stats import sample_size

    cells, better = table[table["target"] == "difference"], table[table["target"] == "better"]
    level, goal, counts = cells["level"].iloc[0], cells["power"].iloc[0], cells["n"]
    # In units of the difference, which varies between cells if it is a fraction of the mean.
    # Equal runs show no SD, and where no seed changes the value there is nothing to plan.
    varying = cells[cells["sd"] > 0]
    spread = {name: (varying[name] / varying["goal"]).median() for name in LOOKS}
    known = not any(math.isnan(value) for value in spread.values())
    needed = {name: float(sample_size.for_power(1, value, value, goal, level)) for name, value in spread.items()}
    most = max([10, 2 * counts.max(), 1.3 * better["n_needed"].max(), *([1.6 * needed["sd_upper"]] if known else [])])
    runs = np.unique(np.geomspace(2, most, 200).round())
    axes.axvspan(
        max(counts.min(), 1) / 1.03, max(counts.max(), 1) * 1.03, color=figure_style.SOFT, alpha=0.5, lw=0, zorder=0
    )
    axes.axvline(better["n_needed"].iloc[0], color=figure_style.INK, lw=1, linestyle=":", zorder=1)
    axes.axhline(goal, color=figure_style.SOFT, lw=0.6, zorder=0)
    for name, look in LOOKS.items() if known else ():
        power = sample_size.power(1, spread[name], spread[name], runs, level)
        axes.plot(runs, power, color=look.color, linestyle=look.line, lw=1.6)
        reached = float(sample_size.power(1, spread[name], spread[name], needed[name], level))
        axes.plot(needed[name], reached, look.marker, color=look.color, markersize=6, zorder=3)
    axes.set_xscale("log")
    axes.set_xlim(1.8, most)
    axes.set_ylim(0, 1.03)
    ticks = [tick for tick in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if tick <= most]
    axes.set_xticks(ticks[:: -(-len(ticks) // 7)], [str(tick) for tick in ticks[:: -(-len(ticks) // 7)]])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("n, completed runs per model")
    axes.set_ylabel("power")
    axes.set_title(f"{figure_style.wrap(task, 36)}\n{_text(cells, needed, goal, known)}", loc="left", fontsize=8)


def _text(cells, needed, goal, known):
    goals = cells["goal"].dropna()
    study_n = f"the study has {text_format.count(cells['n'])}"
    if not known:
        return f"no SD: {study_n}"
    least, largest = (float(f"{value:.2g}") for value in (goals.min(), goals.max()))
    difference = f"{least:g}" if least == largest else f"{least:g} to {largest:g}"
    counts = [text_format.runs_needed(n) for n in needed.values()]
    text = f"{text_format.percent(goal)} for a difference of {difference}: n = {counts[0]}"
    return f"{text}, upper limit {counts[1]};\n{study_n}"
