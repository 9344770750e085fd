"""Panels of a figure: how many fit, and panels of one task each with one band per model.

No figure is larger than ``figure_style.LARGEST`` inches: ``fitting`` returns how many panels and rows there is room
for, ``highest`` chooses them, and ``left_out`` writes the choice into the note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability.reporting import figure_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Largest numbers of panels (tasks) and bands (models) of a readable figure, and panels per row.
TASKS = 6
MODELS = 20
COLUMNS = 3
#: Height of titles, legend and note that ``fitting`` leaves free, in inches.
MARGIN = 2.6


def highest(names: Sequence, scores: Mapping[Any, float], most: int) -> list:
    """Return the ``most`` names with the highest scores, in their original order.

    A name without a score has the lowest one.
    """
    ranked = sorted(names, key=lambda name: -scores.get(name, -float("inf")))
    return [name for name in names if name in set(ranked[:most])]


def left_out(shown: Sequence, names: Sequence, noun: str, reason: str) -> str:
    """Format a note on what is shown: `` Shown: 6 of 20 tasks, those with the best mean.``; empty if that is all."""
    return f" Shown: {len(shown)} of {len(names)} {noun}, those {reason}." if len(shown) < len(names) else ""


def fitting(
    panels: int, rows: int, each: float, fixed: float = 0.75, *, columns: int = 1, margin: float = MARGIN
) -> tuple[int, int]:
    """Return how many panels, and rows in each of them, fit into a figure, at least one of either.

    Three lines of panels, or all if there are fewer, are worth more than all rows. panels, rows: wanted. each, fixed:
    heights in inches of a row, and of a panel without rows. columns: panels in a line.
    """
    room = figure_style.tallest() - margin
    panels, rows = max(1, panels), max(1, rows)
    # A page has less room than a screen.
    lines = min(3 if figure_style.tallest() == figure_style.LARGEST else 2, -(-panels // columns))
    while rows > 1 and room // (fixed + each * rows) < lines:
        rows -= 1
    return max(1, min(panels, columns * int(room // (fixed + each * rows)))), rows


def placeholder(figure: Figure, reason: str) -> Figure:
    """Fill the figure with a text that explains why there is nothing to draw."""
    axes = figure.add_subplot()
    axes.set_axis_off()
    text = figure_style.fit(reason, 0.9 * figure.get_figwidth(), 8)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return figure


def parts(figure: Figure, labels: Sequence[str], widths: Sequence[float], **options: Any) -> list[Axes]:
    """Create parts of a figure that have the same rows, from the top: next to each other, or stacked if it is narrow.

    labels: of the rows. widths: of the parts, relative to each other. options: arguments of ``Axes.set_yticks``.
    """
    columns = figure_style.columns(len(widths))
    lines = -(-len(widths) // columns)
    ratios = widths if lines == 1 else [1] * columns
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True, width_ratios=ratios)
    for unused in grid.flat[len(widths) :]:
        unused.set_visible(False)
    grid[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    for axes in grid.flat[: len(widths)]:
        axes.set_yticks(range(len(labels)), labels, **options)
        axes.tick_params(axis="y", length=0)
    return list(grid.flat[: len(widths)])


def grid(figure: Figure, panels: int, **options: Any) -> list[Axes]:
    """Create axes for a number of panels, at most three per row. options: further arguments of ``Figure.subplots``."""
    columns = min(panels, figure_style.columns(COLUMNS))
    axes = figure.subplots(-(-panels // columns), columns, squeeze=False, **options).ravel()
    for unused in axes[panels:]:
        unused.set_visible(False)
    return list(axes[:panels])


def size(tasks: Sequence[str], models: Sequence[str], lines: float) -> tuple[float, float]:
    """Return width and height of a figure of ``bands``, in inches.

    lines: height of the lines that a model has in its band.
    """
    columns = min(len(tasks), figure_style.columns(COLUMNS))
    rows = -(-len(tasks) // max(columns, 1))
    return max(6.5, 1.9 + 3.7 * columns), 1.9 + rows * (0.75 + band_height(models, lines) * len(models))


def band_height(models: Sequence[str], lines: float) -> float:
    """Return the height of a model's band in inches. lines: see ``size``."""
    return 0.12 + max(lines, 0.13 * max([1, *(_label(model).count("\n") + 1 for model in models)]))


def choose(
    tasks: Sequence[str],
    models: Sequence[str],
    lines: float,
    relevance: tuple[Mapping[str, float], Mapping[str, float]],
) -> tuple[list[str], list[str]]:
    """Return the tasks and models of ``bands`` that fit, those with the highest scores. relevance: scores of both."""
    wanted = min(len(tasks), TASKS), min(len(models), MODELS)
    most_tasks, most_models = fitting(*wanted, band_height(models, lines), columns=figure_style.columns(COLUMNS))
    return highest(tasks, relevance[0], most_tasks), highest(models, relevance[1], most_models)


def bands(figure: Figure, runs: pd.DataFrame, tasks: Sequence[str], models: Sequence[str]) -> dict[str, Axes]:
    """Create one panel per task; the band of the model at k extends from k - 0.5 to k + 0.5, downwards."""
    panels = dict(zip(tasks, grid(figure, len(tasks), sharey=True), strict=True))
    labels = runs.drop_duplicates("task").set_index("task")["label"]
    for task, axes in panels.items():
        for edge in range(1, len(models)):
            axes.axhline(edge - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
        axes.set_title(figure_style.wrap(task, 40), loc="left")
        axes.set_xlabel(labels[task])
        axes.set_yticks(range(len(models)), [_label(model) for model in models])
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
        axes.set_axisbelow(True)
    return panels


def line_position(model: int, line: int, lines: int) -> float:
    """Return the vertical position of a method's line within the band of a model."""
    return model + ((line + 0.5) / lines - 0.5) * 0.86


def scattered(values: Sequence[float], middle: float, height: float) -> list[float]:
    """Return vertical positions of dots around the middle, the same every time, so that equal values stay visible."""
    # Multiples of the golden ratio spread any number of dots evenly.
    return [middle + 2 * height * ((index * 0.618034 + 0.5) % 1 - 0.5) for index in range(len(values))]


def bar(axes: Axes, low: float, high: float, middle: float, **look: Any) -> None:
    """Draw an interval at a height, with an arrow where it leaves the panel. Set the panel's limits before."""
    left, right = axes.get_xlim()
    axes.plot([low, high], [middle, middle], **look)
    for edge, marker, outside in ((left, 4, low < left), (right, 5, high > right)):
        if outside:
            axes.plot(edge, middle, marker=marker, color=look["color"], markersize=4, clip_on=False, zorder=3)


def _label(model: str) -> str:
    return figure_style.wrap(model, 28)
