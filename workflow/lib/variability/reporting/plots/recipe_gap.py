"""Every run against a linear model of the frozen features of its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class RecipeGap(Plot):
    """One panel per task, one band per model, one line of dots per method, crossed by the reference probe."""

    NEEDS = ("runs",)
    ANALYSES = ("recipe_gap",)
    CAPTION = (
        "Every run's primary metric on the test split (dots), and its network's reference probe: a regularised linear "
        "model of the frozen features, its strength chosen on validation (black line; an arrow where it is outside). "
        "Right: how much better the probe is, its t interval over the n runs, red where that exceeds the margin and "
        "the interval is above 0."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        gaps = primary_rows.select(tables["recipe_gap"])
        gaps = gaps[gaps["probe"].notna()]
        runs = primary_rows.select(tables["runs"])
        every_task = [task for task in _labels.names(runs, "task") if task in set(gaps["task"])]
        every_model = [model for model in _labels.names(runs, "model") if model in set(gaps["model"])]
        lines = 0.27 * gaps["method"].nunique()
        scores = relevance.largest(gaps, "unused"), relevance.largest(gaps, "unused", "model")
        tasks, models = _panels.choose(every_task, every_model, lines, scores)
        title = self.option("title", f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split")
        if not tasks:
            note = f"n = 0. {_labels.incomplete(runs)}. A probe needs stored activations before a network's head."
            return _panels.placeholder(figure_style.figure(6.5, 2.0, title, note), "no network has a reference probe")
        gaps, runs = (table[table["task"].isin(tasks) & table["model"].isin(models)] for table in (gaps, runs))
        methods = _labels.names(gaps, "method")
        looks = figure_style.looks(methods)
        width, height = _panels.size(tasks, models, lines)
        level = text_format.percent(gaps["level"].max())
        note = (
            "Dots: runs, one per seed. Line: the reference probe, a linear model of the features before the head "
            "(arrow: outside). "
            f"Right: how much better it is than the mean, with the {level} t interval over the n completed runs; "
            "in colour: more than the margin, and the interval is above 0, a sign that the recipe and not the model is "
            "shown."
            + _panels.left_out(tasks, every_task, "tasks", "where the probe is better by most")
            + _panels.left_out(models, every_model, "models", "whose probe is better by most")
        )
        figure = figure_style.figure(
            width=width + 0.9 * min(len(tasks), figure_style.columns(_panels.COLUMNS)),
            height=height,
            title=self.option("title", f"{title}, against linear models of the frozen features"),
            note=note,
            legend=[figure_style.handle(name, look, linestyle="") for name, look in looks.items()],
        )
        panels = _panels.bands(figure, runs, tasks, models)
        for task, axes in panels.items():
            of_task = runs[runs["task"] == task]
            axes.set_xlim(*_labels.limits(of_task["value"], gaps.loc[gaps["task"] == task, "probe"]))
            for _, gap in gaps[gaps["task"] == task].iterrows():
                index, line = models.index(gap["model"]), methods.index(gap["method"])
                middle = _panels.line_position(index, line, len(methods))
                cell = of_task[(of_task[CELL] == gap[CELL]).all(axis=1)]
                _cell(axes, cell["value"].dropna(), gap, middle, 0.43 / len(methods), looks[gap["method"]])
        return figure


def _cell(axes, values, gap, middle, half, look):
    style = {"marker": look.marker, "color": look.color, "markersize": 4.2, "alpha": 0.85}
    axes.plot(
        values,
        _panels.scattered(values, middle, 0.6 * half),
        linestyle="",
        markeredgecolor="white",
        markeredgewidth=0.4,
        **style,
    )
    low, high = axes.get_xlim()
    if low <= gap["probe"] <= high:
        axes.plot([gap["probe"]] * 2, [middle - half, middle + half], color=figure_style.INK, lw=1.6, zorder=3)
    else:
        edge, arrow = (low, 4) if gap["probe"] < low else (high, 5)
        axes.plot(edge, middle, marker=arrow, color=figure_style.INK, markersize=5, clip_on=False, zorder=3)
    text = text_format.with_interval(*gap[["unused", "low", "high"]], "+") if gap["n"] else "no run"
    counted = _labels.counted(gap["n"], gap["n_failed"])
    color = figure_style.FAILED if gap["exceeds_margin"] and gap["decided"] else figure_style.SOFT
    axes.text(
        1.02,
        middle,
        f"{text}, n = {counted}",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=6.5,
        color=color,
    )
