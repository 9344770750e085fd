"""Heat map of mean and SD over seeds of every model on every task."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, relevance, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CANDIDATE, CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CELL_INCHES = 1.05
#: Sizes of cells without numbers in inches, and the largest numbers of them.
COLUMN, ROW = 0.23, 0.2
CANDIDATES, TASKS = 70, 75
#: Widths in inches of the labels, and of a cell with and without numbers, of a figure of limited width.
LABELS, NARROW_CELL, NARROW_COLUMN = 1.5, 0.55, 0.14
WITHIN = "within a task:\n0 = worst mean, 1 = best mean"


class ModelTaskHeatmap(Plot):
    """One panel per method, rows are models, columns are tasks; the cells contain the numbers.

    Where that does not fit: one panel without numbers, rows are tasks, columns are candidates. If tasks have different
    metrics there is no common scale, and a task's colours range from its worst to its best mean.
    """

    NEEDS = ("runs",)
    REQUIRES = ("cells",)
    ANALYSES = ("spread",)
    CAPTION = (
        "Mean (colour) and SD (ddof 1) over seeds of each task's primary metric on the test split after fine-tuning. "
        "Cells with fewer runs than the largest number show theirs, with the number that did not complete. Large "
        "studies: colours only, tasks in rows, candidates from the best mean rank to the worst; a dot marks cells with "
        "runs that did not complete."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        spread = primary_rows.select(tables["spread"])
        models, tasks, methods = (_labels.names(runs, key) for key in CELL)
        labels = runs.drop_duplicates("task").set_index("task")["label"]
        # Tasks with the same metric may have different units, for example for RMSE; shares are comparable.
        common = len(set(labels)) == 1 and bool(spread["mean"].dropna().between(0, 1).all())
        spread = spread.assign(shade=spread["mean"] if common else _within_task(spread, runs))
        if not _numbers_fit(len(models), len(tasks), len(methods)):
            return self._overview(runs, spread, common, labels)
        rows, columns = _shape(len(methods), len(tasks))
        cells = spread.set_index(CELL)
        metric = f"{_labels.metric_of(runs)} on the {primary_rows.SPLIT} split"
        # Panels side by side have common rows, others those of their own method.
        used = {
            method: models if rows == 1 else _labels.names(part, "model") for method, part in runs.groupby("method")
        }
        sizes = [len(models)] if rows == 1 else [len(used[method]) for method in methods]
        figure = figure_style.figure(
            width=max(6.5, 3.2 + columns * (0.25 + CELL_INCHES * len(tasks))),
            height=1.6 + sum(0.75 + 0.5 * size for size in sizes) + (0.5 if figure_style.stacked() else 0),
            title=self.option("title", f"{self.study}: {metric} after fine-tuning, mean ± SD over seeds"),
            note=f"Mean ± SD (ddof 1) over completed runs, one per seed: {text_format.count(spread['n'])}"
            f"{', shown in cells where it is not the largest' if spread['n'].nunique() > 1 else ''}. Blank: not in the "
            f"study.{_labels.one_run(runs)}",
        )
        grid = figure.subplots(rows, columns, squeeze=False, sharey=rows == 1, sharex=True, height_ratios=sizes)
        shades = spread["shade"].dropna()
        span = (shades.min(), shades.max()) if len(shades) else (0, 1)
        for axes, method in zip(grid.flat, methods, strict=True):
            models = used[method]
            shade = [[_of(cells, "shade", model, task, method) for task in tasks] for model in models]
            image = axes.imshow(shade, cmap=figure_style.COLORMAP, vmin=span[0], vmax=span[1], aspect="auto")
            for y, model in enumerate(models):
                for x, task in enumerate(tasks):
                    if (model, task, method) in cells.index:
                        _cell_text(axes, x, y, cells.loc[(model, task, method)], spread["n"].max(), image)
            named = len(set(labels)) > 1
            heads = [f"{task}\n({labels[task].partition(' (')[0]})" if named else task for task in tasks]
            axes.set_xticks(range(len(tasks)), [_head(head) for head in heads], fontsize=7)
            axes.set_yticks(range(len(models)), [figure_style.wrap(model, 28) for model in models])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            axes.set_title(figure_style.wrap(method, 30), loc="left")
        _color_bar(figure, image, grid, labels.iloc[0] if common else WITHIN)
        return figure

    def _overview(self, runs, spread, common, labels):
        every_task, every = (
            _labels.names(runs, "task"),
            [*dict.fromkeys(zip(runs["model"], runs["method"], strict=True))],
        )
        ranks = relevance.best(runs, CANDIDATE)
        most = min(CANDIDATES, int((figure_style.room(figure_style.LARGEST) - LABELS) / NARROW_COLUMN))
        tasks = _panels.highest(every_task, relevance.separation(runs), _most_tasks())
        shown = sorted(every, key=lambda candidate: -ranks.get(candidate, -float("inf")))[:most]
        metric = f"{_labels.metric_of(runs)} on the {primary_rows.SPLIT} split"
        figure = figure_style.figure(
            width=max(6.5, 3.4 + COLUMN * len(shown)),
            height=3.6 + ROW * len(tasks),
            title=self.option("title", f"{self.study}: {metric} after fine-tuning, mean over seeds"),
            note=f"Colour: mean over completed runs, one per seed: {text_format.count(spread['n'])}. Columns: "
            "candidates from the best mean rank over tasks (left) to the worst. Dot: a cell with runs that did not "
            "complete. Blank: not in the study, or no completed run. Numbers and SDs are in the table spread."
            + _labels.one_run(runs)
            + _panels.left_out(tasks, every_task, "tasks", relevance.SEPARATED)
            + _panels.left_out(shown, every, "candidates", relevance.BEST),
        )
        axes = figure.subplots()
        cells = spread.set_index(CELL)
        keys = [[(model, task, method) for model, method in shown] for task in tasks]
        image = axes.imshow(
            [[_of(cells, "shade", *key) for key in row] for row in keys], cmap=figure_style.COLORMAP, aspect="auto"
        )
        lost = [(x, y) for y, row in enumerate(keys) for x, key in enumerate(row) if _of(cells, "n_failed", *key) > 0]
        axes.plot(*zip(*lost, strict=True), "o", color=figure_style.FAILED, markersize=3) if lost else None
        names = [display_names.candidate(model, method) for model, method in shown]
        axes.set_xticks(range(len(shown)), [_short(name) for name in names], rotation=90, fontsize=6.5)
        axes.set_yticks(range(len(tasks)), [_short(task) for task in tasks], fontsize=6.5)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _color_bar(figure, image, axes, labels.iloc[0] if common else WITHIN)
        return figure


def _shape(methods, tasks):
    """Return rows and columns of panels with numbers."""
    return (1, methods) if methods * tasks <= 9 and not figure_style.stacked() else (methods, 1)


def _numbers_fit(models, tasks, methods):
    rows, columns = _shape(methods, tasks)
    width, height = 3.2 + columns * (0.25 + CELL_INCHES * tasks), 1.6 + rows * (0.75 + 0.5 * models)
    if (room := figure_style.room(figure_style.LARGEST)) < figure_style.LARGEST:
        width = LABELS + columns * (0.15 + NARROW_CELL * tasks)
    return width <= room and height <= figure_style.tallest()


def _most_tasks():
    return min(TASKS, int((figure_style.tallest() - 3.6) / ROW))


def _short(name):
    return name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"


def _color_bar(figure, image, axes, label):
    if figure_style.stacked():
        bar = figure.colorbar(image, ax=axes, location="bottom", aspect=24, pad=0.02)
        bar.set_label(label.replace("\n", " "))
    else:
        bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02)
        bar.set_label(label)
    bar.outline.set_visible(False)


def _within_task(spread, runs):
    means = spread.groupby("task")["mean"]
    lowest, highest = means.transform("min"), means.transform("max")
    shade = ((spread["mean"] - lowest) / (highest - lowest)).where(highest > lowest, 0.5)
    better = spread["task"].map(runs.drop_duplicates("task").set_index("task")["higher_is_better"]).astype(bool)
    return shade.where(better, 1 - shade).where(spread["mean"].notna())


def _of(cells, column, *key):
    return cells.loc[key, column] if key in cells.index else float("nan")


def _head(text):
    return "\n".join(figure_style.wrap(line, 14) for line in text.split("\n"))


def _cell_text(axes, x, y, cell, most, image):
    text = text_format.with_spread(cell["mean"], cell["sd"], cell["n"]) if cell["n"] else ""
    lines = text.replace(" ±", "\n±").replace(" (", "\n(").split("\n") if text else []
    if cell["n"] < most or cell["n_failed"]:
        counted = _labels.counted(cell["n"], cell["n_failed"], cell["n_undefined"])
        lines.append(textwrap.fill(f"n = {counted}", 18))
    color = figure_style.FAILED
    if cell["n"]:
        color = figure_style.text_color(image.cmap(image.norm(cell["shade"])))
    axes.text(x, y, "\n".join(lines), ha="center", va="center", fontsize=7, color=color)
