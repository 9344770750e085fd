"""Variance components: SD by model, task, method and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels
from variability.results import pairing, varied_streams
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = 2
#: Largest number of panels; that of all tasks comes first.
PANELS = 12
ALL = "all tasks"


class Components(Plot):
    """One panel per task and one for all tasks, one bar per component; a whisker is the interval of its SD.

    If two groups of streams are crossed within cells, an additional panel shows the values of one cell.
    """

    NEEDS = ("runs",)
    ANALYSES = ("components",)
    CAPTION = (
        "Standard deviation of the primary metric on the test split after fine-tuning that each factor, interaction "
        "and the seed would cause alone, with its interval and its share of the variance. Negative estimates are shown "
        "as 0. The bars of streams are parts of the bar of the seed."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), tables["components"]
        shown = table[table["sd"].notna() | (table["role"] != "stream")]
        order = [*([ALL] if ALL in set(table["task"]) else []), *_labels.names(runs, "task")]
        tasks, crossed = order[:PANELS], _crossed(runs)
        panels = len(tasks) + (crossed is not None)
        columns = min(COLUMNS, panels)
        labels = {task: [_label(name) for name in shown.loc[shown["task"] == task, "component"]] for task in tasks}
        needed = [sum(0.1 + 0.13 * (label.count("\n") + 1) for label in labels[task]) for task in tasks]
        needed += [2.2] * (crossed is not None)
        heights = [max(0.6, *needed[start : start + columns]) for start in range(0, panels, columns)]
        more = f" {plural(len(order) - len(tasks), 'more task is', 'more tasks are')} in the table." * (
            len(order) > len(tasks)
        )
        figure = figure_style.figure(
            width=max(6.5, 0.4 + 5.0 * columns),
            height=1.5 + sum(heights) + 0.85 * len(heights),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, "
                "SD by source",
            ),
            note=f"Bars: SD that a source alone would cause; whiskers: {text_format.percent(table['level'].max())} "
            f"intervals ({_methods(shown)}), an arrow where they leave the panel. Right: share of the variance. n: "
            f"completed runs, others in brackets.{_pairs(runs)}{more}",
        )
        grid = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(grid.flat, tasks, strict=False):
            of_task = shown[shown["task"] == task]
            label = runs.loc[runs["task"] == task, "label"] if task != ALL else runs["label"]
            _bars(axes, of_task, labels[task])
            first = of_task.iloc[0]
            axes.set_title(
                figure_style.wrap(f"{task}: n = {_labels.counted(first['n'], first['n_failed'])}", 44), loc="left"
            )
            axes.set_xlabel(figure_style.wrap(f"SD of {label.iloc[0]}", 60))
        if crossed is not None:
            _heat(figure, grid.flat[len(tasks)], *crossed, _labels.metric_of(runs))
        return figure


def _pairs(runs):
    """Return the sentence on what runs of one declared pair share."""
    return " Pair: what runs with equal seeds share, such as their fold." if pairing.by_seed(runs).any() else ""


def _label(name):
    return figure_style.wrap(name, 24)


def _methods(shown):
    methods = sorted(set(shown["interval"]) - {"none"})
    return "; ".join(methods) or "none"


def _bars(axes, rows, labels):
    positions = range(len(rows))
    limit = _limit(rows)
    seeds = rows["role"].isin(["seed", "stream", "residual", "pair"])
    for seed, color, hatch in ((False, figure_style.COLORS[0], None), (True, figure_style.COLORS[1], "///")):
        indices = [index for index, of_seed in enumerate(seeds) if of_seed == seed]
        sds = rows["sd"].fillna(0).iloc[indices]
        axes.barh(indices, sds, height=0.55, color=color, hatch=hatch, edgecolor="white", linewidth=0)
    for position, row in zip(positions, rows.itertuples(), strict=True):
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        if row.sd != row.sd:
            axes.text(0.01, position, "not estimable", color=figure_style.SOFT, **style)
            continue
        axes.plot(
            [row.sd_low, min(row.sd_high, limit)],
            [position, position],
            color=figure_style.INK,
            lw=1.1,
            marker="|",
            markersize=4,
        )
        if row.sd_high > limit:
            axes.plot(limit, position, marker=5, color=figure_style.INK, markersize=5, clip_on=False, zorder=3)
        if row.share == row.share:
            part = " of seed" if row.share_of == "seed" else ""
            share = "< 1" if 0 < row.share < 0.01 else f"{100 * row.share:.0f}"
            axes.text(1.03, position, f"{share} %{part}", color=figure_style.SOFT, **style)
    axes.set_xlim(0, limit)
    axes.set_yticks(positions, labels)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _limit(rows):
    """Return twice the largest SD, or less if no interval extends that far: some extend to thirty times it."""
    largest = rows["sd"].max()
    if not largest > 0:
        return 1.05 * rows["sd_high"].max() if rows["sd_high"].max() > 0 else 1.0
    return min(2 * largest, max(1.1 * largest, 1.05 * rows["sd_high"].max()))


def _crossed(runs):
    """Return name and values of the first cell whose runs are crossed by two groups of streams, or None."""
    for cell, of_cell in runs.groupby(CELL, sort=False):
        groups = varied_streams.layout(of_cell).crossed
        completed = of_cell[of_cell["value"].notna()]
        if len(groups) == 2 and len(completed):
            names = [", ".join(group) for group in groups]
            levels = {name: varied_streams.levels(of_cell, group) for name, group in zip(names, groups, strict=True)}
            of_cell = of_cell.assign(**levels)
            return cell, of_cell.pivot_table(index=names[0], columns=names[1], values="value", dropna=False)
    return None


def _heat(figure, axes, cell, values, metric):
    axes.set_visible(True)
    image = axes.imshow(values, cmap=figure_style.COLORMAP, aspect="auto")
    axes.set_xlabel(f"seed of {values.columns.name}")
    axes.set_ylabel(f"seed of {values.index.name}")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(figure_style.wrap(f"values of {', '.join(cell)}", 40), loc="left")
    bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=20, pad=0.02)
    bar.set_label(f"{metric} (blank: none)")
    bar.outline.set_visible(False)
