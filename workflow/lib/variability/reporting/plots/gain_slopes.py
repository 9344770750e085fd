"""Values of every run before and after fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, orientation, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_status
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


#: Largest numbers of models and methods.
MODELS, METHODS = 12, 4


class GainSlopes(Plot):
    """Rows of panels are tasks, columns are methods; in a panel, one band per model.

    In a band every run is a line from its value before fine-tuning (top) to the one after it (bottom): a flat line is a
    large gain, a vertical one is no gain.
    """

    NEEDS = ("runs",)
    REQUIRES = ("before",)
    ANALYSES = ("gain",)
    CAPTION = (
        "Each run's primary metric on the test split before fine-tuning (untrained head; hollow, top) and after it "
        "(filled, bottom), joined by a line; a cross where it did not complete. Right: the mean of the differences "
        "within runs (+ is better), its paired t interval (of this comparison alone, not adjusted), and the number "
        "of runs."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"], phase=None)
        gains = primary_rows.select(tables["gain"], phase=None)
        gains = orientation.turned(gains[gains["comparison"] == "before"]).set_index(CELL)
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        title = (
            f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, before and after fine-tuning"
        )
        if gains.empty:
            figure = figure_style.figure(
                6.5, 2.0, self.option("title", title), "Imported runs have no values from before fine-tuning."
            )
            return _panels.placeholder(figure, "no run has a value from before fine-tuning")
        every = {"task": tasks, "model": models, "method": methods}
        tasks, models, methods, band = _shown(runs, every)
        looks = figure_style.looks(methods)
        labels = [figure_style.wrap(model, 28) for model in models]
        figure = figure_style.figure(
            width=max(6.5, 1.9 + 4.1 * len(methods)),
            height=1.5 + len(tasks) * (0.8 + band * len(models)),
            title=self.option("title", title),
            note="In each band: a run's value before (hollow, top) and after fine-tuning (filled, bottom); a cross for "
            "a run that did not complete, which has no value after. Right: mean of the differences within runs, its "
            f"{text_format.percent(gains['level'].max())} t interval (not adjusted), and the number n of runs; + is "
            "better"
            + _better(runs)
            + _panels.left_out(tasks, every["task"], "tasks", relevance.SEPARATED)
            + _panels.left_out(models, every["model"], "models", relevance.BEST)
            + _panels.left_out(methods, every["method"], "methods", relevance.BEST),
        )
        grid = figure.subplots(len(tasks), len(methods), squeeze=False, sharey=True, sharex="row")
        for row, task in zip(grid, tasks, strict=True):
            of_task = runs[runs["task"] == task]
            for axes, method in zip(row, methods, strict=True):
                of_panel = of_task[(of_task["method"] == method) & of_task["model"].isin(models)]
                axes.set_xlim(*_labels.limits(of_task["value"], of_task["value"]))
                for model, cell in of_panel.groupby("model", sort=False):
                    middle = models.index(model)
                    _slopes(axes, cell, middle, looks[method])
                    _gain_text(axes, gains.loc[(model, task, method)], middle)
                for edge in range(1, len(models)):
                    axes.axhline(edge - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
                axes.set_title(figure_style.wrap(f"{task}: {method}", 40), loc="left")
                axes.set_xlabel(of_task["label"].iloc[0])
                axes.set_yticks(range(len(models)), labels)
                axes.set_ylim(len(models) - 0.5, -0.5)
                axes.tick_params(axis="y", length=0)
        return figure


def _better(runs):
    lower = runs.loc[~runs["higher_is_better"].astype(bool), "label"].unique()
    names = ", ".join(dict.fromkeys(label.partition(" (")[0] for label in lower))
    return f", that is, lower for {names}." if len(lower) else "."


def _shown(runs, every):
    """Return the tasks, models and methods that fit, and the height of a model's band in inches."""
    band = max(0.4, 0.13 * max(figure_style.wrap(model, 28).count("\n") + 2 for model in every["model"]))
    most = min(len(every["task"]), _panels.TASKS), min(len(every["model"]), MODELS)
    tasks, models = _panels.fitting(*most, band, 0.8)
    after = runs[runs["phase"] == "after"]
    return (
        _panels.highest(every["task"], relevance.separation(after), tasks),
        _panels.highest(every["model"], relevance.best(after), models),
        _panels.highest(every["method"], relevance.best(after, "method"), METHODS),
        band,
    )


def _slopes(axes, cell, middle, look):
    before = cell[cell["phase"] == "before"].set_index("seed")["value"]
    after = cell[cell["phase"] == "after"].set_index("seed")
    ends = (middle - 0.28, middle + 0.28)
    for seed, value in after["value"].items():
        axes.plot([before[seed], value], ends, color=look.color, lw=0.7, alpha=0.6)
    axes.plot(before, [ends[0]] * len(before), "o", color=look.color, markerfacecolor="white", markersize=3.6)
    axes.plot(after["value"], [ends[1]] * len(after), look.marker, color=look.color, markersize=4, alpha=0.85)
    lost = before[after.index[run_status.incomplete(after)]]
    axes.plot(lost, [middle] * len(lost), "x", color=figure_style.FAILED, markersize=5, markeredgewidth=1.5)


def _gain_text(axes, gain, middle):
    style = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5}
    text = text_format.with_interval(*gain[["gain", "low", "high"]], "+") if gain["n"] else "no value after"
    axes.text(1.02, middle - 0.03, text, va="bottom", **style)
    count = f"n = {_labels.counted(gain['n'], gain['n_failed'])}"
    axes.text(
        1.02,
        middle + 0.03,
        count,
        va="top",
        color=figure_style.FAILED if gain["n_failed"] else figure_style.SOFT,
        **style,
    )
