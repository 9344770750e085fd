"""Smallest difference that n runs against n can show, by task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LOOKS = {
    "detectable_at_sd": ("from the SD", figure_style.Look(figure_style.COLORS[0], "o", "-")),
    "detectable": ("from the upper limit of the SD", figure_style.Look(figure_style.COLORS[1], "s", "--")),
}


class Detectable(Plot):
    """One panel per task, both axes logarithmic: the difference that is detected against the runs of each candidate."""

    NEEDS = ("runs",)
    REQUIRES = ("seeds", "candidates")
    ANALYSES = ("detectable",)
    CAPTION = (
        "Smallest true difference between two candidates that a comparison of so many runs of each would show (both "
        "axes logarithmic): from the SD of single runs pooled over the candidates of a task (line), and from its upper "
        "confidence limit, the one to plan with (dashed). Below a line, differences mostly go unnoticed."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        table = tables["detectable"].dropna(subset=[*LOOKS])
        table = table[(table[[*LOOKS]] > 0).all(axis=1)]
        every = _labels.names(table, "task")
        columns = figure_style.columns(_panels.COLUMNS)
        fits, _ = _panels.fitting(min(len(every), _panels.TASKS), 1, 2.6, 0, columns=columns)
        # Differences of metrics with other units have no common order; relative to the candidates' means they have.
        means = runs.groupby("task")["value"].mean().abs()
        relative = (table.groupby("task")["detectable"].max() / means).dropna().to_dict()
        tasks = _panels.highest(every, relative, fits)
        rows = -(-max(len(tasks), 1) // columns)
        figure = figure_style.figure(
            width=max(6.5, 0.6 + 2.9 * min(max(len(tasks), 1), columns)),
            height=2.0 + 2.6 * rows,
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, differences that can be "
                "shown",
            ),
            note=f"{_test(table)}n: completed runs of all candidates of a task; {_labels.incomplete(runs)}."
            + _panels.left_out(tasks, every, "tasks", "that show the fewest differences, relative to their mean"),
            legend=[figure_style.handle(name, look) for name, look in LOOKS.values()],
        )
        if not tasks:
            return _panels.placeholder(figure, "no candidate has two completed runs that differ")
        for axes, task in zip(_panels.grid(figure, len(tasks)), tasks, strict=True):
            of_task = table[table["task"] == task]
            for column, (_, look) in LOOKS.items():
                style = {"color": look.color, "marker": look.marker, "linestyle": look.line, "markersize": 4}
                axes.plot(of_task["runs_each"], of_task[column], **style)
            _logarithmic(axes, of_task)
            first = of_task.iloc[0]
            counted = _labels.counted(first["n"], first["n_failed"])
            axes.set_title(figure_style.wrap(f"{task}: n = {counted}", 40), loc="left", fontsize=8)
            axes.set_ylabel(figure_style.wrap(f"difference in {first['metric']}", 34))
        return figure


def _test(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    first = table.iloc[0]
    level, power = text_format.percent(1 - first["level"]), text_format.percent(first["power"])
    test = first["estimator"]
    return f"One planned comparison: {test}, at {level} with power {power}; upper limit: {first['interval']}. "


def _logarithmic(axes, of_task):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    counts = of_task["runs_each"].tolist()
    axes.set(xscale="log", yscale="log", xlabel="runs of each candidate")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda difference, _: f"{difference:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)
