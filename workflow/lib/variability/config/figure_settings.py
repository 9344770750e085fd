"""Size and format of figures, from the section ``figures`` of a config."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability.config.sections import Figures
from variability.errors import Problem

#: Inches of each unit.
_INCHES = {"cm": 1 / 2.54, "mm": 1 / 25.4, "in": 1.0}
#: Smallest and largest width in inches: a narrow column, and a poster.
_LEAST, _MOST = 2.0, 20.0


def of_study(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``formats``, SVG first, ``font`` if there is one, and with a width that, in inches, and ``font_size``."""
    section = Figures.defaults() | config.get("figures", {})
    settings: dict[str, Any] = {"formats": list(dict.fromkeys(["svg", *section["formats"]]))}
    if "font" in section:
        settings["font"] = section["font"]
    if "width" in section:
        settings |= {"width": _inches(section["width"]), "font_size": section["font_size"]}
    return settings


def check(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of ``figures`` that its schema does not exclude."""
    section = config.get("figures", {})
    if "width" in section:
        width = _inches(section["width"])
        if not _LEAST <= width <= _MOST:
            limits = f"between {_LEAST * 2.54:.0f} and {_MOST * 2.54:.0f} cm ({_LEAST:g} and {_MOST:g} in)"
            yield Problem("figures.width", f"{section['width']} is not {limits}")
    elif "font_size" in section:
        yield Problem("figures.font_size", "has no effect without figures.width; add a width, such as 8.5 cm")
    if "font" in section and not _installed(section["font"]):
        message = f"the font {section['font']!r} is not installed here; install it, or leave it out for DejaVu Sans"
        yield Problem("figures.font", message)


def _inches(width: str) -> float:
    number, unit = width[:-2].strip(), width[-2:]
    return float(number) * _INCHES[unit]


def _installed(font: str) -> bool:
    from matplotlib import font_manager

    return font in font_manager.get_font_names()
