"""Cost of a cell's runs against their result, with the Pareto front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: With more models than this, only those on a front have a number.
FEW = 12
NUMBERS = 24
FRONT = figure_style.Look(figure_style.INK, "", "-")


class Cost(Plot):
    """One panel per task: a large mark per cell, a faint dot per run; numbers identify models.

    Time has a logarithmic scale, on which equal distances are equal factors.
    """

    NEEDS = ("runs",)
    REQUIRES = ("candidates",)
    ANALYSES = ("cost",)
    CAPTION = (
        "Seconds of fine-tuning per run (logarithmic) against the primary metric on the test split: a mark per cell "
        "at the means over runs, whiskers of one SD, a faint dot per run; with many cells only those of the front "
        "have whiskers. The line joins the cells that no other cell beats in both (Pareto front). Numbers: models, "
        "see the legend."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        timed = runs[runs["seconds"] > 0]
        cells = tables["cost"]
        cells = cells[(cells["quantity"] == "seconds") & (cells["estimate"] > 0) & cells["value_mean"].notna()]
        known = [task for task in tasks if task in set(cells["task"])]
        most = min(len(known), _panels.TASKS)
        most, _ = _panels.fitting(most, 1, 3, 0, columns=figure_style.columns(_panels.COLUMNS))
        shown = _panels.highest(known, cells.groupby("task")["total"].sum().to_dict(), most)
        looks = figure_style.looks(methods)
        numbers = _numbers(models, cells[cells["task"].isin(shown)])
        legend = [figure_style.handle(name, look, linestyle="") for name, look in looks.items()]
        legend.append(figure_style.handle("front", FRONT))
        legend += [
            figure_style.handle(model, _figure(number), markersize=_number_size(number))
            for model, number in numbers.items()
        ]
        columns = min(max(len(shown), 1), figure_style.columns(_panels.COLUMNS))
        metric = _labels.metric_of(runs) if len(runs) else "primary metric"
        entries = max((len(name) for name in [*numbers, *methods]), default=1)
        per_row = max(1, int((1.5 + 3.6 * columns) / (0.085 * entries + 0.6)))
        figure = figure_style.figure(
            width=max(6.5, 1.5 + 3.6 * columns),
            height=1.5 + 0.17 * len(legend) / per_row + 3 * -(-max(len(shown), 1) // columns),
            title=self.option("title", f"{self.study}: {metric} on the {primary_rows.SPLIT} split, and time per run"),
            note=f"Marks: means over the completed runs of a cell ({text_format.count(cells['n'])}); whiskers: ± 1 SD; "
            f"faint dots: runs. {_labels.incomplete(runs)}; these have no dot. Front: cells "
            "that no other cell dominates in speed and score; seconds are of fine-tuning."
            + _panels.left_out(shown, tasks, "tasks", "whose runs took the most time"),
            legend=legend,
        )
        if not shown:
            return _panels.placeholder(figure, "no completed run whose seconds are known")
        for axes, task in zip(_panels.grid(figure, len(shown)), shown, strict=True):
            of_task, means = timed[timed["task"] == task], cells[cells["task"] == task]
            _axes(axes, of_task.dropna(subset=["value"]))
            axes.set_title(figure_style.wrap(task, 40), loc="left")
            axes.set_ylabel(figure_style.wrap(runs.loc[runs["task"] == task, "label"].iloc[0], 36))
            for method, look in looks.items():
                _runs(axes, of_task[of_task["method"] == method], look)
                _means(axes, means[means["method"] == method], look, numbers, len(models) > FEW)
            _front(axes, means[means["on_front"].eq(True)])
        return figure


def _numbers(models, cells):
    """Return {model: number} of the models that have a number."""
    on_front = set(cells.loc[cells["on_front"].eq(True), "model"])
    few = len(models) <= FEW
    named = [(number, model) for number, model in enumerate(models, 1) if few or model in on_front]
    return {model: number for number, model in named[:NUMBERS]}


def _number_size(number):
    # The size of a marker is that of its longer side.
    return 5 if number < 10 else 8


def _figure(number):
    # Drawn as a marker, so that it can be close to its cell.
    return figure_style.Look(figure_style.INK, figure_style.text_marker(str(number)), "")


def _axes(axes, runs):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = runs["seconds"].min(), runs["seconds"].max()
    axes.set_xscale("log")
    # Wide enough that at least one tick label is visible.
    axes.set_xlim(low / 1.7, high * 1.7)
    axes.set_ylim(*_labels.limits(runs["value"], runs["value"]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds of fine-tuning per run (log scale)")
    axes.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _runs(axes, runs, look):
    axes.plot(runs["seconds"], runs["value"], look.marker, color=look.color, markersize=3, alpha=0.3, lw=0, zorder=2)


def _means(axes, cells, look, numbers, many):
    from matplotlib.transforms import ScaledTranslation

    shifted = axes.transData + ScaledTranslation(7 / 72, 6 / 72, axes.figure.dpi_scale_trans)
    left = axes.get_xlim()[0]
    for _, cell in cells.iterrows():
        x, y = cell["estimate"], cell["value_mean"]
        # A logarithmic scale has no 0.
        if many and not cell["on_front"]:
            axes.plot(x, y, look.marker, color=look.color, markersize=4.5, markeredgewidth=0, alpha=0.7, zorder=2.2)
            continue
        axes.plot([max(x - cell["sd"], left), x + cell["sd"]], [y, y], color=look.color, lw=1, zorder=3)
        axes.plot([x, x], [y - cell["value_sd"], y + cell["value_sd"]], color=look.color, lw=1, zorder=3)
        axes.plot(x, y, look.marker, color=look.color, markersize=6, markeredgecolor=figure_style.INK, zorder=4)
        if cell["model"] in numbers:
            mark = _figure(numbers[cell["model"]])
            style = {"linestyle": "", "markersize": _number_size(numbers[cell["model"]]), "markeredgewidth": 0}
            axes.plot(x, y, marker=mark.marker, color=mark.color, transform=shifted, zorder=5, **style)


def _front(axes, cells):
    cells = cells.sort_values("estimate")
    right = axes.get_xlim()[1]
    # A cell's mean is available for any budget from its cost on.
    x, y = [*cells["estimate"], right], [*cells["value_mean"], *cells["value_mean"].tail(1)]
    axes.step(x[: len(y)], y, where="post", color=FRONT.color, lw=0.9, linestyle=FRONT.line, zorder=2.5)
