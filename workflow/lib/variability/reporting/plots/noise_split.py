"""Variance between a cell's runs, split into the contributions of the seed and of the finite test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.analyses.noise_split import NOT_A_MEAN
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest numbers of cells per task and of tasks.
CELLS, TASKS = 24, 12
SEED, TEST = figure_style.COLORS[0], figure_style.COLORS[4]
UNITS = {
    "accuracy": "variance of the accuracy between runs (fraction of examples, squared)",
    "mse": "variance of the mean squared error between runs (its unit squared)",
    "ndcg_at_10": "variance of the NDCG@10 between runs",
}


class NoiseSplit(Plot):
    """One panel per task, one stacked bar per cell, whose length is the observed variance between runs.

    Variances are additive, unlike SDs, which are shown as text. A negative estimate is drawn as no contribution of the
    seed.
    """

    NEEDS = ()
    REQUIRES = ("seeds",)
    ANALYSES = ("noise_split",)
    CAPTION = (
        "Variance between runs on the test split: the part of the seed, which remains on any test set (dark), and the "
        "part of this finite test set (light, hatched). Line: interval of the seed's part, with an arrow where it "
        "goes on. Right: SD of the seed's part with interval, share of the test set, number n of runs."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        split = tables["noise_split"]
        split = _shown(split[~split["note"].astype(str).str.startswith("no predictions")])
        every = _labels.names(split, "task")
        of_seed = (1 - split["share_test_set"]).groupby(split["task"]).mean().dropna().to_dict()
        wanted = min(len(every), TASKS), min(CELLS, split.groupby("task").size().max() if len(split) else 1)
        most = max([2, *(_label(row).count("\n") + 1 for row in split[["model", "method"]].to_dict("records"))])
        fits, cells = _panels.fitting(*wanted, 0.1 + 0.13 * most)
        tasks = _panels.highest(every, of_seed, fits)
        panels = {task: _widest(split[split["task"] == task], cells) for task in tasks}
        labels = {task: [_label(row) for row in panel.to_dict("records")] for task, panel in panels.items()}
        heights = [0.75 + sum(0.1 + 0.13 * max(2, label.count("\n") + 1) for label in labels[task]) for task in tasks]
        figure = figure_style.figure(
            width=8.2,
            height=1.9 + sum(heights),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(split)} on the {primary_rows.SPLIT} split, seed and test-set noise",
            ),
            note=_note(split) + _panels.left_out(tasks, every, "tasks", "with the largest part of the seed"),
            legend=[
                figure_style.handle("part of the seed", figure_style.Look(SEED, "s", "")),
                figure_style.handle("part of the test set", figure_style.Look(TEST, "s", "")),
                figure_style.handle("interval of the seed's part", figure_style.Look(figure_style.INK, "", "-")),
            ],
        )
        if not tasks:
            return _panels.placeholder(figure, "no run of this study has predictions: n = 0")
        grid = figure.subplots(len(tasks), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, task in zip(grid.flat, tasks, strict=True):
            _panel(axes, panels[task], labels[task])
            cut = (split["task"] == task).sum() - len(panels[task])
            more = f" ({plural(len(panels[task]), 'cell')} of largest variance; {cut} more in the table)" if cut else ""
            axes.set_title(figure_style.wrap(task + more, 75), loc="left")
        return figure


def _shown(split):
    """Return the rows of each task's primary metric, or those of the metric of its losses if it has no split."""
    primary = split[split["primary"].astype(bool) & (split["note"] != NOT_A_MEAN)]
    return split[split["primary"].astype(bool) == split["task"].isin(primary["task"])]


def _unit(metric):
    """Return the label of the axis."""
    return UNITS.get(metric, f"variance of {metric} between runs (its unit squared)")


def _panel(axes, cells, labels):
    observed = cells["variance_observed"].fillna(0)
    # With a negative estimate the whole bar belongs to the test set.
    seed = cells["variance_seed"].clip(lower=0).fillna(0)
    middles = range(len(cells))
    axes.barh(middles, seed, height=0.5, color=SEED, edgecolor="white", lw=0.4)
    look = {"height": 0.5, "color": TEST, "edgecolor": "white", "hatch": "////", "lw": 0.4}
    axes.barh(middles, (observed - seed).clip(lower=0), left=seed, **look)
    lows, highs = (cells[f"sd_seed_{end}"] ** 2 for end in ("low", "high"))
    edge = 1.6 * observed.max() if observed.max() > 0 else 1e-9
    axes.set_xlim(0, edge)
    for middle, low, high in zip(middles, lows, highs, strict=True):
        axes.plot([low, min(high, edge)], [middle, middle], color=figure_style.INK, lw=1.2, zorder=3)
        if high > edge:
            axes.plot(edge, middle, marker=5, color=figure_style.INK, markersize=5, clip_on=False, zorder=3)
    for middle, row in zip(middles, cells.to_dict("records"), strict=True):
        _numbers_text(axes, middle, row)
    axes.set_xlabel(figure_style.wrap(_unit(cells["metric"].iloc[0]), 70))
    axes.locator_params(axis="x", nbins=5)
    # An offset or a factor at the end of the axis is easily overlooked.
    axes.xaxis.set_major_formatter(lambda variance, _: f"{variance:.6g}")
    axes.set_yticks(middles, labels)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _numbers_text(axes, middle, row):
    style = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5}
    text = "no SD of fewer than two runs"
    if row["sd_seed"] == row["sd_seed"]:
        sds = (row[f"sd_seed{end}"] for end in ("", "_low", "_high"))
        text = f"seed: SD {text_format.sd_with_interval(*sds)}"
    axes.text(1.03, middle - 0.03, text, va="bottom", **style)
    share = row["share_test_set"]
    shown = f"test set {100 * share:.0f} %, " if share == share else ""
    color = figure_style.FAILED if row["n_failed"] else figure_style.SOFT
    text = f"{shown}n = {_labels.counted(row['n'], row['n_failed'])}"
    axes.text(1.03, middle + 0.03, text, va="top", color=color, **style)


def _label(row):
    return figure_style.wrap(display_names.candidate(row["model"], row["method"]), 36)


def _widest(cells, most):
    """Return the cells with the largest variance, at most ``most``, in the study's order."""
    order = cells["variance_observed"].fillna(-1).sort_values(ascending=False, kind="stable").index[:most]
    return cells.loc[cells.index.isin(order)]


def _note(split):
    level = text_format.percent(split["level"].max() if len(split) else 0.95)
    text = (
        f"Length of a bar: observed variance between the n completed runs of a cell, {text_format.count(split['n'])}. "
        f"Line: {level} interval of the seed's part (Williams-Tukey), an arrow where it leaves the panel. Right: the "
        "seed's SD in the unit of the metric, with its interval, and the test set's share of the variance."
    )
    return text
