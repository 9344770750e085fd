"""Candidates over all tasks: shared ranks with brackets, and mean differences from the one that is ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import figure_style, primary_rows, rank_words, text_format
from variability.reporting.equivalent_pairs import NOT_RANKED
from variability.reporting.plots import Plot, _labels, _panels, _rank_limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 40
#: Most candidates without a rank, if there is no room for all.
UNRANKED = 6
OPEN = " Open dots: candidates that lack a task, and so have no rank; the difference is over the tasks that both have."


class Overall(Plot):
    """Rows are candidates, the one that is ahead on top, at most MOST.

    Left: limits of the ranks over all tasks, with brackets around ties. Right: mean difference from the candidate that
    is ahead, with its interval. Both are those of the table ``overall``.
    """

    ANALYSES = ("overall",)
    CAPTION = (
        "Candidates over all tasks. Ranks: those that the decisions leave to each (bars, simultaneous limits; dot: "
        "position by the mean), with brackets around candidates of which none beats another. Differences: means over "
        "tasks, from the candidate that is ahead (dot, + is better), with their intervals (line) from three tasks on. "
        "Candidates that lack a task have no rank (open dot: over common tasks)."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        pairs = tables["overall"]
        candidates = rank_words.ranked(pairs) if len(pairs) else []
        labels = [figure_style.wrap(one.name, 34) for one in candidates[:MOST]]
        parts = 2 if figure_style.stacked() else 1
        _, most = _panels.fitting(parts, len(labels), _rank_limits.row_height(labels), 0.75 * (parts - 1))
        shown = _shown(candidates, most)
        labels = [figure_style.wrap(one.name, 34) for one in shown]
        runs = primary_rows.select(tables["runs"])
        figure = figure_style.figure(
            width=9.0,
            height=2.2 + 0.75 * (parts - 1) + parts * _rank_limits.row_height(labels) * max(len(shown), 3),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, all tasks together",
            ),
            note=_note(pairs, shown)
            + _rank_limits.runs_in_words(runs)
            + _panels.left_out(shown, candidates, "candidates", "that are ahead, then those without a rank"),
        )
        if not shown:
            return _panels.placeholder(figure, "Not drawn: needs two candidates on two tasks.")
        ranks, differences = _panels.parts(figure, labels, [3, 2], fontsize=6.5)
        _rank_limits.draw(ranks, shown, labels)
        _unranked(ranks, pairs, shown)
        _differences(differences, pairs, shown)
        return figure


def _shown(candidates, most):
    """Return the candidates to show: those that are ahead, and up to UNRANKED of those without a rank."""
    ranked = [one for one in candidates if one.low == one.low]
    others = [one for one in candidates if one.low != one.low]
    room = most - len(ranked)
    others = others[: max(room, UNRANKED if most > 2 * UNRANKED else 0)]
    return [*ranked[: most - len(others)], *others]


def _unranked(axes, pairs, shown):
    """Write which results the candidates without a rank lack, where the others have their ranks."""
    reasons = {(row.model_b, row.method_b): row.note for row in pairs[pairs["decision"] == NOT_RANKED].itertuples()}
    for row, one in enumerate(shown):
        if text := reasons.get((one.model, one.method)):
            axes.text(0.6, row, text, color=figure_style.SOFT, fontsize=6.5, va="center")


def _differences(axes, pairs, shown):
    leader = shown[0]
    rows = {name: row for row, name in enumerate((one.model, one.method) for one in shown)}
    of_leader = pairs[(pairs["model"] == leader.model) & (pairs["method"] == leader.method)]
    points = of_leader[[(row.model_b, row.method_b) in rows for row in of_leader.itertuples()]]
    low, high = _labels.limits(-points["difference"], -points[["low", "high"]].stack())
    axes.set_xlim(min(low, 0), max(high, 0.06 * (high - low)))
    axes.axvline(0, color=figure_style.SOFT, lw=0.8)
    for row in points.itertuples():
        y = rows[row.model_b, row.method_b]
        if row.low == row.low:
            _panels.bar(axes, -row.high, -row.low, y, color=figure_style.COLORS[0], lw=1.5)
        face = "white" if row.decision == NOT_RANKED else figure_style.INK
        axes.plot(-row.difference, y, "o", color=figure_style.INK, markerfacecolor=face, markersize=3.5, zorder=3)
    axes.set_xlabel("mean difference from the first (+ is better)")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)


def _note(pairs, shown):
    if pairs.empty:
        return _rank_limits.NOTE
    first = pairs.iloc[0]
    not_ranked = (pairs["decision"] == NOT_RANKED).any() and any(one.low != one.low for one in shown)
    groups = f", {plural(first['groups'], 'group')}" if first["groups"] < first["tasks"] else ""
    return (
        f"{_rank_limits.NOTE} Signed-rank test of the differences on {plural(first['tasks'], 'task')}{groups}, "
        f"adjusted for all pairs at {text_format.percent(first['level'])}. Differences: {first['unit']}; "
        f"{_lines(pairs)}.{OPEN if not_ranked else ''}"
    )


def _lines(pairs):
    """Return a clause on the intervals, which two tasks do not have."""
    known = pairs[pairs["low"].notna()]
    if known.empty:
        return "no intervals, which begin with three tasks"
    first = known.iloc[0]
    return f"lines: {first['interval']}, {text_format.percent(first['level'])}, not adjusted; arrows: they go on"
