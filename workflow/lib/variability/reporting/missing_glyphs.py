"""Characters of figures that their fonts do not have."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
