"""Forest plot of every run with the intervals of the mean, of the next run, and of the median run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import figure_style, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_status
from variability.results.columns import CANDIDATE, CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LINE = 0.3
#: Colour of the thick interval, behind the dots.
SHADE = "#C4C4C4"


class Intervals(Plot):
    """One panel per task, one band per model, two lines per method.

    The upper line shows the runs with both t intervals, the lower one the interval of the median run alone, which
    includes the noise of the test set instead of that of the seed.
    """

    NEEDS = ("runs",)
    ANALYSES = ("intervals",)
    CAPTION = (
        "Every run's primary metric on the test split as a dot. Grey, thick: t interval of the mean over seeds "
        "(tick). Thin: t prediction interval of the next run. Dashed, below, where available: interval of the median "
        "run (hollow) alone, which includes the noise of the test set (Wilson, or a bootstrap over examples). Arrows: "
        "an interval goes on."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        intervals = primary_rows.select(tables["intervals"])
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        scores = relevance.separation(runs), relevance.best(runs)
        first, best = _panels.choose(tasks, models, LINE * len(methods), scores)
        looks = figure_style.looks(methods)
        width, height = _panels.size(first, best or [""], LINE * len(methods))
        metric = _labels.metric_of(runs) if len(runs) else "primary metric"
        figure = figure_style.figure(
            width=width,
            height=height,
            title=self.option(
                "title",
                f"{self.study}: {metric} on the {primary_rows.SPLIT} split after fine-tuning, and its intervals",
            ),
            note=f"Dots: runs, one per seed. Grey and thin: {_levels(intervals)} t intervals of the mean and of the "
            f"next run, over the n completed runs. {_of_one_run(intervals)} Arrows: an interval leaves the panel."
            + _labels.one_run(runs)
            + _panels.left_out(best, models, "models", relevance.BEST)
            + _panels.left_out(first, tasks, "tasks", relevance.SEPARATED),
            legend=[figure_style.handle(name, look, linestyle="") for name, look in looks.items()],
        )
        if runs.empty:
            return _panels.placeholder(figure, "no run has the primary metric on the test split")
        cells = intervals.set_index([*CELL, "target"]).sort_index()
        for task, axes in _panels.bands(figure, runs, first, best).items():
            of_task = runs[(runs["task"] == task) & runs["model"].isin(best)]
            ends = cells.xs(task, level="task")[["low", "high"]].melt()["value"]
            axes.set_xlim(*_labels.limits(of_task["value"], ends))
            axes.text(1.02, 1, "n", transform=axes.transAxes, va="bottom", fontsize=6.5, color=figure_style.SOFT)
            for (model, method), cell in of_task.groupby(CANDIDATE, sort=False):
                middle = _panels.line_position(best.index(model), methods.index(method), len(methods))
                _line(axes, cell, cells.loc[(model, task, method)], middle, 0.43 / len(methods), looks[method])
        return figure


def _levels(intervals):
    return text_format.percent(intervals["level"].max()) if len(intervals) else ""


def _of_one_run(intervals):
    """Describe the interval of one run, and for how many cells it is missing, and why."""
    cells = intervals[intervals["target"] == "one_run"]
    has_interval = cells["low"].notna()
    reasons = "; ".join(dict.fromkeys(cells.loc[~has_interval, "note"].dropna())) or "there is no run"
    if not has_interval.any():
        return f"No interval of one run's test examples: {reasons}."
    methods = " or ".join(dict.fromkeys(cells.loc[has_interval, "interval"]))
    missing = (
        f" (missing for {(~has_interval).sum()} of {plural(len(cells), 'cell')}: {reasons})"
        if not has_interval.all()
        else ""
    )
    text = f"Dashed, below: interval of the run with the median value (hollow), {methods}, of its test examples alone"
    return f"{text}{missing}."


def _line(axes, cell, targets, middle, half, look):
    values = cell["value"].dropna()
    above, below = middle - 0.3 * half, middle + 0.6 * half
    _panels.bar(axes, *targets.loc["mean", ["low", "high"]], above, color=SHADE, lw=6, solid_capstyle="butt", zorder=1)
    _panels.bar(axes, *targets.loc["next_run", ["low", "high"]], above, color=figure_style.INK, lw=0.8, zorder=2)
    axes.plot(targets.loc["mean", "estimate"], above, marker="|", color=figure_style.INK, markersize=9, zorder=3)
    axes.plot(
        values,
        _panels.scattered(values, above, 0.35 * half),
        linestyle="",
        marker=look.marker,
        color=look.color,
        markersize=3.6,
        markeredgecolor="white",
        markeredgewidth=0.3,
        alpha=0.85,
        zorder=4,
    )
    # Without an interval the median run would only repeat a dot of the upper line.
    if "one_run" in targets.index and targets.loc["one_run", "low"] == targets.loc["one_run", "low"]:
        one_run = targets.loc["one_run"]
        style = {"color": look.color, "zorder": 2}
        _panels.bar(axes, one_run["low"], one_run["high"], below, lw=1.1, linestyle=(0, (3, 1.5)), **style)
        axes.plot(one_run["estimate"], below, marker=look.marker, markersize=3.4, markerfacecolor="white", **style)
    lost = run_status.incomplete(cell).sum()
    where = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
    text = _labels.counted(len(values), lost, len(cell) - len(values) - lost)
    axes.text(1.02, middle, text, color=figure_style.FAILED if lost else figure_style.SOFT, **where)
