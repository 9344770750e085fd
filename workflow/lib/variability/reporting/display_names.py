"""Names of models, tasks and methods as figures and Markdown show them, whatever characters they contain.

Tables have the names as the user wrote them. What is shown has no line breaks and control characters; in figures long
names are shortened, and in Markdown no character of a name is formatting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from variability.results.columns import UNNAMED_METHOD

if TYPE_CHECKING:
    import pandas as pd

#: Longest name in a figure, in characters.
LONGEST = 60
#: Columns of names.
NAMES = frozenset(
    [
        *("model", "task", "method", "model_b", "task_b", "method_b", "model_reference", "method_reference"),
        *("metric", "label", "class", "predicted", "reference"),
    ]
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BREAKS = re.compile(r"[\r\n\v\f\x85\u2028\u2029]")
#: Characters that Markdown would not show as they are. A _ between letters or digits is not formatting.
#: A < that no tag can follow is not, either.
_MARKDOWN = re.compile(r"[\\`*|$~&]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])|(?<=\])(?=[(\[])")
_ESCAPED = re.compile(r"\\([\\`*<|$~&_(\[])")
_CELL_END = re.compile(r"(?<!\\)\|")


def candidate(model: str, method: str) -> str:
    """Return the name of a candidate: ``resnet50 (full)``, and the model alone if its import names no method."""
    return model if method == UNNAMED_METHOD else f"{model} ({method})"


def for_figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return tables with the names that figures show. Different names remain different."""
    texts = {text for table in tables.values() for name in NAMES & set(table) for text in _texts(table[name])}
    shown = shortened(texts)
    pattern = re.compile("|".join(map(re.escape, sorted(shown, key=len, reverse=True)))) if shown else None

    def show(text: str) -> str:
        return one_line(pattern.sub(lambda match: shown[match[0]], text) if pattern else text)

    return {name: _mapped(table, show) for name, table in tables.items()}


def for_markdown(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts Markdown shows as they are."""
    return _mapped(table, markdown)


def in_one_line(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts have no line breaks and control characters."""
    return _mapped(table, one_line)


def shortened(names: Iterable[str]) -> dict[str, str]:
    """Return the shown form of the names that are too long: beginning and end, numbered where two would be equal."""
    names = sorted(set(names))
    shown: dict[str, str] = {}
    used = {one_line(name) for name in names if len(one_line(name)) <= LONGEST}
    for name in names:
        line = one_line(name)
        if len(line) > LONGEST:
            candidate, number = f"{line[: LONGEST // 2]}…{line[1 - LONGEST // 2 :]}", 1
            while candidate in used:
                number += 1
                start = f"…({number})…"
                candidate = f"{line[: LONGEST // 2]}{start}{line[len(start) - LONGEST // 2 :]}"
            used.add(candidate)
            shown[name] = candidate
    return shown


def one_line(text: str) -> str:
    """Return a text without line breaks, which become ↵, and other control characters, which become �."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub("↵", text.replace("\r\n", "\n")).replace("\t", " "))


def markdown(text: str) -> str:
    """Return a text in one line that Markdown shows as it is, in a table too."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", one_line(text))


def plain(text: str) -> str:
    """Return a Markdown text without the escapes of ``markdown``; the columns of tables remain aligned."""
    return "\n".join(
        _plain_row(line) if line.startswith("|") else _ESCAPED.sub(r"\1", line) for line in text.split("\n")
    )


def _plain_row(line: str) -> str:
    cells = _CELL_END.split(line)
    return "|".join(_ESCAPED.sub(r"\1", cell).ljust(len(cell)) for cell in cells)


def _texts(column: pd.Series) -> set[str]:
    return {value for value in column.unique() if isinstance(value, str)}


def _mapped(table: pd.DataFrame, show: Callable[[str], str]) -> pd.DataFrame:
    """Return a table with all texts mapped; the table itself if that changes nothing."""
    changed = {}
    for name in table.columns:
        if table[name].dtype.kind not in "biuf":
            different = {text: new for text in _texts(table[name]) if (new := show(text)) != text}
            if different:
                changed[name] = table[name].map(
                    lambda value, new=different: new.get(value, value) if isinstance(value, str) else value
                )
    return table.assign(**changed) if changed else table
