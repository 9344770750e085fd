"""Critical difference diagram: average ranks over tasks, and which of them do not differ significantly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import plural
from variability.reporting import display_names, figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels, _panels
from variability.results.columns import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 40
NEEDED = ("average_rank", "cd")


class AcrossTasks(Plot):
    """A critical difference diagram (Demsar 2006, fig. 1) in vertical form: one row per candidate, the best on top.

    Each task's rank is a small dot, the average a diamond. Bars on the right join candidates whose average ranks differ
    by less than the critical difference, which is drawn to scale at the top.
    """

    NEEDS = ("runs",)
    ANALYSES = ("across_tasks",)
    CAPTION = (
        "Ranks of the candidates' means on each task (small dots) and their average over tasks (diamonds). Bars on "
        "the right join candidates whose average ranks differ by less than Nemenyi's critical difference (to scale at "
        "the top): not significantly different. A check: what is better on a task is decided in the table decisions."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        ranked = tables["across_tasks"].dropna(subset=list(NEEDED)).sort_values("average_rank", kind="stable")
        labels = [_label(row) for _, row in ranked.head(MOST).iterrows()]
        band = 0.14 * max([2, *(label.count("\n") + 1 for label in labels)]) + 0.06
        _, most = _panels.fitting(1, len(labels), band, 0)
        shown, labels = ranked.head(most), labels[:most]
        figure = figure_style.figure(
            width=7.5,
            height=2.3 + (band * len(shown) if len(shown) else 0.6),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, "
                "ranked over tasks",
            ),
            note=_note(tables["across_tasks"], ranked)
            + _panels.left_out(shown, ranked, "candidates", "with the best average rank"),
        )
        if shown.empty:
            axes = figure.subplots()
            axes.set_axis_off()
            reason = figure_style.wrap(_why(tables["across_tasks"]), 90)
            axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=figure_style.SOFT)
            return figure
        lanes = _lanes(shown)
        axes, bars = figure.subplots(1, 2, sharey=True, width_ratios=[4, 0.5 + 0.12 * len(lanes)])
        _ranks(axes, shown, ranked, runs)
        for column, lane in enumerate(lanes):
            for first, last in lane:
                bars.plot(
                    [column, column], [first - 0.2, last + 0.2], color=figure_style.INK, lw=3, solid_capstyle="butt"
                )
        bars.set_xlim(-1, max(3, len(lanes)))
        bars.text(-1, -1.2, "not different" if lanes else "all differ", va="bottom", fontsize=7)
        bars.set_axis_off()
        axes.set_yticks(range(len(shown)), labels, fontsize=7)
        axes.set_ylim(len(shown) - 0.5, -1.7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("rank of the mean (1 = best)")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
        axes.set_axisbelow(True)
        return figure


def _label(row):
    return (
        figure_style.wrap(display_names.candidate(row["model"], row["method"]), 34)
        + f"\nn = {_labels.counted(row['n'], row['n_failed'])}"
    )


def _why(table):
    return "Not drawn: there are no candidates." if table.empty else f"Not drawn: {table['note'].iloc[0]}."


def _note(table, ranked):
    text = "n: completed runs over all tasks, one per seed; each task counts once, with the ranks of its means."
    if ranked.empty:
        lost = int(table["n_failed"].sum())
        return text + (f" {plural(lost, 'run')} did not complete." if lost else "")
    first = ranked.iloc[0]
    text += (
        " Small dots: tasks. Diamond: average rank. Bars on the right join candidates whose average ranks differ by "
        "less than CD."
    )
    text += (
        f" n tasks = {int(first['n_tasks'])}, candidates = {len(ranked)}. Friedman test, ranks shuffled within tasks: "
        f"p = {first['p_permutation']:.2g}; Iman-Davenport F: p = {first['p']:.2g}. CD: Nemenyi's critical difference "
        f"at {text_format.percent(1 - first['level'])}. A check of average ranks; decisions do not depend on it."
    )
    if isinstance(first["note"], str) and first["note"]:
        text += f" {first['note'][0].upper()}{first['note'][1:]}."
    return text


def _lanes(shown):
    """Return bars (first, last row) that join candidates which do not differ, in as many lanes as they overlap."""
    from variability.stats import comparisons

    lanes = []
    for first, last in comparisons.not_different(shown["average_rank"], shown["cd"].iloc[0]):
        free = [lane for lane in lanes if lane[-1][1] < first]
        if free:
            free[0].append((first, last))
        else:
            lanes.append([(first, last)])
    return lanes


def _ranks(axes, shown, ranked, runs):
    of_tasks = _of_tasks(ranked, runs)
    for y, row in enumerate(shown.itertuples(index=False)):
        # The table may contain a candidate that is no longer among the runs.
        if (row.model, row.method) in of_tasks:
            ranks = of_tasks[row.model, row.method]
            axes.plot(
                ranks, [y] * len(ranks), "o", color=figure_style.COLORS[0], markersize=3, alpha=0.45, markeredgewidth=0
            )
        axes.plot(row.average_rank, y, "D", color=figure_style.INK, markersize=5.5, zorder=3)
    cd = shown["cd"].iloc[0]
    axes.plot([1, 1 + cd], [-0.9, -0.9], color=figure_style.INK, lw=1.5, marker="|", markersize=7)
    axes.text(1, -1.2, f"CD = {cd:.2f}", va="bottom", fontsize=7)
    axes.set_xlim(0.5, max(len(ranked), 1 + cd) + 0.5)


def _of_tasks(ranked, runs):
    """Return each ranked candidate's rank on every task that counts."""
    ranked_on = f"; {ranked['tasks'].iloc[0]}; "
    tasks = [task for task in runs["task"].unique() if f"; {task}; " in ranked_on]
    means = runs[runs["task"].isin(tasks)].pivot_table(index="task", columns=CANDIDATE, values="value")
    means = means.reindex(columns=list(zip(ranked["model"], ranked["method"], strict=True)))
    higher = runs.drop_duplicates("task").set_index("task")["higher_is_better"].reindex(means.index)
    # Twelve digits, as in the analysis, because means of equal values differ in their last bits.
    losses = means.map(lambda value: float(f"{value:.12g}")).mul(higher.map({True: -1, False: 1}).fillna(-1), axis=0)
    return losses.rank(axis=1)
