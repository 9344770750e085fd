"""Panels of a figure: how many there is room for, and panels of one task each with one band per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability.reporting import figure_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: As many panels of tasks and bands of models as a figure can hold and be read.
TASKS = 6
MODELS = 20
COLUMNS = 3


def kept(names: Sequence, scores: Mapping[Any, float], most: int) -> list:
    """The ``most`` names with the highest scores, in their old order; a name without a score has the least."""
    ranked = sorted(names, key=lambda name: -scores.get(name, -float("inf")))
    return [name for name in names if name in set(ranked[:most])]


def left_out(drawn: Sequence, names: Sequence, what: str, why: str) -> str:
    """`` Drawn: 6 of 20 tasks, the first.``, or nothing if all are."""
    return f" Drawn: {len(drawn)} of {len(names)} {what}, {why}." if len(drawn) < len(names) else ""


def nothing(figure: Figure, why: str) -> Figure:
    """The figure, with nothing in it but words."""
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
    return figure


def grid(figure: Figure, panels: int, **options: Any) -> list[Axes]:
    """Axes of so many panels, at most three abreast; further options as of ``Figure.subplots``."""
    columns = min(panels, COLUMNS)
    axes = figure.subplots(-(-panels // columns), columns, squeeze=False, **options).ravel()
    for spare in axes[panels:]:
        spare.set_visible(False)
    return list(axes[:panels])


def size(tasks: Sequence[str], models: Sequence[str], lines: float) -> tuple[float, float]:
    """Width and height of a figure of ``bands``, inches; lines is the height of what a model has in its band."""
    columns = min(len(tasks), COLUMNS)
    names = 0.13 * max(_label(model).count("\n") + 1 for model in models)
    rows = -(-len(tasks) // max(columns, 1))
    return max(6.5, 1.9 + 3.7 * columns), 1.9 + rows * (0.75 + (0.12 + max(lines, names)) * len(models))


def bands(figure: Figure, runs: pd.DataFrame, tasks: Sequence[str], models: Sequence[str]) -> dict[str, Axes]:
    """One panel per task; the band of the model at k lies between k - 0.5 and k + 0.5, and grows downwards."""
    found = dict(zip(tasks, grid(figure, len(tasks), sharey=True), strict=True))
    labels = runs.drop_duplicates("task").set_index("task")["label"]
    for task, axes in found.items():
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
    return found


def place(at: int, line: int, lines: int) -> float:
    """Where a method's line is in the band of the model at ``at``."""
    return at + ((line + 0.5) / lines - 0.5) * 0.86


def scattered(values: Sequence[float], middle: float, height: float) -> list[float]:
    """Heights of dots about the middle, the same every time, so that equal values do not hide each other."""
    # Multiples of the golden ratio spread any number of dots evenly.
    return [middle + 2 * height * ((at * 0.618034 + 0.5) % 1 - 0.5) for at in range(len(values))]


def bar(axes: Axes, low: float, high: float, middle: float, **look: Any) -> None:
    """An interval at a height; an arrow where it leaves the panel, whose limits must be set before."""
    left, right = axes.get_xlim()
    axes.plot([low, high], [middle, middle], **look)
    for edge, marker, beyond in ((left, 4, low < left), (right, 5, high > right)):
        if beyond:
            axes.plot(edge, middle, marker=marker, color=look["color"], markersize=4, clip_on=False, zorder=3)


def _label(model: str) -> str:
    return figure_style.wrap(model, 28)
