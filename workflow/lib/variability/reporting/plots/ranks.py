"""Probabilities of the candidates' ranks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, relevance
from variability.reporting.claims import ONE_RUN
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CANDIDATE, CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest number of candidates of a task, the best ones, and of ranks.
DRAWN = 15
CELL_INCHES = 0.42


class Ranks(Plot):
    """One panel per task: rows are candidates, the best mean on top, columns are ranks, numbers are percentages."""

    NEEDS = ("runs",)
    ANALYSES = ("ranks",)
    CAPTION = (
        "Probability in percent (number, colour) that a model with a method has a rank on a task, by bootstrap over "
        "seeds, for the best candidates. In the title: how often a study with one seed names another winner. Right: "
        "number n of completed runs. A check: the table decisions decides."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, ranks = primary_rows.select(tables["runs"]), primary_rows.select(tables["ranks"])
        every = [task for task in _labels.names(runs, "task") if (ranks["task"] == task).any()]
        unsure = relevance.largest(ranks, "wrong_winner")
        tasks = _panels.highest(every, unsure, _panels.TASKS)
        widest = int(ranks["candidates"].max()) if ranks["candidates"].notna().any() else 1
        counts = (
            ranks[ranks["task"].isin(tasks)]
            .groupby("task")[list(CANDIDATE)]
            .apply(lambda of: len(of.drop_duplicates()))
        )
        most = min(DRAWN, counts.max() if len(counts) else 1)
        # Choose the number of columns that makes the figure about square.
        wide, high = 3.2 + CELL_INCHES * min(widest, DRAWN), 1.25 + 0.36 * most
        columns = min(max(1, len(tasks)), max(1, round(math.sqrt(len(tasks) * high / wide))))
        columns = min(figure_style.columns(columns), max(1, int(figure_style.LARGEST / wide)))
        fits, most = _panels.fitting(len(tasks), most, 0.36, 1.25, columns=columns)
        tasks = _panels.highest(every, unsure, fits)
        panels = {task: _best(ranks[ranks["task"] == task], most) for task in tasks}
        high = 1.25 + 0.36 * most
        rows = max(1, -(-len(tasks) // columns))
        methods = len(_labels.names(runs, "method")) > 1
        figure = figure_style.figure(
            width=max(6.5, columns * wide),
            height=1.6 + rows * high,
            title=self.option(
                "title",
                f"{self.study}: ranks by {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, over seeds",
            ),
            note="Percentage of bootstrap replicates (resampled seeds) in which a candidate has the rank; ties share. "
            f"At most the best {most} candidates and {DRAWN} ranks. Right: the number n of completed runs. Wrong "
            "winner: how often a study with one seed per candidate names another. Same order: share of the replicates "
            "that rank all candidates as the study does. A check; decisions do not depend on it. "
            f"{_labels.incomplete(runs)}.{_labels.one_run(runs)}"
            + _panels.left_out(tasks, every, "tasks", "whose winner one seed misses most often"),
        )
        if not tasks:
            return _panels.placeholder(figure, "No task has a completed run to rank.")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, (task, panel) in zip(grid.flat, panels.items(), strict=False):
            _panel(axes, task, panel, methods)
        return figure


def _best(of_task, most):
    """Return the rows of the candidates that are shown, best first; those without a completed run come last."""
    keys = of_task.drop_duplicates(CELL).sort_values(["study_rank", "model", "method"])
    shown = keys[CELL].head(most).assign(_order=range(min(most, len(keys))))
    return of_task.merge(shown, on=CELL).sort_values(["_order", "rank"])


def _panel(axes, task, panel, methods):
    cells = list(panel.groupby("_order"))
    first = panel.iloc[0]
    ranked = not math.isnan(first["rank"])
    count = min(int(first["candidates"]), DRAWN) if ranked else 1
    shares = [[_share(cell, rank) for rank in range(1, count + 1)] for _, cell in cells]
    image = axes.imshow(shares, cmap=figure_style.COLORMAP, vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            _number(axes, x, y, share, image)
    names = [_name(cell.iloc[0], methods) for _, cell in cells]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xticks(range(count), range(1, count + 1), fontsize=7)
    axes.set_xlabel("rank (1 = best mean)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for y, (_, cell) in enumerate(cells):
        text = _labels.counted(cell["n"].iloc[0], cell["n_failed"].iloc[0])
        color = figure_style.FAILED if cell["n_failed"].iloc[0] else figure_style.SOFT
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        axes.text(1.02, y, text, color=color, **style)
    axes.set_title(f"{figure_style.wrap(task, 36)}\n{_text(first, ranked, cells)}", loc="left", fontsize=8)
    axes.text(1.02, 1, "n", transform=axes.transAxes, va="bottom", fontsize=6.5, color=figure_style.SOFT)


def _text(first, ranked, cells):
    if not ranked:
        return "no completed run: nothing to rank"
    if math.isnan(first["wrong_winner"]):
        return ONE_RUN
    text = f"wrong winner {100 * first['wrong_winner']:.0f} %"
    if not math.isnan(first["kendall_tau"]):
        text += f", same order {100 * first['same_order']:.0f} %"
    if first["candidates"] > len(cells):
        text += f"; {len(cells)} of {first['candidates']:.0f} shown"
    return text if first["candidates"] > 1 else "one candidate: nothing to rank"


def _share(cell, rank):
    probability = cell.loc[cell["rank"] == rank, "probability"]
    return probability.iloc[0] if len(probability) else float("nan")


def _name(row, methods):
    return figure_style.wrap(display_names.candidate(row["model"], row["method"]) if methods else row["model"], 30)


def _number(axes, x, y, share, image):
    if not share > 0:
        return
    color = figure_style.text_color(image.cmap(image.norm(share)))
    text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=color)
