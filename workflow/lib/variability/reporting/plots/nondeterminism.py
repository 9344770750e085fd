"""Differences between repeated runs, with everything the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results import repeated_runs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest number of rows; those with the largest differences come first.
ROWS = 40
INSTRUCTIONS = (
    "This study has no repeated runs: n = 0 pairs of equal runs.\n"
    "To measure nondeterminism with equal seeds, give a method a second name in the config,\n"
    "for example  methods: {full: {}, full-again: {repeats: full}}  (a run that did not complete makes no pair)."
)


class Nondeterminism(Plot):
    """One panel per task, one row per two names of the same runs, one dot per seed."""

    NEEDS = ("runs",)
    REPEATS = True
    ANALYSES = ("nondeterminism",)
    CAPTION = (
        "Difference of the primary metric on the test split between repeated runs, which have the same seeds, recipe "
        "and data: one dot per seed, on the line at 0 where they are equal. Right: number of pairs, whether metrics "
        "and predictions are bit-identical, and the SD of one run with its interval."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), tables["nondeterminism"]
        title = self.option(
            "title", f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, repeated runs"
        )
        if table.empty:
            return _instructions(title)
        shown = _largest(table)
        tasks = _labels.names(shown, "task")
        more = _panels.left_out(shown, table, "rows", "with the largest differences")
        counts = [int((shown["task"] == task).sum()) for task in tasks]
        labels = {index: _label(row) for index, row in shown.iterrows()}
        band = _row_height(shown)
        figure = figure_style.figure(
            width=7.5,
            height=1.3 + sum(0.75 + band * count for count in counts),
            title=title,
            note="Dots: pairs of runs with equal seeds, the second minus the first. Line: 0, equal. n: pairs that "
            f"both completed, the others in brackets. SD: of one run, root of half the mean squared "
            f"difference, with its {text_format.percent(table['level'].max())} chi-square interval.{more}",
        )
        grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=counts)
        values = _differences(runs)
        for axes, task in zip(grid.flat, tasks, strict=True):
            of_task = shown[shown["task"] == task]
            _panel(axes, of_task, values, [labels[index] for index in of_task.index])
            axes.set_title(figure_style.wrap(task, 60), loc="left")
            axes.set_xlabel(f"difference in {runs.loc[runs['task'] == task, 'label'].iloc[0]}")
        return figure


def _instructions(title):
    figure = figure_style.figure(
        width=7.5, height=2.2, title=title, note="n: pairs of runs with equal seeds that both completed."
    )
    axes = figure.subplots()
    axes.set_axis_off()
    lines = [figure_style.fit(line, 0.9 * figure.get_figwidth(), 8) for line in INSTRUCTIONS.split("\n")]
    axes.text(0.01, 0.5, "\n".join(lines), va="center", fontsize=8, transform=axes.transAxes)
    return figure


def _largest(table):
    """Return the rows with the largest differences, as many as fit, in the order of the table."""
    order = table.sort_values("largest_difference", ascending=False, kind="stable").head(ROWS)
    while len(order) > 1:
        height = 0.75 * order["task"].nunique() + _row_height(order) * len(order)
        if height <= figure_style.tallest() - _panels.MARGIN:
            break
        order = order.iloc[:-1]
    return order.sort_index()


def _row_height(rows):
    return 0.2 + 0.14 * max(_label(row).count("\n") + 1 for _, row in rows.iterrows())


def _label(row):
    names = [display_names.candidate(row[f"{run}model"], row[f"{run}method"]) for run in ("", "repeat_")]
    return "\n".join(figure_style.wrap(name, 34) for name in names)


def _differences(runs):
    """Return {(task, model, method, repeat_model, repeat_method): differences} of the pairs that both completed."""
    run, repeat = ["task", "model", "method", "seed"], ["task", "repeat_model", "repeat_method", "repeat_seed"]
    values = runs[[*run, "value"]]
    both = repeated_runs.pairs(runs).merge(values, on=run)
    both = both.merge(values.rename(columns=dict(zip(run, repeat, strict=True))), on=repeat, suffixes=("", "_repeat"))
    both = both.assign(difference=both["value_repeat"] - both["value"]).dropna(subset="difference")
    return {key: group["difference"] for key, group in both.groupby([*run[:3], *repeat[1:3]])}


def _panel(axes, rows, values, labels):
    axes.axvline(0, color=figure_style.SOFT, lw=0.8, zorder=0)
    look = figure_style.looks(["pair"])["pair"]
    for index, row in enumerate(rows.itertuples()):
        dots = values.get((row.task, row.model, row.method, row.repeat_model, row.repeat_method), [])
        axes.plot(dots, _panels.scattered(dots, index, 0.25), look.marker, color=look.color, markersize=4.2, alpha=0.85)
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        axes.text(1.02, index, _text(row), color=figure_style.FAILED if row.n_failed else figure_style.INK, **style)
    largest = max((abs(number) for dots in axes.lines[1:] for number in dots.get_xdata()), default=0) or 1
    axes.set_xlim(-1.1 * largest, 1.1 * largest)
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _text(row):
    lines = [f"n = {_labels.counted(row.n, row.n_failed)}"]
    if row.n and row.n_bit_equal == row.n:
        lines.append("bit-identical")
    elif row.n:
        lines.append(f"{row.n_bit_equal} bit-identical")
        lines.append(f"SD {text_format.sd_with_interval(row.sd, row.sd_low, row.sd_high)}")
    if row.differing > 0:
        lines.append(f"{100 * row.differing:.1f} % of classes differ")
    return "\n".join(lines)
