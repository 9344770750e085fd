"""Differences between cells, with the intervals of seeds and test examples drawn again together."""

import numpy as np

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels

#: Differences drawn in all, the fewest of a task, and tasks drawn.
ROWS, FEWEST, TASKS = 30, 4, 8
LOOKS = {
    "cells": figure_style.Look(figure_style.COLORS[0], "o", "-"),
    "backbones": figure_style.Look(figure_style.COLORS[3], "D", "-"),
}
UNITS = {
    "accuracy": "difference of mean accuracy (fraction of examples)",
    "mse": "difference of mean squared error (squared units of the target; below 0 is better)",
    "ndcg_at_10": "difference of mean NDCG@10",
}


class Multibootstrap(Plot):
    """One panel per task, one line per pair: the mean difference and its interval around 0.

    Pairs whose difference is largest by the width of its interval come first; of many only the first are drawn.
    """

    NEEDS = ()
    ANALYSES = ("multibootstrap",)
    CAPTION = (
        "Differences on the test split between pairs of cells of a task, the largest by their interval's width first. "
        "Seeds and test examples are drawn again together; the percentile interval is too narrow with 5 or fewer "
        "seeds. To the right: numbers, Holm-adjusted p and n of both sides."
    )

    def draw(self, tables):
        found = tables["multibootstrap"]
        tasks = _labels.names(found, "task")[:TASKS]
        most = max(FEWEST, ROWS // max(len(tasks), 1))
        panels = {task: _clearest(found[found["task"] == task], most) for task in tasks}
        labels = {task: [_label(row) for row in panel.to_dict("records")] for task, panel in panels.items()}
        # A line is as high as the highest of its panel, which are all alike.
        lines = {task: max(2, *(label.count("\n") + 1 for label in labels[task]), 0) for task in tasks}
        heights = [0.75 + (0.1 + 0.13 * lines[task]) * len(labels[task]) for task in tasks]
        comparisons = _labels.names(found, "comparison")
        figure = figure_style.figure(
            width=8.6,
            height=2.0 + sum(heights) + (0 if tasks else 0.5),
            title=self.option(
                "title", f"{self.study}: {_labels.metric_of(found)} on the {primary_rows.SPLIT} split, differences"
            ),
            note=_note(found, panels),
            legend=[figure_style.handle(f"between {name}", LOOKS[name]) for name in comparisons],
        )
        if not tasks:
            axes = figure.subplots()
            axes.set_axis_off()
            axes.text(0.5, 0.5, "no task has two cells with predictions to compare: n = 0", ha="center", va="center")
            return figure
        grid = figure.subplots(len(tasks), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, task in zip(grid.flat, tasks, strict=True):
            _panel(axes, panels[task], labels[task])
            pairs = (found["task"] == task).sum()
            cut = f" (first {len(panels[task])} of {pairs} pairs)" if pairs > len(panels[task]) else ""
            axes.set_title(figure_style.wrap(task, 60) + cut, loc="left")
        return figure


def _panel(axes, pairs, labels):
    axes.axvline(0, color=figure_style.SOFT, lw=0.8, zorder=0)
    for middle, row in enumerate(pairs.to_dict("records")):
        look = LOOKS[row["comparison"]]
        axes.plot([row["low"], row["high"]], [middle, middle], color=look.color, lw=1.4)
        axes.plot(row["difference"], middle, marker=look.marker, color=look.color, markersize=4.5)
        _words(axes, middle, row)
    ends = pairs[["difference", "low", "high"]].to_numpy(dtype=float)
    reach = max(np.abs(ends[np.isfinite(ends)]).max(initial=0), 1e-3)
    low, high = (np.append(ends[np.isfinite(ends)], 0).min(), np.append(ends[np.isfinite(ends)], 0).max())
    axes.set_xlim(low - 0.08 * reach, high + 0.08 * reach)
    axes.set_xlabel(UNITS[pairs["metric"].iloc[0]])
    axes.set_yticks(range(len(pairs)), labels)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _words(axes, middle, row):
    place = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5}
    said = "no difference: a side has no run"
    if row["difference"] == row["difference"]:
        said = text_format.number(row["difference"], "+")
    if row["low"] == row["low"]:
        low, high = (text_format.number(row[end], "+") for end in ("low", "high"))
        said += f" [{low}, {high}], p = {text_format.number(row['p_adjusted'])}"
    axes.text(1.02, middle - 0.03, said, va="bottom", **place)
    sides = (_labels.counted(row[f"n{end}"], row[f"n_failed{end}"]) for end in ("", "_reference"))
    paired = ", paired" if row["seeds_paired"] else ""
    color = figure_style.FAILED if row["n_failed"] or row["n_failed_reference"] else figure_style.SOFT
    axes.text(1.02, middle + 0.03, f"n = {' and '.join(sides)}{paired}", va="top", color=color, **place)


def _label(row):
    own, other = (f"{row[f'model{end}']}: {row[f'method{end}']}" for end in ("", "_reference"))
    return figure_style.wrap(own, 38) + "\n" + figure_style.wrap(f"minus {other}", 38)


def _clearest(pairs, most):
    """At most so many pairs, of the largest difference by the width of its interval; those without one come last."""
    width = pairs["high"] - pairs["low"]
    ratio = pairs["difference"].abs() / width.where(width > 0)
    # Without width a difference is as clear as can be, and no difference is none.
    ratio = ratio.mask((width == 0) & (pairs["difference"] != 0), np.inf).mask((width == 0) & ratio.isna(), 0.0)
    return pairs.loc[ratio.sort_values(ascending=False, kind="stable").index[:most]]


def _note(found, panels):
    resamples = int(found["resamples"].max()) if len(found) else 0
    level = text_format.percent(found["level"].max()) if len(found) else text_format.percent(0.95)
    said = (
        f"Mean difference and its {level} percentile interval from {resamples} resamples of seeds and test examples "
        "together; too narrow for n of 5 or fewer where seeds matter more than the test set. n: completed runs of "
        "both sides. p: adjusted within the task (Holm)."
    )
    hidden = found["task"].nunique() - len(panels)
    said += f" {hidden} more tasks are in the table." if hidden else ""
    return said
