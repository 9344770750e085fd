"""Candidates over all tasks: aggregates with intervals, probabilities of improvement, performance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = {"iqm": "interquartile mean", "mean": "mean", "median": "median of task means"}
IMPROVEMENT = {"improvement": "top one better"}
#: Largest numbers of candidates, and of those whose profiles have a colour and an interval.
MOST, COLOURED = 30, 6
REFERENCE = ["model_reference", "method_reference"]


class Robust(Plot):
    """Top: one row per candidate, the best IQM first. Bottom: the performance profiles of all of them."""

    NEEDS = ("runs",)
    REQUIRES = ("candidates",)
    ANALYSES = ("robust",)
    CAPTION = (
        "Interquartile mean, mean and median over all tasks of the table overall (dots) with intervals (lines), and "
        "the probability that a run of the top candidate beats one of this row (dashed: one half). Profile: share of "
        "runs better than a threshold, with intervals as bands; the best candidates in colour, the others grey."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs, table = primary_rows.select(tables["runs"]), tables["robust"]
        sizes = table.drop_duplicates("suite")
        table = table[table["suite"] == sizes.sort_values(["n_candidates", "n_tasks"], kind="stable")["suite"].iloc[-1]]
        on_scale = runs[runs["metric"] == table["metric"].iloc[0]]
        runs = on_scale if len(on_scale) else runs.assign(metric=table["metric"].iloc[0])
        ranked = table[table["quantity"] == "iqm"].sort_values("estimate", ascending=False, kind="stable")
        # The note names the others. Without any, the rows say who is not there.
        ranked = ranked.dropna(subset="estimate") if ranked["estimate"].notna().any() else ranked
        labels = [figure_style.wrap(_name(row), 34) for _, row in ranked.head(MOST).iterrows()]
        band = max(0.24, 0.14 * max(label.count("\n") + 1 for label in labels))
        quantities = [*PANELS, *IMPROVEMENT] if not figure_style.stacked() else ["iqm", *IMPROVEMENT]
        lines = -(-len(quantities) // figure_style.columns(len(quantities)))
        _, fits = _panels.fitting(1, len(labels), lines * band, 2.6 + 0.75 * (lines - 1))
        shown, labels = ranked.head(fits).reset_index(drop=True), labels[:fits]
        looks = figure_style.looks([_name(row) for _, row in shown.head(COLOURED).iterrows()])
        top = lines * (band * len(shown) + 0.75)
        height = 1.65 + top + 2.6
        tasks = int(table["n_tasks"].iloc[0])
        figure = figure_style.figure(
            width=9.5,
            height=height,
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, over "
                f"{plural(tasks, 'task')}, by candidate",
            ),
            note=_note(table, ranked, shown) + _without(quantities),
            legend=[figure_style.handle(name, look, markersize=4) for name, look in looks.items()],
        )
        top_part, bottom_part = figure.subfigures(2, 1, height_ratios=[top + 0.8, 2.6])
        panels = dict(zip(quantities, _panels.parts(top_part, labels, [1] * len(quantities)), strict=True))
        for quantity, axes in panels.items():
            of_quantity = table[table["quantity"] == quantity]
            if quantity in IMPROVEMENT:
                _improvement(axes, shown, of_quantity)
            else:
                _intervals(axes, shown, of_quantity, looks)
                axes.set_xlabel(_scale(table, runs))
            axes.set_title((PANELS | IMPROVEMENT)[quantity], loc="left")
        _counts(panels["improvement"], shown)
        _profiles(bottom_part.subplots(), shown, table[table["quantity"] == "profile"], looks, _scale(table, runs))
        return figure


def _counts(axes, shown):
    """Write the numbers of runs on the right of a panel."""
    for index, row in shown.iterrows():
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        color = figure_style.FAILED if row["n_failed"] else figure_style.SOFT
        axes.text(1.06, index, _labels.counted(row["n"], row["n_failed"]), color=color, **style)
    axes.text(1.06, 1, "n", transform=axes.transAxes, va="bottom", fontsize=6.5, color=figure_style.SOFT)


def _without(quantities):
    """Return a sentence on the panels that a narrow figure has no room for."""
    names = [name for quantity, name in PANELS.items() if quantity not in quantities]
    return f" In the table only: {' and '.join(names)}." if names else ""


def _name(row):
    return display_names.candidate(row["model"], row["method"])


def _note(table, ranked, shown):
    level = text_format.percent(table["level"].max())
    with_interval = table[table["interval"] != "none"]
    aggregates = with_interval[with_interval["quantity"].isin(["iqm", "mean"])]["interval"].drop_duplicates()
    others = with_interval[with_interval["quantity"].isin(["median", "profile"])]["interval"].drop_duplicates()
    text = (
        f"IQM and mean: {level} {' or '.join(aggregates)}. Others: {level} {' or '.join(others)}, likely too narrow "
        "below 10 runs a task"
        if len(with_interval)
        else "No interval: one run on each task"
    )
    text += ". n: completed runs on all tasks together (others in brackets)"
    if len(shown) < len(ranked):
        text += f"; the {len(shown)} highest interquartile means of {plural(len(ranked), 'candidate')}"
    candidates = table["n_candidates"].iloc[0]
    return f"{text}; {plural(candidates, 'candidate')} in all. {_scaling(table)}"


def _scaling(table):
    others = table["other_tasks"].iloc[0]
    text = f" Not here, because they are on another scale: {others}." if isinstance(others, str) else ""
    if isinstance(left_out := table["left_out"].iloc[0], str):
        text += f" {left_out[0].upper()}{left_out[1:]}."
    return f"Scores: {table['scale'].iloc[0]}.{text}"


def _scale(table, runs):
    normalised = "normalised" in table["scale"].iloc[0]
    return "normalised score" if normalised else figure_style.wrap(runs["label"].iloc[0], 30)


def _of(table, row):
    """Return the row of the same candidate."""
    return table[(table["model"] == row["model"]) & (table["method"] == row["method"])].iloc[0]


def _intervals(axes, shown, table, looks):
    for index, row in shown.iterrows():
        result = _of(table, row)
        look = looks.get(_name(row))
        color, marker = (look.color, look.marker) if look else (figure_style.INK, "o")
        axes.plot([result["low"], result["high"]], [index, index], color=color, lw=1.6, solid_capstyle="butt")
        axes.plot(result["estimate"], index, marker=marker, color=color, markersize=5, linestyle="")
    _tidy(axes)


def _improvement(axes, shown, table):
    """Draw the probability that the top candidate beats each other one."""
    axes.axvline(0.5, color=figure_style.SOFT, lw=0.8, ls="--")
    top = shown.iloc[0]
    of_top = table[(table["model"] == top["model"]) & (table["method"] == top["method"])]
    of_top = of_top.set_index(REFERENCE)
    for index, row in shown.iterrows():
        key = (row["model"], row["method"])
        if key in of_top.index:
            result = of_top.loc[key]
            axes.plot(
                [result["low"], result["high"]], [index, index], color=figure_style.INK, lw=1.6, solid_capstyle="butt"
            )
            axes.plot(result["estimate"], index, marker="o", color=figure_style.INK, markersize=5, linestyle="")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1])
    axes.set_xlabel("probability, ties half")
    _tidy(axes)


def _tidy(axes):
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4) if len(axes.get_xticks()) > 4 else None


def _profiles(axes, shown, table, looks, scale):
    axes.set_title("performance profile", loc="left")
    if table["estimate"].notna().any():
        for _, row in reversed(list(shown.iterrows())):
            curve = table[(table["model"] == row["model"]) & (table["method"] == row["method"])]
            look = looks.get(_name(row))
            if look:
                axes.fill_between(curve["threshold"], curve["low"], curve["high"], color=look.color, alpha=0.15, lw=0)
                axes.plot(curve["threshold"], curve["estimate"], color=look.color, ls=look.line, lw=1.5)
            else:
                axes.plot(curve["threshold"], curve["estimate"], color="#BBBBBB", lw=0.7, zorder=1)
        axes.set_ylim(-0.02, 1.02)
    else:
        axes.text(0.5, 0.5, "no candidate completed a run on every task", ha="center", transform=axes.transAxes)
        axes.set_yticks([])
        axes.set_xticks([])
    axes.set_xlabel(f"threshold: {scale}".replace("\n", " "))
    axes.set_ylabel("share of runs\nbetter than it")
