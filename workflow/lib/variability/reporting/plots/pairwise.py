"""Matrix of the probability that a run of one candidate beats a run of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.analyses.decisions import BEATS
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import run_status
from variability.results.columns import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 15
#: Widths in inches of a cell, of one in a narrow figure, and of the labels of such a figure.
WIDTH, NARROW, LABELS = 0.46, 0.38, 1.3
#: Mark of pairs of which one beats the other.
MARK = "●"


class Pairwise(Plot):
    """One panel per task; rows and columns are its candidates from the best mean to the worst, at most MOST.

    Tasks are those with the most decided pairs. Above the diagonal, coloured: the probability that a run of the row is
    better than one of the column, with a mark where one beats the other, as ``decisions`` decides. Below it: the
    difference of the means, row minus column.
    """

    NEEDS = ("runs",)
    REQUIRES = ("candidates",)
    ANALYSES = ("pairwise", "decisions")
    CAPTION = (
        "Candidates of each task from the best mean to the worst. Above the diagonal: the probability that a run of "
        "the row is better than a run of the column, with a dot if the decision is that one beats the other. Below it: "
        "the difference of the means, row minus column, oriented so that more is better."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        pairs = primary_rows.select(tables["pairwise"])
        every, decided = _labels.names(runs, "task"), _decided(tables["decisions"])
        tasks = _panels.highest(every, decided, _panels.TASKS)
        panels = {task: _candidates(runs[runs["task"] == task]) for task in tasks}
        labels = [label for candidates in panels.values() for label in _candidate_labels(candidates.head(MOST))]
        band = max(0.36, 0.12 * max(label.count("\n") + 1 for label in labels) + 0.04)
        side = min(MOST, max(2, *map(len, panels.values())))
        columns = min(len(tasks), 2 if side <= 8 or len(tasks) > 3 else 1)
        if (room := figure_style.room(figure_style.LARGEST)) < figure_style.LARGEST:
            columns = columns if room / columns >= LABELS + NARROW * side else 1
            side = min(side, max(2, int((room / columns - LABELS) / NARROW)))
        fits, side = _panels.fitting(len(tasks), side, band, 0.8, columns=columns)
        tasks = _panels.highest(every, decided, fits)
        shown = {task: panels[task].head(side) for task in tasks}
        rows = -(-len(tasks) // columns)
        cut = _panels.left_out(tasks, every, "tasks", "with the most decided pairs")
        if any(len(panels[task]) > side for task in tasks):
            cut += f" Only the {side} best means of a task are shown."
        figure = figure_style.figure(
            width=max(6.5, columns * (2.6 + WIDTH * side) + 0.9),
            height=1.9 + rows * (0.8 + band * side),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, "
                "pair by pair",
            ),
            note=_note(pairs, tables["decisions"]) + cut + _labels.one_run(runs),
        )
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(tasks) :]:
            axes.set_visible(False)
        image = None
        for axes, task in zip(grid.flat, tasks, strict=False):
            axes.set_title(figure_style.wrap(f"{task}: {_label(runs, task)}", 44), loc="left")
            image = (
                _panel(
                    axes,
                    shown[task],
                    _lookup(*(table[table["task"] == task] for table in (pairs, tables["decisions"]))),
                )
                or image
            )
        if image is not None:
            if figure_style.stacked():
                bar = figure.colorbar(image, ax=grid, location="bottom", aspect=24, pad=0.02)
            else:
                bar = figure.colorbar(image, ax=grid, shrink=0.7 / rows, aspect=20, pad=0.02, anchor=(0, 1))
            bar.set_label("probability that the row is better")
            bar.outline.set_visible(False)
        return figure


def _decided(decisions):
    """Return the share of pairs of which one beats the other, by task."""
    return (decisions["decision"] == BEATS).groupby(decisions["task"]).mean().to_dict()


def _label(runs, task):
    return runs.loc[runs["task"] == task, "label"].iloc[0]


def _note(pairs, decisions):
    start = (
        "n: completed runs, one per seed. Upper right: probability that a run of the row is better than one of the "
        "column, ties half"
    )
    if pairs.empty or decisions.empty:
        return start + "."
    return (
        f"{start}; {MARK}: one beats the other, adjusted for all comparisons of the task at "
        f"{text_format.percent(1 - decisions['level'].iloc[0])}; no mark: undecided; n/a: a probability needs two "
        "runs of both. Lower left: difference of means, row minus column, oriented so that + is better."
    )


def _candidates(runs):
    """Return the candidates of a task from the best mean to the worst, those without a value last.

    The index is (model, method).
    """
    marked = runs.assign(incomplete=run_status.incomplete(runs))
    candidates = marked.groupby(CANDIDATE, sort=False).agg(
        mean=("value", "mean"), n=("value", "count"), incomplete=("incomplete", "sum")
    )
    return candidates.sort_values("mean", ascending=runs["higher_is_better"].iloc[0] in (False, 0), kind="stable")


def _candidate_labels(candidates):
    return [
        figure_style.wrap(display_names.candidate(model, method), 30)
        + f"\n{number}: n = {_labels.counted(row['n'], row['incomplete'])}"
        for number, ((model, method), row) in enumerate(candidates.iterrows(), start=1)
    ]


def _lookup(pairs, decisions):
    """Return probability, text of the difference and mark by (candidate, other), for pairs in both directions."""
    decided = decisions[decisions["decision"] == BEATS]
    names = [zip(decided[f"model{side}"], decided[f"method{side}"], strict=True) for side in ("", "_b")]
    marked = {frozenset(pair) for pair in zip(*names, strict=True)}
    values = {}
    for row in pairs.itertuples(index=False):
        one, other = (row.model, row.method), (row.model_b, row.method_b)
        mark = MARK if frozenset((one, other)) in marked else ""
        digits = text_format.decimals(text_format.half_width(row.low, row.high))
        for pair, probability, sign in (((one, other), row.probability, 1), ((other, one), 1 - row.probability, -1)):
            values[pair] = (probability, text_format.number(sign * row.difference, "+", digits), mark)
    return values


def _panel(axes, candidates, pairs):
    names = list(candidates.index)
    axes.set_yticks(range(len(names)), _candidate_labels(candidates), fontsize=6.5)
    axes.set_xticks(range(len(names)), range(1, len(names) + 1))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if len(names) < 2:
        axes.set_xlim(-0.5, 1.5)
        axes.set_ylim(0.5, -0.5)
        axes.text(0.5, 0, "a pair needs two candidates", ha="center", va="center", fontsize=7, color=figure_style.SOFT)
        return None
    nothing = (float("nan"), "", None)
    cells = {
        (y, x): pairs.get((names[y], names[x]), nothing) for y in range(len(names)) for x in range(len(names)) if y != x
    }
    shade = [[cells[y, x][0] if x > y else float("nan") for x in range(len(names))] for y in range(len(names))]
    image = axes.imshow(shade, cmap=figure_style.COLORMAP, vmin=0, vmax=1, aspect="auto")
    for (y, x), (probability, difference, mark) in cells.items():
        if x > y:
            _probability(axes, x, y, probability, mark, image)
        elif difference != "+nan":
            axes.text(x, y, difference, ha="center", va="center", fontsize=6, color=figure_style.INK)
    return image


def _probability(axes, x, y, probability, mark, image):
    if probability != probability:
        text = "" if mark is None else "n/a" + (f"\n{mark}" if mark else "")
        color = figure_style.INK if mark else figure_style.SOFT
        axes.text(x, y, text, ha="center", va="center", fontsize=6, color=color)
        return
    color = figure_style.text_color(image.cmap(image.norm(probability)))
    text = f"{probability:.2f}" + (f"\n{mark}" if mark else "")
    axes.text(x, y, text, ha="center", va="center", fontsize=6, color=color)
