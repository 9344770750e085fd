"""Expected result of the best of n runs against n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = 2
#: Number of candidates, the best ones over tasks, that have a colour; the others are thin and grey.
COLORED = 6
UNITS = ((1.0, "hours"), (60.0, "minutes"), (3600.0, "seconds"))


class BestOfN(Plot):
    """One panel per task, two lines per cell: selected on validation (thick, with SD), and on test (dotted).

    A cell without validation values has only the dotted line.
    """

    NEEDS = ("runs",)
    REQUIRES = ("seeds",)
    ANALYSES = ("best_of_n",)
    CAPTION = (
        "Expected primary test metric of the best of n runs: selected by its validation value (line, SD band) and by "
        "its test value, which is optimistic (dotted). Thin grey: candidates that are not among the best. "
        "U-statistic; the large mark at n = 1 is the mean over runs. Top axis: what n runs cost."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, curves = primary_rows.select(tables["runs"]), primary_rows.select(tables["best_of_n"])
        curves = curves[(curves["statistic"] == "U") & (curves["n"] > 0)]
        every = [task for task in _labels.names(runs, "task") if (curves["task"] == task).any()]
        most = min(len(every), _panels.TASKS)
        most, _ = _panels.fitting(most, 1, 3.1, 0, columns=figure_style.columns(COLUMNS))
        tasks = _panels.highest(every, _optimism(curves), most)
        looks = _looks(curves, runs)
        rows = max(1, -(-len(tasks) // figure_style.columns(COLUMNS)))
        legend = [figure_style.handle(_name(key), look, linestyle="-") for key, look in looks.items()]
        others = len(curves[CANDIDATE].drop_duplicates()) - len(looks)
        if others:
            legend.append(
                figure_style.handle(plural(others, "other"), figure_style.Look(figure_style.SOFT, "", "-"), lw=0.6)
            )
        figure = figure_style.figure(
            width=8.2,
            height=1.6 + 0.17 * len(legend) + 3.1 * rows,
            title=self.option(
                "title",
                f"{self.study}: expected {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split "
                "of the best of n runs",
            ),
            note="U-statistic: n of a cell's completed runs, sampled without replacement; no interval. Line and band: "
            "the run with the best validation value, and its SD over samples. Dotted: the best on test, which cannot "
            f"be selected in practice. Mark at n = 1: mean over runs. {text_format.count(curves['n'])} per cell; "
            f"{_labels.incomplete(runs)}."
            + _panels.left_out(tasks, every, "tasks", "whose best run exceeds the mean most, in SDs of the candidates"),
            legend=legend,
        )
        if not tasks:
            return _panels.placeholder(figure, "No cell has a completed run to choose from.")
        grid = figure.subplots(rows, min(figure_style.columns(COLUMNS), len(tasks)), squeeze=False)
        for axes in grid.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(grid.flat, tasks, strict=False):
            of_task = curves[curves["task"] == task]
            for key, curve in of_task.groupby(CANDIDATE, sort=False):
                _curve(axes, curve.sort_values("best_of"), looks.get(key))
            axes.set_title(figure_style.wrap(task, 40), loc="left")
            axes.set_ylabel(runs.loc[runs["task"] == task, "label"].iloc[0])
            _runs_axis(axes, of_task)
        return figure


def _looks(curves, runs):
    """Assign looks to the best candidates by their mean rank over tasks; to all, if they are few."""
    means = curves[curves["best_of"] == 1]
    better = runs.drop_duplicates("task").set_index("task")["higher_is_better"].astype(bool)
    loss = means["mean"].where(~means["task"].map(better).astype(bool), -means["mean"])
    rank = loss.groupby(means["task"]).rank()
    mean_rank = rank.groupby([means["model"], means["method"]], sort=False).mean()
    best = set(mean_rank.sort_values(kind="stable").index[:COLORED])
    return figure_style.looks([key for key in mean_rank.index if key in best])


def _optimism(curves):
    """Return by task how far the best run is from the mean of its cell, in SDs of the cells' means."""
    ends = (
        curves.sort_values("best_of").groupby(["task", *CANDIDATE], sort=False)["expected_best"].agg(["first", "last"])
    )
    exceeds = (ends["last"] - ends["first"]).abs().groupby("task").mean()
    spread = ends["first"].groupby("task").std().fillna(0)
    return (exceeds / spread.where(spread > 0, ends["first"].abs().groupby("task").max())).dropna().to_dict()


def _name(key):
    return display_names.candidate(*key)


def _curve(axes, curve, look):
    n, selected, best = curve["best_of"], curve["expected_test"], curve["expected_best"]
    if look is None:
        axes.plot(n, selected.where(selected.notna(), best), color=figure_style.SOFT, lw=0.6, alpha=0.5, zorder=1)
        return
    axes.fill_between(n, selected - curve["sd_test"], selected + curve["sd_test"], color=look.color, alpha=0.1, lw=0)
    axes.plot(n, selected, look.marker, linestyle="-", color=look.color, lw=1.5, markersize=3, zorder=3)
    axes.plot(n, best, color=look.color, lw=1, linestyle=(0, (1, 1.5)), zorder=2)
    mean = {"marker": look.marker, "color": look.color, "markersize": 6.5, "markeredgecolor": "white", "zorder": 4}
    axes.plot(1, best.iloc[0], linestyle="", **mean)


def _runs_axis(axes, curves):
    from matplotlib.ticker import MaxNLocator

    most = curves["best_of"].max()
    axes.set_xlim(0.8, max(most, 2) + 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_xlabel("n, runs to choose from")
    hours = (curves["hours"] / curves["best_of"]).median()
    if not hours > 0:
        return
    scale, unit = next((unit for unit in UNITS if hours * most * unit[0] >= 1), UNITS[-1])
    per_run = hours * scale
    above = axes.secondary_xaxis("top", functions=(lambda runs: runs * per_run, lambda time: time / per_run))
    above.xaxis.set_major_locator(MaxNLocator(nbins=5))
    above.set_xlabel(f"{unit} for n runs of the median model", fontsize=7)
    above.tick_params(labelsize=7)
