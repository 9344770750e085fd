"""Reliability diagram: share of correct predictions against confidence, over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.analyses.calibration import NO_PROBABILITIES
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = 12


class Calibration(Plot):
    """A pair of panels per cell: the reliability curve, and below it the share of examples by confidence.

    The band and the thin lines extend from the lowest to the highest run.
    """

    NEEDS = ()
    ANALYSES = ("calibration",)
    CAPTION = (
        "Share of correct predictions by confidence, on the test split after fine-tuning: mean over runs (dots), band "
        "and lines from the lowest run to the highest. Below the dashed diagonal a network is overconfident. Lower "
        "panels: distribution of the examples (bars: mean over runs, lines: lowest to highest)."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        table = tables["calibration"]
        scores = table[table["quantity"] == "ece"].set_index(CELL)
        # Only classification has a calibration.
        cells = list(scores.index[scores["note"] != NO_PROBABILITIES])
        columns = max(1, min(len(cells), figure_style.columns(_panels.COLUMNS)))
        most, _ = _panels.fitting(min(len(cells), PANELS), 1, 3.45, 0, columns=columns)
        shown = _panels.highest(cells, scores["estimate"].dropna().to_dict(), most)
        rows = -(-len(shown) // columns)
        figure = figure_style.figure(
            width=max(6.5, 0.6 + 2.9 * columns),
            height=1.7 + 3.45 * max(rows, 1),
            title=self.option(
                "title", f"{self.study}: calibration on the {primary_rows.SPLIT} split after fine-tuning"
            ),
            note=self._note(table) + _panels.left_out(shown, cells, "cells", "with the largest ECE"),
        )
        if not shown:
            return _panels.placeholder(figure, "no cell has predictions with probabilities")
        heights = [ratio for _ in range(rows) for ratio in (3, 1)]
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat:
            axes.set_visible(False)
        curves = dict(list(table[table["quantity"] == "bin"].groupby(CELL, sort=False)))
        for index, cell in enumerate(shown):
            row, column = index // columns * 2, index % columns
            above, below = grid[row : row + 2, column]
            _head(above, cell, scores.loc[cell])
            curve = curves[cell][curves[cell]["n"] > 0]
            _curve(above, curve)
            _histogram(below, curve)
        return figure

    def _note(self, table):
        bins = int(table["bins"].max()) if len(table) else 0
        return (
            f"Line: share of correct predictions in each of {bins} bins of equal width, mean over the n runs; band: "
            "lowest to highest run. ECE: expected calibration error, mean ± SD over runs; biased upwards on small "
            "test sets. Lower panels: share of examples, mean over runs, lowest to highest. Failed runs have no "
            "predictions."
        )


def _head(axes, cell, score):
    """Write a cell's names, ECE and n above its panel, where no curve is."""
    model, task, method = cell
    n = f"n = {_labels.counted(score['n'], score['n_failed'])}"
    if score["n"]:
        text = f"ECE {text_format.with_spread(score['estimate'], score['sd'], score['n'])}, {n}"
    else:
        text = f"{n}, {score['note']}"
    lines = [figure_style.wrap(line, 34) for line in (model, f"{task}: {method}", text)]
    axes.set_title("\n".join(lines), loc="left", fontsize=8)


def _curve(axes, curve):
    axes.set_visible(True)
    axes.plot([0, 1], [0, 1], color=figure_style.SOFT, lw=0.8, linestyle="--", zorder=1)
    axes.fill_between(curve["confidence"], curve["min"], curve["max"], color=figure_style.COLORS[0], alpha=0.25, lw=0)
    # Vertical lines remain visible where the band has no width because a single bin is left.
    axes.vlines(curve["confidence"], curve["min"], curve["max"], color=figure_style.COLORS[0], lw=0.8)
    axes.plot(curve["confidence"], curve["estimate"], "o-", color=figure_style.COLORS[0], markersize=3, lw=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of correct predictions")
    axes.tick_params(labelbottom=False)


def _histogram(axes, curve):
    axes.set_visible(True)
    share, low, high = (curve[name] / curve["n_examples"] for name in ("count", "count_min", "count_max"))
    middle, width = (curve["bin_low"] + curve["bin_high"]) / 2, curve["bin_high"] - curve["bin_low"]
    axes.bar(middle, share, width=0.9 * width, color="#C9C9C9")
    axes.vlines(middle, low, high, color=figure_style.INK, lw=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1.05 * max([*high, 1e-9])), xlabel="confidence", ylabel="share of\nexamples")
