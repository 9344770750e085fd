"""Text cells of CSV files that a spreadsheet program would run as formulas: a reversible mark in front of them.

Excel, LibreOffice and others compute a cell that begins with ``=``, ``+``, ``-`` or ``@``, whether it is quoted or not,
and some skip blanks in front of it. As OWASP advises, such a text gets an apostrophe in front. One that begins with
apostrophes before such a character gets another, so that removing one restores every text. Numbers are not text.
"""

import re

_MARK = "'"
_UNSAFE = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")


def guarded(text: str) -> str:
    """Return the text as it is written."""
    return _MARK + text if _UNSAFE.match(text) else text


def restored(text: str) -> str:
    """Return the text that ``guarded`` was called with."""
    return text[1:] if text.startswith(_MARK) and _UNSAFE.match(text) else text
