"""Shares of this grid and variance components: SD by model, task, method and seed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.analyses.components import ALL, GRID, MANY, METRIC
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import pairing, varied_streams
from variability.results.columns import CELL, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMNS = 2
#: Largest number of panels; those of all tasks come first.
PANELS = 12
#: Colours and hatches of the two bars of a source.
_GRID, _MANY = figure_style.COLORS[0], figure_style.COLORS[4]
_SEED = figure_style.COLORS[1]


class Components(Plot):
    """One panel per task and one per scale for all tasks, with two bars per source; whiskers are intervals of the SD.

    If two groups of streams are crossed within cells, an additional panel shows the values of one cell.
    """

    NEEDS = ("runs",)
    ANALYSES = ("components",)
    CAPTION = (
        "Where differences between results come from. Upper bar: SD of the effects of the levels of this grid; lower, "
        "hatched bar: SD to expect among many like these, of which these would be a random sample. Whiskers: "
        "intervals, with an arrow where they leave the panel. Right: share of the variance of the results, with its "
        "interval."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), tables["components"]
        shown = table[(table["role"] != "sum") & (table["sd"].notna() | (table["role"] != "stream"))]
        every, crossed = _task_panels(shown), _crossed(runs)
        panels = _fitting(every, PANELS - (crossed is not None), crossed is not None)
        count = len(panels) + (crossed is not None)
        columns = min(figure_style.columns(COLUMNS), count)
        heights = _heights(panels, crossed is not None)
        more = _panels.left_out(
            panels, every, "panels", "of all tasks, and of the tasks with the largest share of the seed"
        )
        level = text_format.percent(table["level"].max())
        figure = figure_style.figure(
            width=max(6.5, 0.4 + 5.2 * columns),
            height=1.7 + sum(heights) + 0.85 * len(heights),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, "
                "where differences come from",
            ),
            note=f"Whiskers and brackets: {level} intervals; this grid: {_methods(shown, GRID)}; many like these: "
            f"{_methods(shown, MANY)}; an arrow where they leave the panel. Right: share of the variance of the "
            f"results of this grid. n: completed runs, others in brackets.{_pairs(runs)}{more}",
            legend=_legend(),
        )
        grid = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, unit, rows) in zip(grid.flat, panels, strict=False):
            _bars(axes, rows)
            axes.set_title(figure_style.wrap(title, 52), loc="left")
            axes.set_xlabel(figure_style.wrap(f"SD of {unit}", 60))
        if crossed is not None:
            _heat(figure, grid.flat[len(panels)], *crossed, _labels.metric_of(runs))
        return figure


def _fitting(every: list, most: int, crossed: bool) -> list:
    """Return the panels that fit: all tasks together, then the tasks with the largest share of the seed."""
    shares = {index: _seed_share(rows) for index, (_, _, rows) in enumerate(every)}
    for count in range(min(most, len(every)), 1, -1):
        chosen = [every[index] for index in _panels.highest(list(shares), shares, count)]
        heights = _heights(chosen, crossed)
        if sum(heights) + 0.85 * len(heights) <= figure_style.tallest() - _panels.MARGIN:
            return chosen
    return every[:1]


def _seed_share(rows: pd.DataFrame) -> float:
    """Return the share of the seed in this grid; infinite for all tasks together."""
    if rows["task"].iloc[0] == ALL:
        return float("inf")
    return rows.loc[rows["role_grid"] == "seed", "share_grid"].sum()


def _heights(panels: list, crossed: bool) -> list[float]:
    """Return the heights of the lines of panels in inches."""
    needed = [_needed([max(2, _label(name).count("\n") + 1) for name in rows.index]) for _, _, rows in panels]
    needed += [2.2] * crossed
    columns = min(figure_style.columns(COLUMNS), len(needed))
    return [max(0.6, *needed[start : start + columns]) for start in range(0, len(needed), columns)]


def _needed(lines: list[int]) -> float:
    """Return the height of rows of equal height whose labels have these numbers of lines, in inches."""
    most = max([(one + other) / 2 for one, other in pairwise(lines)], default=lines[0])
    return len(lines) * (0.1 + 0.13 * most)


def _task_panels(shown: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return title, unit and rows of each panel, all tasks first, and of these the scale that the summary reports.

    The rows are indexed by component, with the columns of the two populations.
    """
    order = {key: rows for key, rows in shown.groupby(["task", "scale"], sort=False)}

    def position(key):
        return (key[0] != ALL, not order[key]["headline"].any())

    panels = []
    for task, scale in sorted(order, key=position):
        rows = order[task, scale]
        if task == ALL and rows["sd"].isna().all():
            continue
        first = rows.iloc[0]
        scaled = "" if scale == METRIC else f", {scale}"
        title = f"{task}{scaled}: n = {_labels.counted(first['n'], first['n_failed'])}"
        grid, many = (rows[rows["population"] == name].set_index("component") for name in (GRID, MANY))
        listed = list(dict.fromkeys([*grid.index, *many.index]))
        both = grid.add_suffix("_grid").reindex(listed).join(many.add_suffix("_many")).assign(task=task)
        panels.append((title, first["metric"], both))
    return panels


def _legend() -> list[Line2D]:
    from matplotlib.patches import Patch

    names = {"this grid": (_GRID, None), "this grid, seed": (_SEED, None), "many like these": ("white", "////")}
    return [
        Patch(facecolor=color, hatch=hatch, edgecolor=figure_style.SOFT, linewidth=0.5, label=name)
        for name, (color, hatch) in names.items()
    ]


def _pairs(runs):
    """Return the sentence on what runs of one declared pair share."""
    return " Pair: what runs with equal seeds share, such as their fold." if pairing.by_seed(runs).any() else ""


def _label(name):
    return figure_style.wrap(name, 26)


def _methods(shown, population):
    methods = sorted(set(shown.loc[shown["population"] == population, "interval"]) - {"none"})
    return "; ".join(methods) or "none"


def _bars(axes, rows):
    limit = _limit(rows)
    roles = rows["role_grid"].fillna(rows["role_many"])
    for position, (_, row), role in zip(range(len(rows)), rows.iterrows(), roles, strict=True):
        color = _SEED if role in ("seed", "stream", "residual", "pair") else _GRID
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        _bar(axes, position - 0.2, row, "_grid", limit, color=color, height=0.36)
        _bar(axes, position + 0.2, row, "_many", limit, color="white", height=0.24, hatch="////", edgecolor=color)
        if row["sd_grid"] != row["sd_grid"] and row["sd_many"] != row["sd_many"]:
            axes.text(0.01, position, "not estimable", color=figure_style.SOFT, **style)
        axes.text(1.03, position, _share(row), color=figure_style.INK, **style)
    axes.set_xlim(0, limit)
    axes.set_yticks(range(len(rows)), [_label(name) for name in rows.index])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _bar(axes, position, row, side, limit, **style):
    """Draw the SD of a population with its interval, if it has one."""
    sd, low, high = (row[f"{name}{side}"] for name in ("sd", "sd_low", "sd_high"))
    if sd != sd:
        return
    axes.barh([position], [sd], linewidth=0.5, **style)
    if high != high:
        return
    axes.plot([low, min(high, limit)], [position] * 2, color=figure_style.INK, lw=1.0, marker="|", markersize=3.5)
    if high > limit:
        axes.plot(limit, position, marker=5, color=figure_style.INK, markersize=4.5, clip_on=False, zorder=3)


def _share(row):
    """Return the text of a share: ``12 % [9, 15]``."""
    side = "_grid" if row["share_grid"] == row["share_grid"] else "_many"
    share = row[f"share{side}"]
    if share != share:
        return ""
    text = ("< 1" if 0 < share < 0.01 else f"{100 * share:.0f}") + " %"
    text += " of seed" if row[f"share_of{side}"] == "seed" else ""
    low, high = row[f"share_low{side}"], row[f"share_high{side}"]
    return text if low != low or round(100 * high) == 0 else f"{text} [{100 * low:.0f}, {100 * high:.0f}]"


def _limit(rows):
    """Return twice the largest SD, or less if no interval extends that far: some extend to thirty times it."""
    largest = rows[["sd_grid", "sd_many"]].max().max()
    widest = rows[["sd_high_grid", "sd_high_many"]].max().max()
    if not largest > 0:
        return 1.05 * widest if widest > 0 else 1.0
    return min(2 * largest, max(1.1 * largest, 1.05 * widest))


def _crossed(runs):
    """Return name and values of the first cell whose runs are crossed by two groups of streams, or None."""
    # Most cells have the seeds of the first.
    layouts = {}
    for cell, of_cell in runs.groupby(CELL, sort=False):
        seeds = of_cell[list(STREAM_SEEDS)].to_numpy(float).tobytes()
        if seeds not in layouts:
            layouts[seeds] = varied_streams.layout(of_cell).crossed
        groups = layouts[seeds]
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
