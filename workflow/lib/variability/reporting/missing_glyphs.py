"""Characters of figures that their fonts do not have, and installed fonts that have them."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from variability.reporting import figure_style

#: Weights of texts of figures, normal and bold.
_WEIGHTS = (400, 700)
_WARNING = re.compile(r"Glyph (\d+) .* missing from ")


@contextmanager
def collected() -> Iterator[set[str]]:
    """Collect the characters that matplotlib warns about, once each, while figures are drawn.

    Other warnings are issued as usual. Matplotlib repeats its warning for each text, each time it is measured.
    """
    characters: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield characters
    for warning in caught:
        if glyph := _WARNING.match(str(warning.message)):
            characters.add(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def of(characters: set[str]) -> set[str]:
    """Return those of some characters that the font of figures does not have."""
    if "".join(characters).isascii():
        return set()
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    has = FT2Font(findfont(figure_style.FONT)).get_charmap()
    return {character for character in characters if ord(character) not in has}


def font_with(characters: set[str]) -> str | None:
    """Return the installed font that has most of some characters, the first by name among equals; None if none has one.

    Fonts that matplotlib did not list, because they were installed after it had listed all, are registered.
    """
    codes = {ord(character) for character in characters}
    ranked = sorted((-len(codes & has), family, path) for family, path, has in _installed())
    if not ranked or not ranked[0][0]:
        return None
    from matplotlib.font_manager import fontManager

    _, family, path = ranked[0]
    # Where a family lacks a weight, matplotlib warns of each text of that weight.
    if lacking := set(_WEIGHTS) - {entry.weight for entry in fontManager.ttflist if entry.name == family}:
        known = len(fontManager.ttflist)
        fontManager.addfont(path)
        # The first face of a collection is the one whose characters are known.
        entry = fontManager.ttflist[known]
        fontManager.ttflist.extend(dataclasses.replace(entry, name=family, weight=weight) for weight in lacking)
    return family


@cache
def _installed() -> list[tuple[str, str, frozenset[int]]]:
    """Return family, file and characters of the upright fonts of normal weight of this machine."""
    from matplotlib.font_manager import findSystemFonts
    from matplotlib.ft2font import FT2Font

    fonts = []
    for path in sorted(findSystemFonts()):
        try:
            font = FT2Font(path)
        except (OSError, RuntimeError):
            # Some formats, such as fonts of coloured pixels, cannot be drawn.
            continue
        if not font.style_flags:
            fonts.append((font.family_name, path, frozenset(font.get_charmap())))
    return fonts
