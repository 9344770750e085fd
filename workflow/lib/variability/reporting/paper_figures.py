"""Figures of a given width and font size, for a column of a paper.

A figure is drawn at the width that makes its texts as large as wanted. Where texts then overlap or are cut, it is drawn
wider and scaled down, so that its texts are smaller than wanted: a matrix of twenty candidates has no room in a column.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from variability.reporting import figure_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

#: Font size in points of figures that are not scaled.
BASE = 8
#: Factor between the widths that are tried.
STEP = 1.2
#: Narrowest panel with anything to see, in inches, and longest line right of a panel of a narrow figure, in characters.
LEAST, LONGEST = 0.6, 12
#: Largest overlap of the boxes of two texts in pixels, because line spacing lets neighbours touch.
TOUCHING = 2
#: Height of a line of text in inches.
LINE = 0.16


@dataclass(frozen=True)
class Fitted:
    """A figure, the factor by which it is scaled to its width, and the size of its texts in points."""

    figure: Figure
    scale: float
    font_size: float


def fitted(draw: Callable[[], Figure], width: float, font_size: float, **fonts: str | None) -> Fitted:
    """Return the figure with the largest texts, at most ``font_size``, that neither overlap nor are cut.

    draw: draws it, in the settings of ``figure_style.applied``. width: in inches. fonts: see
    ``figure_style.applied``.
    """
    room = width * BASE / font_size
    while True:
        with figure_style.applied(room, **fonts):
            figure = draw()
            fits = room >= figure_style.NATURAL and _fits(figure)
            if not fits:
                _simplify(figure)
                _break_lines(figure)
                fits = _thin_out(figure) and _fits(figure)
        if fits or room >= figure_style.LARGEST:
            scale = width / room
            return Fitted(figure, scale, BASE * scale)
        room *= STEP


def _simplify(figure: Figure) -> None:
    """Remove long texts on the right of panels, whose numbers the tables have, and most of the ticks."""
    from matplotlib.ticker import MaxNLocator

    for axes in figure.axes:
        for text in axes.texts:
            if text.get_transform() != axes.transData and text.get_position()[0] > 1:
                text.set_visible(max(map(len, text.get_text().split("\n"))) <= LONGEST)
        locator = axes.xaxis.get_major_locator()
        if isinstance(locator, MaxNLocator) and axes.axison:
            locator.set_params(nbins=3)
        for child in axes.child_axes:
            child.xaxis.get_major_locator().set_params(nbins=3)


def _break_lines(figure: Figure) -> None:
    """Break titles of panels and labels of horizontal axes that are cut or overlap a text on their right."""
    if not _laid_out(figure):
        return
    boxes = {id(text): text.get_window_extent() for text in _texts(figure)}
    added: dict[int, int] = {}
    for axes in figure.axes:
        for text in (axes.title, axes._left_title, axes.xaxis.label):
            if id(text) not in boxes:
                continue
            box = boxes[id(text)]
            rest = [other for key, other in boxes.items() if key != id(text) and other.x0 > box.x0 + TOUCHING]
            next_to_it = [other.x0 for other in rest if min(box.y1, other.y1) - max(box.y0, other.y0) > TOUCHING]
            right = min([figure.bbox.width, *next_to_it]) - TOUCHING
            room = right - box.x0 if text.get_ha() == "left" else 2 * min(right - box.x0, box.x1) - box.width
            if box.width > room:
                lines = text.get_text().split("\n")
                most = max(8, int(max(map(len, lines)) * room / box.width))
                text.set_text("\n".join(textwrap.fill(line, most) for line in lines))
                row = round(axes.get_position().y0 * 100)
                added[row] = max(added.get(row, 0), text.get_text().count("\n") + 1 - len(lines))
    # Room for the lines that are new.
    figure.set_figheight(figure.get_figheight() + sum(added.values()) * LINE)


def _thin_out(figure: Figure) -> bool:
    """Remove ticks of horizontal axes until their labels do not overlap; return whether the layout has room for all."""
    from matplotlib.ticker import MaxNLocator

    if not _laid_out(figure):
        return False
    for axes in figure.axes:
        locator = axes.xaxis.get_major_locator()
        for count in (2, 1):
            labels = [tick.label1 for tick in axes.xaxis.get_major_ticks()]
            boxes = sorted((label.get_window_extent() for label in labels if label.get_text()), key=lambda box: box.x0)
            apart = all(one.x1 <= other.x0 + TOUCHING for one, other in pairwise(boxes))
            if apart or not isinstance(locator, MaxNLocator):
                break
            locator.set_params(nbins=count, min_n_ticks=1)
            axes.xaxis._update_ticks()
    return True


def _laid_out(figure: Figure) -> bool:
    """Compute the layout, and return whether it has room for all."""
    figure.dpi = figure_style.SVG_DPI
    figure_style.without_mathematics(figure)
    with warnings.catch_warnings():
        # The solver of the layout warns that there is no room.
        warnings.simplefilter("error", UserWarning)
        try:
            figure.draw_without_rendering()
        except UserWarning:
            return False
    return True


def _fits(figure: Figure) -> bool:
    """Return whether no text is cut or overlaps another one, and all panels are visible."""
    if not _laid_out(figure):
        return False
    shown = [axes.get_position() for axes in figure.axes if axes.get_visible() and axes.axison]
    if any(box.width * figure.get_figwidth() < LEAST and box.height > box.width for box in shown if box.width > 0.06):
        return False
    boxes = [text.get_window_extent() for text in _texts(figure)]
    return all(_inside(box, figure.bbox) for box in boxes) and not any(
        min(one.x1, other.x1) - max(one.x0, other.x0) > TOUCHING
        and min(one.y1, other.y1) - max(one.y0, other.y0) > TOUCHING
        for one, other in combinations(boxes, 2)
    )


def _inside(box: Bbox, outer: Bbox) -> bool:
    return box.x0 >= -1 and box.y0 >= -1 and box.x1 <= outer.width + 1 and box.y1 <= outer.height + 1


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield the texts that are drawn: not those of ticks beyond the limits of an axis, or of hidden panels."""
    from matplotlib.text import Text

    hidden = set()
    children = [child for axes in figure.axes for child in axes.child_axes]
    for axes in [*figure.axes, *children]:
        if not axes.get_visible():
            hidden |= {id(text) for text in axes.findobj(Text)}
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            outside = [tick for tick in ticks if not low - margin <= tick.get_loc() <= high + margin]
            off = ticks if not axes.axison else outside
            hidden |= {id(label) for tick in off for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden:
            yield text
