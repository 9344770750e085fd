"""Signal to noise of each task, and how often one run of each candidate decides as all runs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest number of tasks, and height of a row in inches.
MOST, ROW = 60, 0.3


class TaskQuality(Plot):
    """One row per task, those that separate the candidates best on top: left signal to noise, right decisions."""

    NEEDS = ("runs",)
    REQUIRES = ("candidates", "seeds")
    ANALYSES = ("task_quality",)
    CAPTION = (
        "Tasks that separate the candidates best are on top. Signal to noise: range of the candidates' means over the "
        "SD between runs (dot), with its interval (line), and what equal candidates would have (tick). Decided alike: "
        "how often two candidates are in the same order with one run of each as with all runs (dot; dashed: by chance)."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), tables["task_quality"]
        known = table.dropna(subset="snr").sort_values("snr", ascending=False, kind="stable")
        parts = 2 if figure_style.stacked() else 1
        _, most = _panels.fitting(parts, min(MOST, max(len(known), 1)), ROW)
        shown = known.head(most)
        figure = figure_style.figure(
            width=7.5,
            height=2.4 + 0.75 * (parts - 1) + parts * ROW * max(len(shown), 2),
            title=self.option(
                "title", f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, quality of tasks"
            ),
            note=f"Lines: intervals, {_interval(shown)}. Ticks: ratio of candidates without any difference. Dashed: "
            "decided by chance. n: completed runs of all candidates of a task, others in brackets; "
            f"{_labels.incomplete(runs)}." + _panels.left_out(shown, known, "tasks", "that separate candidates best"),
        )
        if shown.empty:
            return _panels.placeholder(figure, "no task has two candidates and two runs of one of them")
        names = zip(shown["task"], shown["n"], shown["n_failed"], strict=True)
        labels = [figure_style.wrap(f"{task}, n = {_labels.counted(*counts)}", 44) for task, *counts in names]
        left, right = _panels.parts(figure, labels, [3, 2])
        for y, row in enumerate(shown.itertuples()):
            left.plot([row.snr_low, row.snr_high], [y, y], color=figure_style.COLORS[0], lw=1.4)
            left.plot(row.snr, y, "o", color=figure_style.COLORS[0], markersize=5)
            left.plot(row.snr_if_equal, y, "|", color=figure_style.SOFT, markersize=9, markeredgewidth=1.4)
            right.plot(row.decision_accuracy, y, "o", color=figure_style.COLORS[0], markersize=5)
        right.axvline(0.5, color=figure_style.SOFT, lw=0.8, linestyle="--", zorder=0)
        left.set_xlim(left=0)
        right.set_xlim(0, 1.03)
        left.set_xlabel("signal to noise")
        right.set_xlabel("share of pairs decided alike")
        for axes in (left, right):
            axes.locator_params(axis="x", nbins=5)
            axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
            axes.set_axisbelow(True)
        return figure


def _interval(shown: pd.DataFrame) -> str:
    return f"{text_format.percent(shown['level'].iloc[0])}, {shown['interval'].iloc[0]}" if len(shown) else "none"
