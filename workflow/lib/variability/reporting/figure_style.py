"""Appearance and saving of figures, independent of any table.

matplotlib is imported inside the functions, because plots are imported at every start, when their options are checked.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from variability.io.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.path import Path as MarkerPath

#: Okabe & Ito's palette, safe for colour-blind readers, without yellow, which is too light for lines on white.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
#: Okabe & Ito's vermilion, for runs that did not complete only.
FAILED = "#D55E00"
INK = "#222222"
SOFT = "#8A8A8A"
#: Perceptually uniform, and readable with any colour vision.
COLORMAP = "cividis"
#: Dots per inch of an SVG, whose unit is a point.
SVG_DPI = 72
#: Dots per inch of what a PDF has as an image.
IMAGE_DPI = 300
#: Decimals of the positions of axes, which are fractions of the figure.
POSITION_DIGITS = 6
#: Font size of titles in points.
TITLE = 11
#: Width of the narrowest figure that is drawn without a limit, and of a panel of it with its labels, in inches.
NATURAL, PANEL = 6.5, 3.2
#: Largest width and height in inches: 4,000 pixels at the default resolution.
LARGEST = 20.0
#: Height in inches of a figure that fills a page.
PAGE = 9.0

#: Font of all texts by default, which comes with matplotlib.
FONT = "DejaVu Sans"

_RC = {
    "font.family": [FONT],
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
    # A name with dollar signs is not mathematics.
    "text.parse_math": False,
    "svg.fonttype": "none",
    # Fonts that journals accept and readers can search.
    "pdf.fonttype": 42,
    # Without a fixed salt, ids in the SVG would differ every time.
    "svg.hashsalt": "variability",
}


_ROOM: ContextVar[float | None] = ContextVar("room", default=None)


class Look(NamedTuple):
    """Colour, marker and line style of a series, which distinguish it in colour and in grey."""

    color: str
    marker: str | MarkerPath
    line: str | tuple


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Assign a look to each name; after six names they repeat in new combinations."""
    assigned = {}
    for index, name in enumerate(names):
        round_number = index // len(COLORS)
        markers, lines = (index + round_number) % len(MARKERS), (index + 2 * round_number) % len(LINES)
        assigned[name] = Look(COLORS[index % len(COLORS)], MARKERS[markers], LINES[lines])
    return assigned


@contextmanager
def applied(room: float | None = None, font: str | None = None, fallback: str | None = None) -> Iterator[None]:
    """Apply the settings for drawing and saving, and restore the user's own afterwards.

    room: width that figures have to have, in inches; by default each has what it needs. font: family of all texts.
    fallback: family for the characters that the others do not have.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        families = [family for family in (font, FONT, fallback) if family]
        matplotlib.rcParams.update(_RC | {"font.family": families})
        token = _ROOM.set(room)
        try:
            yield
        finally:
            _ROOM.reset(token)


def columns(most: int) -> int:
    """Return how many panels fit next to each other, at most ``most``."""
    room = _ROOM.get()
    return most if room is None else max(1, min(most, int(room / PANEL)))


def stacked() -> bool:
    """Return whether parts of a figure are below each other, because two do not fit next to each other."""
    return columns(2) == 1


def room(natural: float) -> float:
    """Return the width of the next figure in inches. natural: its width if that is not limited."""
    return _ROOM.get() or natural


def figure(width: float, height: float, title: str, note: str, legend: Sequence[Line2D] = ()) -> Figure:
    """Create an empty figure with a title and a legend at the top, and an explanatory note at the bottom.

    width, height: in inches.
    """
    from matplotlib.figure import Figure

    if (room := _ROOM.get()) is not None:
        # Texts of a narrower figure have more lines.
        height += sum(
            _height(fit(text, room, size), size) - _height(fit(text, max(width, room), size), size)
            for text, size in ((title, TITLE), (note, 7.5))
        )
        width = room
        height += 0.17 * max(0, len(legend) - 4)
    new = Figure(figsize=(width, height), layout="constrained")
    left, top = 0.08 / width, 1 - 0.08 / height
    heading = fit(title, width, TITLE)
    new.suptitle(heading, x=left, y=top, ha="left", va="top", fontsize=TITLE, fontweight="bold").set_in_layout(False)
    top -= _height(heading, TITLE) / height
    if legend:
        longest = max(len(entry.get_label()) for entry in legend)
        columns = max(1, min(len(legend), int((width - 0.2) / (0.085 * longest + 0.6))))
        legend_box = new.legend(
            handles=legend, loc="upper left", bbox_to_anchor=(0, top), ncols=columns, borderaxespad=0.3
        )
        legend_box.set_in_layout(False)
        top -= (0.1 + 0.17 * -(-len(legend) // columns)) / height
    # The layout does not support a legend below a title, so both are placed above the area that it fills.
    # Texts of a PNG are wider than those of the layout by up to a twentieth, because letters are fitted to pixels.
    new.get_layout_engine().set(w_pad=0.08, h_pad=0.08, rect=(0.04 / width, 0, 1 - 0.1 / width, top))
    new.supxlabel(fit(note, width, 7.5), x=left, ha="left", fontsize=7.5, color="#444444")
    return new


def tallest() -> float:
    """Return the largest height of a figure in inches: that of a page if its width is limited."""
    room = _ROOM.get()
    return LARGEST if room is None else max(PAGE, room)


def handle(label: str, look: Look, **options: Any) -> Line2D:
    """Create an entry of a legend. options: further arguments of ``Line2D``."""
    from matplotlib.lines import Line2D

    style = {"color": look.color, "marker": look.marker, "linestyle": look.line, "markersize": 5}
    return Line2D([], [], label=label, **(style | options))


def text_marker(text: str) -> MarkerPath:
    """Return a text as a marker, centred."""
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    path = TextPath((0, 0), text)
    box = path.get_extents()
    return path.transformed(Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2))


def text_color(background: Sequence[float]) -> str:
    """Return black or white, whichever contrasts with a background (red, green, blue, ...; 0 to 1)."""
    red, green, blue = background[:3]
    # Relative luminance (WCAG 2).
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.46 else "black"


def wrap(name: str, width: int) -> str:
    """Break a name into lines of at most ``width`` characters, after its punctuation if it has some.

    In a figure that is narrower than usual, the lines are shorter.
    """
    if (room := _ROOM.get()) is not None and room < NATURAL:
        width = max(8, round(width * room / NATURAL))
    lines = [""]
    for piece in re.findall(r"[^-_./: ]+[-_./:]* *|[-_./: ]+", name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines)


def save(figure: Figure, files: Sequence[Path], dpi: int, scale: float = 1) -> None:
    """Write the figure as SVG (with text as text), PNG (at ``dpi``) or PDF. Equal figures give equal bytes.

    files: the suffix tells the format. scale: of the whole figure, with its texts and lines. Not by ``savefig``, which
    draws a figure with a layout twice.
    """
    without_mathematics(figure)
    lay_out(figure)
    writers = {".svg": _write_svg, ".pdf": _write_pdf, ".png": partial(_write_png, dpi=dpi)}
    # All have the layout of the SVG: computing it takes as long as drawing.
    for suffix, write in writers.items():
        for file in (file for file in files if file.suffix == suffix):
            with replacing(file) as unfinished:
                write(figure, unfinished, scale)


def _write_svg(figure: Figure, path: Path, scale: float) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    text = written.getvalue()
    if scale != 1:
        # The coordinates within the file remain, as its viewBox has them.
        size = r'width="([\d.]+)pt" height="([\d.]+)pt"'
        text = re.sub(
            size,
            lambda ends: 'width="{:g}pt" height="{:g}pt"'.format(*(scale * float(end) for end in ends.groups())),
            text,
            count=1,
        )
    path.write_text(text, encoding="utf-8")


def _write_png(figure: Figure, path: Path, scale: float, dpi: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.dpi = dpi * scale
    # Lossless at any level; the default takes half as long again, for files smaller by a twentieth.
    FigureCanvasAgg(figure).print_png(path, pil_kwargs={"compress_level": 3})


def _write_pdf(figure: Figure, path: Path, scale: float) -> None:
    from matplotlib.backends.backend_mixed import MixedModeRenderer
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, Op, PdfFile, RendererPdf

    FigureCanvasPdf(figure)
    figure.dpi = SVG_DPI
    width, height = figure.get_size_inches()
    file = PdfFile(path, metadata={"CreationDate": None})
    try:
        file.newPage(scale * width, scale * height)
        file.output(scale, 0, 0, scale, 0, 0, Op.concat_matrix)
        renderer = MixedModeRenderer(figure, width, height, IMAGE_DPI, RendererPdf(file, IMAGE_DPI, height, width))
        figure.draw(renderer)
        renderer.finalize()
        file.finalize()
    finally:
        file.close()


def lay_out(figure: Figure) -> None:
    """Place the axes for good, at rounded positions.

    The solver of the layout follows the order of objects in memory, and so do the last bits of its results.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    figure.dpi = SVG_DPI
    engine.execute(figure)
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(POSITION_DIGITS))
    for axes in figure.axes:
        axes.set_position([round(end, POSITION_DIGITS) for end in axes.get_position(original=True).bounds])


def without_mathematics(figure: Figure) -> None:
    """Replace the labels of logarithmic axes that matplotlib writes as mathematics, which is not parsed."""
    from matplotlib.ticker import LogFormatter, LogFormatterMathtext

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        major, minor = axis.get_major_formatter(), axis.get_minor_formatter()
        if isinstance(major, LogFormatterMathtext):
            axis.set_major_formatter(LogFormatter(labelOnlyBase=major.labelOnlyBase))
        if isinstance(minor, LogFormatterMathtext):
            axis.set_minor_formatter(LogFormatter(labelOnlyBase=minor.labelOnlyBase))


def _height(text: str, size: float) -> float:
    return 1.25 * size / 72 * (text.count("\n") + 1)


def fit(text: str, width: float, size: float) -> str:
    """Break a text into lines of at most ``width`` inches. size: of its font, in points."""
    # A character of DejaVu Sans is about 0.62 of its size wide, and there are 72 points to the inch.
    return textwrap.fill(text, max(20, int(width * 72 / (0.62 * size))))
