"""Figures of a given width and font size, for a column of a paper.

A figure is drawn at the width that makes its texts as large as wanted. Where texts then overlap or are cut, it is drawn
wider and scaled down, so that its texts are smaller than wanted: a matrix of twenty candidates has no room in a column.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
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
#: Narrowest panel with anything to see, in inches, and longest text right of a panel of a narrow figure, in characters.
LEAST, LONGEST = 0.6, 12
#: Largest overlap of the boxes of two texts in pixels, because line spacing lets neighbours touch.
TOUCHING = 2


@dataclass(frozen=True)
class Fitted:
    """A figure, the factor by which it is scaled to its width, and the size of its texts in points."""

    figure: Figure
    scale: float
    font_size: float


def fitted(draw: Callable[[], Figure], width: float, font_size: float, font: str | None = None) -> Fitted:
    """Return the figure with the largest texts, at most ``font_size``, that neither overlap nor are cut.

    draw: draws it, in the settings of ``figure_style.applied``. width: in inches. font: family of its texts.
    """
    room = width * BASE / font_size
    while True:
        with figure_style.applied(room, font):
            figure = draw()
            if room < figure_style.NATURAL:
                _simplify(figure)
            fits = _fits(figure)
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
                text.set_visible(len(text.get_text()) <= LONGEST)
        locator = axes.xaxis.get_major_locator()
        if isinstance(locator, MaxNLocator) and axes.axison:
            locator.set_params(nbins=3)
        for child in axes.child_axes:
            child.xaxis.get_major_locator().set_params(nbins=3)


def _fits(figure: Figure) -> bool:
    """Return whether no text is cut or overlaps another one, and all panels are visible."""
    figure.dpi = figure_style.SVG_DPI
    figure_style.without_mathematics(figure)
    with warnings.catch_warnings():
        # The solver of the layout warns that there is no room.
        warnings.simplefilter("error", UserWarning)
        try:
            figure.draw_without_rendering()
        except UserWarning:
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
