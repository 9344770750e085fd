"""Panel of the ranks that decisions leave to each candidate, with brackets around those that share ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from variability.reporting import figure_style, text_format
from variability.reporting.plots import _labels
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from variability.reporting.rank_words import Ranked

NOTE = (
    "Bars: ranks that the decisions leave to a candidate, all of them right with the stated confidence; dot: position "
    "by the mean. Brackets on the right join candidates of which none beats another; candidates without a common "
    "bracket are decided, where there are no more than ten lanes of brackets, the most that are drawn."
)


#: Largest number of lanes of brackets; those of the best candidates come first.
LANES = 10


def row_height(labels: Sequence[str]) -> float:
    """Return the height in inches of a row with the longest of these labels."""
    return 0.12 + 0.12 * max([1, *(label.count("\n") + 1 for label in labels)])


def runs_in_words(runs: pd.DataFrame) -> str:
    """Return the numbers of runs of the candidates, for a note. runs: rows of the primary metric."""
    counts = runs.groupby(CELL)["value"].count()
    return f" Completed runs per candidate and task: {text_format.count(counts)}; {_labels.incomplete(runs)}."


def groups(candidates: Sequence[Ranked]) -> dict[str, list[int]]:
    """Return the positions of the candidates with each letter.

    Letters of a single candidate are left out, and those all of whose candidates share another letter, too: among the
    best candidates alone they tell nothing more.
    """
    members: dict[str, list[int]] = {}
    for position, one in enumerate(candidates):
        for letter in split(one.letters):
            members.setdefault(letter, []).append(position)
    sets = {letter: set(positions) for letter, positions in members.items()}
    return {
        letter: positions
        for index, (letter, positions) in enumerate(members.items())
        if len(positions) > 1
        and not any(
            sets[letter] < other or (sets[letter] == other and at < index) for at, other in enumerate(sets.values())
        )
    }


def split(letters: str) -> list[str]:
    """Return single letters: ``ab(53)`` has three."""
    single, rest = [], letters
    while rest:
        length = rest.index(")") + 1 if rest[0] == "(" else 1
        single.append(rest[:length])
        rest = rest[length:]
    return single


def lanes(groups_of_rows: Sequence[list[int]]) -> list[list[list[int]]]:
    """Distribute brackets, in the order of their first rows, over as few lanes as they overlap."""
    used: list[list[list[int]]] = []
    for rows in groups_of_rows:
        free = [lane for lane in used if lane[-1][-1] < rows[0]]
        if free:
            free[0].append(rows)
        else:
            used.append([rows])
    return used


def draw(axes: Axes, candidates: Sequence[Ranked], labels: Sequence[str]) -> None:
    """Draw the candidates from the top, the best first."""
    from matplotlib.ticker import MaxNLocator

    for row, one in enumerate(candidates):
        if one.low == one.low:
            look = {"color": figure_style.COLORS[0], "lw": 4, "alpha": 0.55, "solid_capstyle": "round"}
            axes.plot([one.low, one.high], [row, row], **look)
            axes.plot(row + 1, row, "o", color=figure_style.INK, markersize=3.5, zorder=3)
    axes.set_yticks(range(len(candidates)), labels, fontsize=6.5)
    axes.set_ylim(len(candidates) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("rank (1 = best)")
    last = max([1, *(max(row + 1, one.high) for row, one in enumerate(candidates) if one.high == one.high)])
    axes.set_xticks([tick for tick in MaxNLocator(8, integer=True).tick_values(1, last) if 1 <= tick <= last])
    used = lanes(list(groups(candidates).values()))[:LANES]
    step = last * 0.035
    for number, lane in enumerate(used, start=1):
        x = last + 0.5 + number * step
        for rows in lane:
            axes.plot([x, x], [rows[0] - 0.2, rows[-1] + 0.2], color=figure_style.SOFT, lw=0.8)
            for row in rows:
                axes.plot([x, x], [row - 0.3, row + 0.3], color=figure_style.INK, lw=2.5, solid_capstyle="butt")
    axes.set_xlim(min(0.5, 1 - 0.04 * last), last + 0.5 + (len(used) + 1) * step)
