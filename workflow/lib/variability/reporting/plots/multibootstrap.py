"""Differences between cells, with intervals from resampling seeds and test examples together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.advice import plural
from variability.reporting import display_names, figure_style, primary_rows, relevance, text_format
from variability.reporting.claims import ONE_RUN
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest number of differences, smallest number per task, and largest number of tasks.
ROWS, FEWEST, TASKS = 30, 4, 8
LOOKS = {
    "cells": figure_style.Look(figure_style.COLORS[0], "o", "-"),
    "backbones": figure_style.Look(figure_style.COLORS[3], "D", "-"),
}
UNITS = {
    "accuracy": "difference of mean accuracy (fraction of examples; + is better)",
    "mse": "difference of mean squared error (squared units of the target; + is better, that is, lower)",
    "ndcg_at_10": "difference of mean NDCG@10 (+ is better)",
}


class Multibootstrap(Plot):
    """One panel per task, one line per pair: the mean difference and its interval, the better cell first.

    Pairs are sorted by the difference relative to the width of its interval; if there are many, only the first are
    shown, of the tasks whose first pairs are the clearest.
    """

    NEEDS = ()
    ANALYSES = ("multibootstrap",)
    CAPTION = (
        "How much better the first cell of a pair is (dot, + is better), with its percentile interval (line) from "
        "resampling seeds and test examples together; too narrow with 5 or fewer seeds. Right: the numbers, n, and a p "
        "adjusted by Holm, which cannot be lower than 2 / (resamples + 1) times the pairs of the task. A check: the "
        "table decisions decides."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        table = _better_first(tables["multibootstrap"])
        table["clear"] = _clarity(table)
        every = _labels.names(table, "task")
        tasks = _panels.highest(every, relevance.largest(table, "clear"), TASKS)
        most = max(FEWEST, ROWS // max(len(tasks), 1))
        fits, most = _panels.fitting(len(tasks), most, 0.49)
        tasks = _panels.highest(every, relevance.largest(table, "clear"), fits)
        panels = {task: _clearest(table[table["task"] == task], most) for task in tasks}
        labels = {task: [_label(row) for row in panel.to_dict("records")] for task, panel in panels.items()}
        # All lines of a panel have the height of the highest one.
        lines = {task: max(2, *(label.count("\n") + 1 for label in labels[task]), 0) for task in tasks}
        heights = [0.75 + (0.1 + 0.13 * lines[task]) * len(labels[task]) for task in tasks]
        comparisons = _labels.names(table, "comparison")
        figure = figure_style.figure(
            width=8.6,
            height=2.0 + sum(heights) + (0 if tasks else 0.5),
            title=self.option(
                "title", f"{self.study}: {_labels.metric_of(table)} on the {primary_rows.SPLIT} split, differences"
            ),
            note=_note(table) + _panels.left_out(tasks, every, "tasks", "with the clearest differences"),
            legend=[figure_style.handle(f"between {name}", LOOKS[name]) for name in comparisons],
        )
        if not tasks:
            return _panels.placeholder(figure, "no task has two cells with predictions to compare: n = 0")
        grid = figure.subplots(len(tasks), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, task in zip(grid.flat, tasks, strict=True):
            _panel(axes, panels[task], labels[task])
            pairs = (table["task"] == task).sum()
            cut = f" (the clearest {len(panels[task])} of {plural(pairs, 'pair')})" if pairs > len(panels[task]) else ""
            axes.set_title(figure_style.wrap(task + cut, 80), loc="left")
        return figure


def _panel(axes, pairs, labels):
    axes.axvline(0, color=figure_style.SOFT, lw=0.8, zorder=0)
    for middle, row in enumerate(pairs.to_dict("records")):
        look = LOOKS[row["comparison"]]
        axes.plot([row["low"], row["high"]], [middle, middle], color=look.color, lw=1.4)
        axes.plot(row["difference"], middle, marker=look.marker, color=look.color, markersize=4.5)
        _numbers_text(axes, middle, row)
    ends = pairs[["difference", "low", "high"]].to_numpy(dtype=float)
    reach = max(np.abs(ends[np.isfinite(ends)]).max(initial=0), 1e-3)
    low, high = (np.append(ends[np.isfinite(ends)], 0).min(), np.append(ends[np.isfinite(ends)], 0).max())
    axes.set_xlim(low - 0.08 * reach, high + 0.08 * reach)
    axes.set_xlabel(figure_style.wrap(_unit(pairs.iloc[0]), 70))
    axes.set_yticks(range(len(pairs)), labels)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _unit(pair):
    """Return the label of the axis; the metric of imported scores may have any name."""
    lower = "" if pair["higher_is_better"] else ", that is, lower"
    return UNITS.get(pair["metric"], f"difference of mean {pair['metric']} (+ is better{lower})")


def _numbers_text(axes, middle, row):
    style = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5}
    text = "no difference: a side has no run"
    if row["difference"] == row["difference"]:
        text = text_format.with_interval(row["difference"], row["low"], row["high"], "+")
    if row["low"] == row["low"]:
        text += f", check p {text_format.p_value(row['check_p_holm'])}"
    axes.text(1.02, middle - 0.03, text, va="bottom", **style)
    sides = (_labels.counted(row[f"n{end}"], row[f"n_failed{end}"]) for end in ("", "_reference"))
    paired = ", paired" if row["seeds_paired"] else ""
    color = figure_style.FAILED if row["n_failed"] or row["n_failed_reference"] else figure_style.SOFT
    axes.text(1.02, middle + 0.03, f"n = {' and '.join(sides)}{paired}", va="top", color=color, **style)


def _label(row):
    candidate, reference = (
        display_names.candidate(row[f"model{end}"], row[f"method{end}"]) for end in ("", "_reference")
    )
    return figure_style.wrap(candidate, 38) + "\n" + figure_style.wrap(f"over {reference}", 38)


def _better_first(table):
    """Return the pairs with the better cell first, and differences above 0 where that is better."""
    turned = table["higher_is_better"].eq(False)
    swapped = (table["difference"] < 0) ^ (turned & (table["difference"] != 0))
    table = table.copy()
    for one in ("model", "method", "n", "n_failed"):
        columns = [one, f"{one}_reference"]
        table.loc[swapped, columns] = table.loc[swapped, columns[::-1]].to_numpy()
    negative = table["difference"] < 0
    table.loc[negative, ["difference", "low", "high"]] = -table.loc[negative, ["difference", "high", "low"]].to_numpy()
    return table


def _clarity(pairs):
    """Return each difference relative to the width of its interval."""
    width = pairs["high"] - pairs["low"]
    ratio = pairs["difference"].abs() / width.where(width > 0)
    # With an interval of zero width, any difference is clear, and no difference is not.
    return ratio.mask((width == 0) & (pairs["difference"] != 0), np.inf).mask((width == 0) & ratio.isna(), 0.0)


def _clearest(pairs, most):
    """Return the clearest pairs, at most ``most``. Pairs without an interval come last."""
    return pairs.sort_values("clear", ascending=False, kind="stable").head(most)


def _note(table):
    resamples = int(table["resamples"].max()) if len(table) else 0
    level = text_format.percent(table["level"].max()) if len(table) else text_format.percent(0.95)
    text = (
        f"Mean difference and its {level} percentile interval from {resamples} resamples of seeds and test examples "
        "together; too narrow for n of 5 or fewer where seeds matter more than the test set. n: completed runs of "
        "both sides. check p: adjusted within the task (Holm); decisions do not depend on it."
    )
    if len(table) and (floor := table["p_floor"].max()) == floor:
        most = int(table.groupby("task").size().max())
        text += f" With this many resamples it is at least {floor:.1g} times the pairs of a task (up to {most})."
    if len(table) and table[["n", "n_reference"]].max(axis=None) < 2:
        text += f" {ONE_RUN[0].upper()}{ONE_RUN[1:]}."
    return text
