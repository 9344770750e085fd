"""Every run's value, with the runs marked that did not work, and their rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import figure_style, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_flags
from variability.results.columns import CANDIDATE, CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LINE = 0.32
#: Markers that no method has; if two reasons apply, the first is drawn.
MARKS = {
    "incomplete": figure_style.Look(figure_style.FAILED, "X", ""),
    "chance": figure_style.Look(figure_style.FAILED, "*", ""),
    "outlier": figure_style.Look(figure_style.FAILED, "d", ""),
}
#: Runs that are marked, but have not failed and are not in the rate.
ABOVE = figure_style.Look(figure_style.INK, "d", "")
LEGEND = {"incomplete": "not completed (no value: at the edge)", "chance": "at chance", "outlier": "outlying"}
#: Columns of the table with the numbers of marked runs, and their names.
COUNTS = {"n_failed": "not completed", "n_chance": "at chance", "n_outlier": "outlying"}


class Failures(Plot):
    """One panel per task, one band per model, one line of runs per method, with the rate as text.

    A tick is the value beyond which a run is outlying.
    """

    NEEDS = ("runs",)
    ANALYSES = ("failures",)
    CAPTION = (
        "Every run's primary metric on the test split after fine-tuning. Crosses: runs that did not complete. Stars: "
        "at chance, no better than a constant prediction. Diamonds: outlying, far below the median (the grey tick is "
        "the limit). Right: the rate of all these runs with its Wilson interval, and their number. Dark diamonds: as "
        "far on the better side, not in the rate, but perhaps a mistake."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        table = tables["failures"]
        runs = run_flags.flagged(primary_rows.select(tables["runs"]), tables["runs"], *_limits(table))
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        flagged = table.groupby("model")["n_flagged"].sum()
        scores = (
            _with_ties(table.groupby("task")["n_flagged"].sum(), relevance.seed_weight(runs)),
            _with_ties(flagged, {model: -rank for model, rank in relevance.best(runs).items()}),
        )
        first, worst = _panels.choose(tasks, models, LINE * len(methods), scores)
        looks = figure_style.looks(methods)
        width, height = _panels.size(first, worst or [""], LINE * len(methods))
        metric = _labels.metric_of(runs) if len(runs) else "primary metric"
        legend = [figure_style.handle(name, look, linestyle="") for name, look in looks.items()]
        legend += [figure_style.handle(LEGEND[reason], look) for reason, look in MARKS.items() if runs[reason].any()]
        legend += [figure_style.handle("far better than its cell", ABOVE)] if runs["above"].any() else []
        figure = figure_style.figure(
            width=width,
            height=height,
            title=self.option(
                "title",
                f"{self.study}: {metric} on the {primary_rows.SPLIT} split after fine-tuning, and marked runs",
            ),
            note=f"Right: rate of marked runs, its {_level(table)} Wilson interval, and how many of n runs are marked; "
            f"of {plural(len(runs), 'run')}, not completed: {int(runs['incomplete'].sum())}, at chance: "
            f"{int(runs['chance'].sum())}, outlying: {int(runs['outlier'].sum())}. Tick: values beyond it are outlying."
            + _panels.left_out(worst, models, "models", "with the most marked runs, then the worst mean rank")
            + _panels.left_out(first, tasks, "tasks", "with the most marked runs, then the largest spread of seeds"),
            legend=legend,
        )
        if runs.empty:
            return _panels.placeholder(figure, "no run has the primary metric on the test split")
        cells = table.set_index(CELL)
        for task, axes in _panels.bands(figure, runs, first, worst).items():
            of_task = runs[(runs["task"] == task) & runs["model"].isin(worst)]
            axes.set_xlim(*_labels.limits(of_task["value"], of_task["value"]))
            for (model, method), cell in of_task.groupby(CANDIDATE, sort=False):
                middle = _panels.line_position(worst.index(model), methods.index(method), len(methods))
                _dots(axes, cell, middle, 0.3 / len(methods), looks[method])
                _limit(axes, cells.loc[(model, task, method), "outlier_limit"], middle, 0.3 / len(methods))
                _rate_text(axes, cells.loc[(model, task, method)], middle)
        return figure


def _with_ties(counts, scores):
    """Return counts, plus less than one by the order of the scores, by name."""
    order = {name: position for position, name in enumerate(sorted(scores, key=lambda name: scores[name]), start=1)}
    return {name: count + order.get(name, 0) / (len(order) + 1) for name, count in counts.items()}


def _limits(table):
    """Return the options ``mads`` and ``points`` that the table was made with."""
    if table.empty:
        return None, run_flags.POINTS
    first = table.iloc[0]
    return (first["mads"] if first["false_alarms"] != first["false_alarms"] else None), first["points"]


def _level(table):
    return text_format.percent(table["level"].max()) if len(table) else ""


def _dots(axes, cell, middle, height, look):
    left, right = axes.get_xlim()
    worst = right if cell["higher_is_better"].eq(False).any() else left
    cell = cell.assign(_y=_panels.scattered(cell["seed"], middle, height))
    cell["value"] = cell["value"].mask(cell["incomplete"], worst)
    unflagged = cell[~cell[[*run_flags.FLAGS, "above"]].any(axis=1)]
    dots = {"linestyle": "", "markeredgecolor": "white", "markeredgewidth": 0.3}
    axes.plot(unflagged["value"], unflagged["_y"], look.marker, color=look.color, markersize=4, alpha=0.85, **dots)
    remaining = cell
    for reason, mark in (MARKS | {"above": ABOVE}).items():
        of_reason, remaining = remaining[remaining[reason]], remaining[~remaining[reason]]
        if len(of_reason):
            position = of_reason["value"], of_reason["_y"]
            axes.plot(*position, mark.marker, color=mark.color, markersize=6.5, clip_on=False, zorder=4, **dots)


def _limit(axes, limit, middle, height):
    left, right = axes.get_xlim()
    if left < limit < right:
        axes.plot([limit, limit], [middle - 1.2 * height, middle + 1.2 * height], color=figure_style.SOFT, lw=1)


def _rate_text(axes, cell, middle):
    marked = cell["n_flagged"]
    color = figure_style.FAILED if marked else figure_style.SOFT
    where = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5, "color": color}
    if cell["n_runs"]:
        text = f"{cell['rate']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"
        axes.text(1.02, middle, text, va="bottom", **where)
    parts = [f"{int(cell[column])} {word}" for column, word in COUNTS.items() if cell[column] > 0]
    text = f"{int(marked)} of {int(cell['n_runs'])}" + (f" ({', '.join(parts)})" if parts else "")
    axes.text(1.02, middle, text, va="top", **where)
