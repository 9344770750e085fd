"""Every run's value as a dot, with the mean and its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_status
from variability.results.columns import CANDIDATE, CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Height of a method's line in inches.
LINE = 0.2


class SeedSpread(Plot):
    """One panel per task, one band per model, one line of dots per method.

    Numbers of completed runs, and of those that did not complete, are on the right of a panel.
    """

    NEEDS = ("runs",)
    ANALYSES = ("intervals",)
    CAPTION = (
        "Every run's primary metric on the test split after fine-tuning: one dot per seed. The tick is the mean over "
        "the completed runs, the bar its t interval, with an arrow where it leaves the panel. Right: numbers of runs, "
        "in red with those that did not complete."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        intervals = primary_rows.select(tables["intervals"])
        means = intervals[intervals["target"] == "mean"].set_index(CELL)
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        scores = relevance.seed_weight(runs), relevance.best(runs)
        shown, best = _panels.choose(tasks, models, LINE * len(methods), scores)
        looks = figure_style.looks(methods)
        width, height = _panels.size(shown, best, LINE * len(methods))
        figure = figure_style.figure(
            width=width,
            height=height,
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, by seed",
            ),
            note="Dots: runs, one per seed. Tick and bar: mean and its "
            f"{text_format.percent(intervals['level'].max())} t interval over the n completed runs; an arrow where it "
            f"leaves the panel.{_labels.one_run(runs)}"
            + _panels.left_out(best, models, "models", relevance.BEST)
            + _panels.left_out(shown, tasks, "tasks", relevance.SEEDED),
            legend=[figure_style.handle(name, look, linestyle="") for name, look in looks.items()],
        )
        for task, axes in _panels.bands(figure, runs, shown, best).items():
            of_task = runs[(runs["task"] == task) & runs["model"].isin(best)]
            ends = means.xs(task, level="task")[["low", "high"]].melt()["value"]
            axes.set_xlim(*_labels.limits(of_task["value"], ends))
            for (model, method), cell in of_task.groupby(CANDIDATE, sort=False):
                middle = _panels.line_position(best.index(model), methods.index(method), len(methods))
                _dots(axes, cell, middle, 0.3 / len(methods), looks[method])
                _interval(axes, means.loc[(model, task, method)], middle)
                _count(axes, cell, middle)
            axes.text(1.02, 1, "n", transform=axes.transAxes, va="bottom", fontsize=6.5, color=figure_style.SOFT)
        return figure


def _dots(axes, cell, middle, height, look):
    values = cell["value"].dropna()
    axes.plot(
        values,
        _panels.scattered(values, middle, height),
        linestyle="",
        marker=look.marker,
        color=look.color,
        markersize=4.2,
        markeredgecolor="white",
        markeredgewidth=0.4,
        alpha=0.85,
    )


def _interval(axes, mean, middle):
    low, high = axes.get_xlim()
    axes.plot([mean["low"], mean["high"]], [middle, middle], color=figure_style.INK, lw=1.2, zorder=3)
    axes.plot(mean["estimate"], middle, marker="|", color=figure_style.INK, markersize=8, markeredgewidth=1.4, zorder=3)
    for edge, marker, outside in ((low, 4, mean["low"] < low), (high, 5, mean["high"] > high)):
        if outside:
            axes.plot(edge, middle, marker=marker, color=figure_style.INK, markersize=5, clip_on=False, zorder=3)


def _count(axes, cell, middle):
    lost = run_status.incomplete(cell).sum()
    values = cell["value"].count()
    text = _labels.counted(values, lost, len(cell) - values - lost)
    style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
    axes.text(1.02, middle, text, color=figure_style.FAILED if lost else figure_style.SOFT, **style)
