"""How figures look and how they are saved. Nothing here knows a table.

matplotlib is imported inside the functions: plots are imported at every start, when their options are checked.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from variability.io.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: Okabe & Ito's colour-blind safe palette, without yellow, which is too light for lines on white.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
#: Okabe & Ito's vermilion, for failed runs alone.
FAILED = "#D55E00"
INK = "#222222"
SOFT = "#8A8A8A"
#: Perceptually uniform, and readable by colour-blind people.
COLORMAP = "cividis"
#: Size of titles in points.
TITLE = 11

_RC = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    # Without a fixed salt, ids in the SVG differ from run to run.
    "svg.hashsalt": "variability",
}


class Look(NamedTuple):
    """What tells one series from another, in colour and in grey."""

    color: str
    marker: str
    line: str | tuple


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name; they repeat in new combinations after six."""
    found = {}
    for at, name in enumerate(names):
        turn = at // len(COLORS)
        markers, lines = (at + turn) % len(MARKERS), (at + 2 * turn) % len(LINES)
        found[name] = Look(COLORS[at % len(COLORS)], MARKERS[markers], LINES[lines])
    return found


@contextmanager
def applied() -> Iterator[None]:
    """Settings for drawing and saving, independent of the user's own, which are restored."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def figure(width: float, height: float, title: str, note: str, legend: Sequence[Line2D] = ()) -> Figure:
    """An empty figure, inches: a title and a legend above, a note below that says what is drawn."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    left, top = 0.08 / width, 1 - 0.08 / height
    head = _fit(title, width, TITLE)
    made.suptitle(head, x=left, y=top, ha="left", va="top", fontsize=TITLE, fontweight="bold").set_in_layout(False)
    top -= _height(head, TITLE) / height
    if legend:
        longest = max(len(entry.get_label()) for entry in legend)
        columns = max(1, min(len(legend), int((width - 0.2) / (0.085 * longest + 0.6))))
        drawn = made.legend(handles=legend, loc="upper left", bbox_to_anchor=(0, top), ncols=columns, borderaxespad=0.3)
        drawn.set_in_layout(False)
        top -= (0.1 + 0.17 * -(-len(legend) // columns)) / height
    # The layout knows no legend below a title, so both stand above the part of the figure that it fills.
    made.get_layout_engine().set(w_pad=0.08, h_pad=0.08, rect=(0, 0, 1, top))
    made.supxlabel(_fit(note, width, 7.5), x=left, ha="left", fontsize=7.5, color="#444444")
    return made


def handle(label: str, look: Look, **options) -> Line2D:
    """A legend's entry; further options as of ``Line2D``."""
    from matplotlib.lines import Line2D

    drawn = {"color": look.color, "marker": look.marker, "linestyle": look.line, "markersize": 5}
    return Line2D([], [], label=label, **(drawn | options))


def wrap(name: str, width: int) -> str:
    """A name broken into lines of at most ``width`` characters, after its own punctuation where there is some."""
    lines = [""]
    for piece in re.findall(r"[^-_./: ]+[-_./:]* *|[-_./: ]+", name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines)


def save(made: Figure, svg: Path, png: Path, dpi: int) -> None:
    """Writes the figure twice: SVG with text as text, PNG at ``dpi``. Equal figures make equal bytes."""
    with replacing(svg) as aside:
        made.savefig(aside, format="svg", metadata={"Date": None})
    # Laid out once: finding where everything goes takes as long as drawing it.
    made.set_layout_engine("none")
    with replacing(png) as aside:
        made.savefig(aside, format="png", dpi=dpi)


def _height(text: str, size: float) -> float:
    return 1.25 * size / 72 * (text.count("\n") + 1)


def _fit(text: str, width: float, size: float) -> str:
    # A character of DejaVu Sans is about 0.62 of its size wide, and there are 72 points to the inch.
    return textwrap.fill(text, max(20, int(width * 72 / (0.62 * size))))
