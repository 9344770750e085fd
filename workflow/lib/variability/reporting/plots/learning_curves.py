"""Learning curves: a measure by epoch, for every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from variability.data import kinds
from variability.reporting import figure_style, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_status
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MEASURES = {f"validation_{kind.MEASURE}": kind for kind in kinds.all_kinds().values()}
QUANTITIES = {
    "validation_loss": "validation loss",
    "train_loss": "training loss",
    **{name: f"validation {kind.MEASURE_LABEL}" for name, kind in _MEASURES.items()},
}
#: Largest number of models, and the choice of models and tasks.
MODELS = 11
#: Height of a panel, and width of the narrowest one, in inches.
ROW, NARROWEST = 1.45, 1.1
RESTLESS = "with the most runs that did not complete, then with the largest spread between seeds"
CROSS = figure_style.Look(figure_style.FAILED, "X", "")


class LearningCurves(Plot):
    """Rows of panels are models, columns are tasks; a thin line is a run, a thick one the mean of completed runs.

    The mean ends at the last epoch that all completed runs reached: with early stopping, a mean over the remaining runs
    would be biased towards the slow ones. Axes contain the completed runs; a diverging run may leave them.
    """

    NEEDS = ("history",)
    CAPTION = (
        "Every run by epoch (thin), and the mean of the completed runs up to the last epoch that all of them reached "
        "(thick); epoch 0 is before training. Runs that diverged end in a cross, at the edge where they left the panel."
    )
    OPTIONS: ClassVar[dict[str, dict]] = Plot.OPTIONS | {
        "quantity": {"enum": list(QUANTITIES), "default": "validation_loss", "description": "measure shown by epoch"}
    }

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        quantity = self.option("quantity")
        history = tables["history"].assign(value=tables["history"][quantity])
        every_model, every_task, methods = (_labels.names(history, key) for key in CELL)
        looks = figure_style.looks(methods)
        runs = history.drop_duplicates(RUN)
        fits = _fitting()
        tasks, models = (
            _panels.highest(names, _restless(history, runs, key), most)
            for key, names, most in (("task", every_task, fits[0]), ("model", every_model, fits[1]))
        )
        lost = run_status.incomplete(runs)
        sizes = runs[~lost].groupby(CELL).size()
        legend = [figure_style.handle(name, look, marker="") for name, look in looks.items()]
        if lost.any():
            legend.append(figure_style.handle("end of a diverged run", CROSS))
        figure = figure_style.figure(
            width=max(6.5, 1.6 + 2.1 * len(tasks) + 0.8),
            height=1.6 + ROW * len(models),
            title=self.option("title", f"{self.study}: {QUANTITIES[quantity]} by epoch, every seed"),
            note=f"Thin: one run. Thick: mean of the completed runs ({text_format.count(sizes)} in a cell), up to the "
            f"last epoch that all of them reached. Epoch 0 is before training. {_labels.incomplete(runs)}."
            + _panels.left_out(tasks, every_task, "tasks", RESTLESS)
            + _panels.left_out(models, every_model, "models", RESTLESS),
            legend=legend,
        )
        units = {task: _unit(quantity, kind) for task, kind in zip(runs["task"], runs["kind"], strict=True)}
        common = len(set(units.values())) == 1
        figure.supylabel(QUANTITIES[quantity] + (f" ({units[tasks[0]]})" if common else ""), fontsize=8)
        grid = figure.subplots(len(models), len(tasks), squeeze=False, sharex="col", sharey="col")
        for column, task in enumerate(tasks):
            of_task = history[history["task"] == task]
            completed = of_task["value"].where(~run_status.incomplete(of_task))
            grid[0, column].set_ylim(*_labels.limits(completed, completed))
            grid[0, column].set_title(figure_style.wrap(task, 22) + ("" if common else f"\n({units[task]})"))
            grid[-1, column].set_xlabel("epoch")
            grid[-1, column].xaxis.get_major_locator().set_params(integer=True)
            for axes, model in zip(grid[:, column], models, strict=True):
                for method in methods:
                    cell = of_task[(of_task["model"] == model) & (of_task["method"] == method)]
                    _curves(axes, cell, looks[method])
                if of_task["value"].isna().all():
                    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=6.5)
                _diverged(axes, runs[(runs["model"] == model) & (runs["task"] == task)])
                axes.yaxis.grid(True, color="#EEEEEE", lw=0.6)
        for axes, model in zip(grid[:, -1], models, strict=True):
            axes.text(1.03, 0.5, figure_style.wrap(model, 18), transform=axes.transAxes, va="center", fontsize=8)
        return figure


def _fitting():
    """Return how many tasks and models fit into a figure."""
    across = int((figure_style.room(figure_style.LARGEST) - 1.2) / NARROWEST)
    return max(1, min(_panels.TASKS, across)), min(MODELS, int((figure_style.tallest() - _panels.MARGIN) / ROW))


def _restless(history, runs, key):
    """Return the share of runs that did not complete, plus a share of less than one run for the spread, by ``key``.

    The spread is the mean SD between the last values of a cell's completed runs, as a rank among names.
    """
    lost = run_status.incomplete(runs).groupby(runs[key]).mean()
    completed = history[~run_status.incomplete(history)].dropna(subset="value")
    last = completed.groupby(RUN, sort=False)["value"].last()
    # Tasks may have different units.
    spread = last.groupby(CELL).std() / last.groupby("task").mean().abs()
    rank = spread.groupby(key).mean().rank(pct=True).reindex(lost.index).fillna(0)
    return (lost + rank / (len(runs) + 1)).to_dict()


def _unit(quantity, kind):
    return _MEASURES[quantity].MEASURE_UNIT if quantity in _MEASURES else kinds.find(kind).LOSS_UNIT


def _diverged(axes, runs):
    count = run_status.diverged(runs).sum()
    if count:
        style = {"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": 6.5}
        axes.text(0.98, 0.98, f"{count} of {len(runs)} diverged", color=figure_style.FAILED, **style)


def _curves(axes, cell, look):
    curves = cell.pivot_table(index="epoch", columns=["status", "seed"], values="value", sort=False).sort_index()
    low, high = axes.get_ylim()
    for (status, _), curve in curves.items():
        curve = curve.dropna()
        axes.plot(curve.index, curve, color=look.color, linestyle=look.line, lw=0.6, alpha=0.45)
        if status != run_status.COMPLETED and len(curve):
            end = min(max(curve.iloc[-1], low), high)
            axes.plot(curve.index[-1], end, CROSS.marker, color=CROSS.color, markersize=5, clip_on=False, zorder=4)
    if run_status.COMPLETED in curves:
        mean = curves[run_status.COMPLETED].mean(axis=1, skipna=False).dropna()
        axes.plot(mean.index, mean, color=look.color, linestyle=look.line, lw=1.8)
