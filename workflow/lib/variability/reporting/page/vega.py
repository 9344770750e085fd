"""Layers of the page's charts in Vega-Lite, over the data sets ``rows`` and ``means``.

A chart lists the candidates of one task from top to bottom. Its marks are dimmed while the reader points at another
candidate, by the parameter ``hot`` that all charts of the page share.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]

#: Height of a candidate's row in pixels.
STEP = 22
#: Free pixels between the outermost marks and the ends of an axis of numbers.
MARGIN = 10
#: Marks of other candidates than the one that the reader points at are dimmed.
DIMMED = {"condition": {"test": "hot === null || datum.candidate === hot", "value": 1}, "value": 0.15}
CANDIDATES: Spec = {
    "field": "candidate",
    "type": "nominal",
    "sort": None,
    "title": None,
    "axis": {"ticks": False, "domain": False, "grid": True, "labelPadding": 6},
}
#: Axis of counts. Where few are shown, Vega has ticks between whole numbers in spite of ``tickMinStep``.
COUNTS: Spec = {"tickMinStep": 1, "format": "d", "labelExpr": "datum.value % 1 ? '' : datum.label"}
#: Most candidates that a legend names; others are named when the reader points at them.
MOST_IN_LEGEND = 12
#: The page has six colours; the shapes of points separate candidates of equal colour.
_SHAPES = [shape for shape in ("circle", "square", "triangle-up") for _ in range(6)]


def by_candidate() -> dict[str, Spec]:
    """Return the encodings of points by colour and shape, one per candidate, with their legend."""
    legend = {"title": None, "orient": "bottom", "columns": 2, "symbolLimit": MOST_IN_LEGEND}
    names = {"field": "candidate", "type": "nominal", "sort": None, "legend": legend}
    return {"color": names, "shape": {**names, "scale": {"range": _SHAPES}}}


def layers(*marks: Spec, height: int | Mapping[str, int] | None = None, **properties: Any) -> Spec:
    """Return a chart of some layers, as wide as its place on the page."""
    return {
        "width": "container",
        "height": height or {"step": STEP},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": "hot", "value": None}],
        "layer": list(marks),
        **properties,
    }


def value(field: str, title: str | None = None, *, zero: bool = False, scale: Spec | None = None) -> Spec:
    """Return the encoding of a number along an axis. title: by default the chart's unit, which the page inserts."""
    encoding: Spec = {
        "field": field,
        "type": "quantitative",
        "scale": {"zero": zero, "nice": False, "padding": MARGIN, **(scale or {})},
    }
    return {**encoding, "title": "{unit}" if title is None else title}


def tooltip(**fields: str) -> list[Spec]:
    """Return the lines of a tooltip: column -> title; numbers have four significant digits."""
    return [{"field": name, "title": title} for name, title in fields.items()]


def dots(field: str, *, tips: Sequence[Spec] = (), title: str | None = None, **encoding: Any) -> Spec:
    """Return one dot per row."""
    return {
        "data": {"name": "rows"},
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {
            "y": CANDIDATES,
            "x": value(field, title),
            "opacity": DIMMED,
            "tooltip": list(tips),
            **encoding,
        },
    }


def intervals(low: str, high: str, *, data: str = "rows", width: float = 2.5, **encoding: Any) -> Spec:
    """Return a line from one column to another per row."""
    return {
        "data": {"name": data},
        "mark": {"type": "rule", "strokeWidth": width},
        "encoding": {
            "y": CANDIDATES,
            "x": {"field": low, "type": "quantitative"},
            "x2": {"field": high},
            "opacity": DIMMED,
            **encoding,
        },
    }


def reference(at: float) -> Spec:
    """Return a dashed line across all candidates."""
    return {
        "data": {"values": [{"at": at}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "opacity": 0.6, "color": "{ink}"},
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }
