"""Disagreement of cells' runs on single test examples, and its distribution over the examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import predictions
from variability.results.columns import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest numbers of tasks, of cells per task, also in a narrow figure, and of cells with numbers in the matrix.
TASKS, CELLS, NARROW_CELLS, NUMBERED = 8, 30, 7, 10
#: Smallest width with numbers on the right, and heights of a part without its rows, also for stacked parts, in inches.
WIDTH, FIXED, STACKED_FIXED = 10.0, 0.85, 0.95
REFERENCE = ["model_reference", "method_reference"]


class Churn(Plot):
    """One row of panels per task: the matrix of disagreement, and each cell's flip rates, example by example.

    A strip is a quantile function in colours: the most stable twentieth of the examples is on the left.
    """

    NEEDS = ()
    ANALYSES = ("churn",)
    CAPTION = (
        "Matrix: mean disagreement (colour, number) between runs of two cells of a task on single test examples; the "
        "diagonal is that between seeds of one cell. Strips: each cell's examples from the most to the least stable "
        "one; colour: share of pairs of runs that predict something else, or their mean difference. Numbers on the "
        "right, if there is room: the diagonal's value [jackknife interval]."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        table = tables["churn"]
        every, within = _labels.names(table, "task"), _within(table)
        sizes = within.groupby("task").size()
        most = max(
            label.count("\n") + 1 for label in _cell_labels(list(zip(table["model"], table["method"], strict=True)))
        )
        each = max(0.24, 0.14 * most)
        if figure_style.stacked():
            # A second task would leave room for two cells only.
            fits, rows = _panels.fitting(1, min(sizes.max(), NARROW_CELLS), 1.5 * each, 2 * STACKED_FIXED)
        else:
            fits, rows = _panels.fitting(min(len(every), TASKS), min(sizes.max(), CELLS), each, FIXED)
        tasks = _panels.highest(every, _instability(within), fits)
        cells = {task: _least_stable(within[within["task"] == task], rows) for task in tasks}
        labels = {task: _cell_labels(cells[task]) for task in tasks}
        heights = [_height(labels[task]) for task in tasks]
        figure = figure_style.figure(
            width=max(WIDTH, 7.2 + 0.26 * max(map(len, cells.values()))),
            height=1.2 + sum(heights),
            title=self.option(
                "title", f"{self.study}: churn, the disagreement of runs on {primary_rows.SPLIT} examples"
            ),
            note=_note(table)
            + _panels.left_out(tasks, every, "tasks", "on which runs disagree most")
            + _cut(within, tasks, cells),
        )
        parts = figure.subfigures(len(tasks), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, task in zip(parts, tasks, strict=True):
            self._task(part, task, table[table["task"] == task], cells[task], labels[task])
        return figure

    def _task(self, part, task, table, cells, labels):
        stacked = figure_style.stacked()
        left, right, numbers = _axes(part)
        kind = table["kind"].iloc[0]
        discrete, unit = predictions.is_discrete(kind), predictions.unit(kind)
        matrix, strips = _matrix(table, cells), _strips(table, cells)
        _shaded(part, left, matrix, [row - 0.5 for row in range(len(cells) + 1)], f"disagreement\n({unit})")
        if len(cells) <= (NUMBERED if stacked or figure_style.room(WIDTH) >= WIDTH else NUMBERED // 2):
            _numbers(left, matrix)
        left.set_xticks(range(len(cells)), [str(number + 1) for number in range(len(cells))], fontsize=6.5)
        left.set_yticks(range(len(cells)), labels)
        left.set_title(figure_style.wrap(task, 44), loc="left")
        pairs = "share of pairs" if discrete else unit
        rate = f"{'flip rate' if discrete else 'difference of pairs'}\n({pairs})"
        if stacked:
            right.set_yticks(range(len(cells)), [str(number + 1) for number in range(len(cells))], fontsize=6.5)
            right.set_ylim(len(cells) - 0.5, -0.5)
        shares = sorted(table["quantile"].dropna().unique())
        _shaded(part, right, strips, [0, *shares], rate)
        right.set_xlabel("share of examples, most stable first")
        within = _within(table).set_index(CANDIDATE)
        for index, cell in enumerate(cells if numbers else ()):
            row = within.loc[cell]
            color = figure_style.FAILED if row["n_failed"] else figure_style.INK
            style = {"transform": numbers.get_yaxis_transform(), "va": "center", "fontsize": 6.5, "color": color}
            numbers.text(0, index, _text(row), **style)
        left.set_ylim(len(cells) - 0.5, -0.5)


def _axes(part):
    """Return axes of the matrix and the strips, and of the numbers, which a figure of limited width does not have."""
    if figure_style.stacked():
        return *part.subplots(2, 1, height_ratios=[2, 1]), None
    count = 3 if figure_style.room(WIDTH) >= WIDTH else 2
    axes = part.subplots(1, count, sharey=True, gridspec_kw={"width_ratios": [1.5, 1, 0.3][:count]})
    numbers = axes[2] if count == 3 else None
    if numbers:
        numbers.set_axis_off()
    return axes[0], axes[1], numbers


def _within(table):
    """Return the disagreement between the runs of each cell, one row per cell."""
    return table[table["model_reference"].isna() & (table["quantity"] == "disagreement")]


def _instability(within):
    """Return the mean rank of a task's disagreement among the tasks of its kind, which have one unit, by task."""
    means = within.groupby(["kind", "task"])["estimate"].mean()
    return means.groupby("kind").rank(pct=True).droplevel("kind").dropna().to_dict()


def _least_stable(within, most):
    """Return (model, method) of the cells of a task with the largest disagreement, in the study's order."""
    order = within["estimate"].fillna(-1).sort_values(ascending=False, kind="stable").index[:most]
    shown = within[within.index.isin(order)]
    return list(zip(shown["model"], shown["method"], strict=True))


def _cell_labels(cells):
    """Return the names, with the numbers that represent them below the matrix."""
    return [
        figure_style.wrap(f"{number}  {display_names.candidate(*cell)}", 36)
        for number, cell in enumerate(cells, start=1)
    ]


def _height(labels):
    row = max(0.24, 0.14 * max(label.count("\n") + 1 for label in labels))
    if figure_style.stacked():
        return 2 * STACKED_FIXED + max(0.9, 1.5 * row * len(labels))
    return max(1.5, FIXED + row * len(labels))


def _note(table):
    text = "Numbers: mean over pairs of runs, "
    text += (
        f"{text_format.percent(table['level'].max())} t interval by the delete-one-run jackknife (three runs or more), "
    )
    examples = text_format.count(table.loc[table["n"] > 0, "n_examples"])
    text += f"n completed runs (others in brackets); {examples} examples. "
    text += "Blank: no two completed runs."
    return text


def _cut(within, tasks, cells):
    shown = {task: len(cells[task]) for task in tasks}
    if all((within["task"] == task).sum() == shown[task] for task in tasks):
        return ""
    return f" Only the {max(shown.values())} least stable cells of a task are shown."


def _matrix(table, cells):
    rows = table.loc[table["quantity"] == "disagreement", ["model", "method", *REFERENCE, "estimate"]]
    values = {}
    for model, method, other_model, other_method, value in rows.itertuples(index=False):
        one = (model, method)
        other = (other_model, other_method) if isinstance(other_model, str) else one
        values[one, other] = values[other, one] = value
    return [[values.get((one, other), float("nan")) for other in cells] for one in cells]


def _strips(table, cells):
    rates = table[table["quantity"] == "flip_rate"].sort_values("quantile", kind="stable")
    rates = rates.groupby(CANDIDATE)["estimate"].agg(list)
    return [rates[cell] for cell in cells]


def _shaded(part, axes, values, edges, label):
    import numpy as np

    values = np.ma.masked_invalid(np.array(values, dtype=float))
    top = float(values.max()) if values.count() else 1.0
    rows = [row - 0.5 for row in range(len(values) + 1)]
    image = axes.pcolormesh(edges, rows, values, cmap=figure_style.COLORMAP, vmin=0, vmax=top or 1.0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if figure_style.stacked():
        bar = part.colorbar(image, ax=axes, location="bottom", aspect=24, pad=0.02, fraction=0.15)
        label = label.replace("\n", " ")
    else:
        bar = part.colorbar(image, ax=axes, aspect=18, pad=0.02, fraction=0.05)
    bar.set_label(label, fontsize=7)
    bar.locator = _few_ticks()
    bar.update_ticks()
    bar.outline.set_visible(False)


def _few_ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _numbers(axes, matrix):
    known = [value for row in matrix for value in row if value == value]
    top = max(known, default=0)
    for y, row in enumerate(matrix):
        for x, value in enumerate(row):
            if value == value:
                # The upper part of the colour map is light.
                color = "black" if top and value > 0.55 * top else "white"
                text = f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
                axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=color)


def _text(row):
    text = text_format.with_interval(*row[["estimate", "low", "high"]]) if row["n"] > 1 else "no pair"
    return f"{text}, n = {_labels.counted(row['n'], row['n_failed'])}"
