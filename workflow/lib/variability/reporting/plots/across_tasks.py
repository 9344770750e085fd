"""Average ranks over tasks, and which of them cannot be told apart."""

from variability.reporting import figure_style, primary_rows, text_format
from variability.reporting.plots import Plot, _labels

MOST = 40
NEEDED = ("average_rank", "cd")


class AcrossTasks(Plot):
    """A critical difference diagram (Demsar 2006, fig. 1) that stands upright: a row per candidate, best on top.

    Each task's rank is a small dot, the average a large one. Bars to the right join candidates whose average ranks lie
    less than the critical difference apart; that difference is drawn to scale on top.
    """

    NEEDS = ("runs",)
    ANALYSES = ("across_tasks",)
    CAPTION = (
        "Critical difference diagram: ranks of the candidates' means on each task (small dots) and their average over "
        "tasks (large). Candidates that a bar on the right joins have average ranks less than Nemenyi's critical "
        "difference apart and cannot be told from each other."
    )

    def draw(self, tables):
        runs = primary_rows.select(tables["runs"])
        ranked = tables["across_tasks"].dropna(subset=list(NEEDED)).sort_values("average_rank", kind="stable")
        drawn = ranked.head(MOST)
        labels = [_label(row) for _, row in drawn.iterrows()]
        band = 0.14 * max([2, *(label.count("\n") + 1 for label in labels)]) + 0.06
        figure = figure_style.figure(
            width=7.5,
            height=2.3 + (band * len(drawn) if len(drawn) else 0.6),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split after fine-tuning, "
                "ranked over tasks",
            ),
            note=_note(tables["across_tasks"], ranked),
        )
        if drawn.empty:
            axes = figure.subplots()
            axes.set_axis_off()
            why = figure_style.wrap(_why(tables["across_tasks"]), 90)
            axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=figure_style.SOFT)
            return figure
        lanes = _lanes(drawn)
        axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=[4, 0.5 + 0.12 * len(lanes)])
        _ranks(axes, drawn, ranked, runs)
        for at, lane in enumerate(lanes):
            for first, last in lane:
                beside.plot([at, at], [first - 0.2, last + 0.2], color=figure_style.INK, lw=3, solid_capstyle="butt")
        beside.set_xlim(-1, max(3, len(lanes)))
        beside.text(-1, -1.2, "not told apart" if lanes else "all differ", va="bottom", fontsize=7)
        beside.set_axis_off()
        axes.set_yticks(range(len(drawn)), labels, fontsize=7)
        axes.set_ylim(len(drawn) - 0.5, -1.7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("rank of the mean (1 = best)")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
        axes.set_axisbelow(True)
        return figure


def _label(row):
    return (
        figure_style.wrap(f"{row['model']} ({row['method']})", 34)
        + f"\nn = {_labels.counted(row['n'], row['n_failed'])}"
    )


def _why(table):
    return "Not drawn: there is no candidate." if table.empty else f"Not drawn: {table['note'].iloc[0]}."


def _note(table, ranked):
    said = "n: completed runs over all tasks, one per seed; each task counts once, with the ranks of its means."
    if ranked.empty:
        failed = int(table["n_failed"].sum())
        return said + (f" {failed} runs failed." if failed else "")
    first = ranked.iloc[0]
    said += " Small dots: tasks. Diamond: average rank. Bars to the right join what lies less than CD apart."
    said += (
        f" n tasks = {int(first['n_tasks'])}, candidates = {len(ranked)}. Friedman test, ranks shuffled within tasks: "
        f"p = {first['p_permutation']:.2g}; Iman-Davenport F: p = {first['p']:.2g}. CD: Nemenyi's critical difference "
        f"at {text_format.percent(1 - first['level'])}."
    )
    if isinstance(first["note"], str) and first["note"]:
        said += f" {first['note'][0].upper()}{first['note'][1:]}."
    return said + (f" Only the {MOST} best are drawn." if len(ranked) > MOST else "")


def _lanes(drawn):
    """Bars (first, last row) that join candidates which are not told apart, side by side where they overlap."""
    from variability.stats import comparisons

    lanes = []
    for first, last in comparisons.not_different(drawn["average_rank"], drawn["cd"].iloc[0]):
        free = [lane for lane in lanes if lane[-1][1] < first]
        if free:
            free[0].append((first, last))
        else:
            lanes.append([(first, last)])
    return lanes


def _ranks(axes, drawn, ranked, runs):
    of_tasks = _of_tasks(ranked, runs)
    for y, row in enumerate(drawn.itertuples(index=False)):
        # The name stays in the table's words; a candidate may have left the runs since.
        if (row.model, row.method) in of_tasks:
            ranks = of_tasks[row.model, row.method]
            axes.plot(
                ranks, [y] * len(ranks), "o", color=figure_style.COLORS[0], markersize=3, alpha=0.45, markeredgewidth=0
            )
        axes.plot(row.average_rank, y, "D", color=figure_style.INK, markersize=5.5, zorder=3)
    cd = drawn["cd"].iloc[0]
    axes.plot([1, 1 + cd], [-0.9, -0.9], color=figure_style.INK, lw=1.5, marker="|", markersize=7)
    axes.text(1, -1.2, f"CD = {cd:.2f}", va="bottom", fontsize=7)
    axes.set_xlim(0.5, max(len(ranked), 1 + cd) + 0.5)


def _of_tasks(ranked, runs):
    """Each ranked candidate's rank on every task that counts."""
    tasks = ranked["tasks"].iloc[0].split("; ")
    means = runs[runs["task"].isin(tasks)].pivot_table(index="task", columns=["model", "method"], values="value")
    means = means.reindex(columns=list(zip(ranked["model"], ranked["method"], strict=True)))
    higher = runs.drop_duplicates("task").set_index("task")["higher_is_better"].reindex(means.index)
    # Twelve digits, as in the analysis: means of equal values differ in their last bits.
    turned = means.map(lambda value: float(f"{value:.12g}")).mul(higher.map({True: -1, False: 1}).fillna(-1), axis=0)
    return turned.rank(axis=1)
