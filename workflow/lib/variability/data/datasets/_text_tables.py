"""Conversion of columns of tables to texts and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import plural
from variability.data.datasets import Examples, _labels
from variability.data.datasets._rows import Mistakes, Rows, TableFile
from variability.errors import Problem, UserError
from variability.io import tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from variability.io.table_readers import Table

SKIP = "skip"
#: Options for the roles of columns and the type of labels.
OPTIONS: dict[str, dict] = {
    "text": {"type": "string", "description": "column of the text; default: text"},
    "text_pair": {"type": "string", "description": "column of a second text, if examples are pairs"},
    "label": {"type": "string", "description": "column of the label; default: label"},
    "target": {"enum": ["class", "number"], "description": "type of the labels; default: class"},
    "class_names": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "uniqueItems": True,
        "description": "names in the order of the labels' numbers; default: the sorted labels",
    },
    "empty": {"enum": [SKIP], "description": "skip rows with an empty text, and count them; by default an error"},
    **_labels.SPELLING,
}


def kinds(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of task that the labels can serve."""
    return ("regression",) if options.get("target") == "number" else ("classification",)


def check(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield problems with options that would have no effect."""
    if options.get("target") == "number":
        for option in ("class_names", "spelling"):
            if option in options:
                yield Problem(option, "numbers have no classes; remove it, or target: number")


def columns(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the columns by the option that names them."""
    named = {"text": options.get("text", "text"), "label": options.get("label", "label")}
    return named | {role: options[role] for role in ("text_pair", "partition") if role in options}


def examples(files: Sequence[TableFile], options: Mapping[str, Any], names: list[str] | None = None) -> Examples:
    """Read the texts and labels of files, one after another.

    names: names of the classes if the data set ships them; then its labels are their numbers. Raises UserError for
    columns or values that do not fit, naming all rows.
    """
    import pyarrow as pa

    roles = columns(options)
    for file in files:
        for problem in tabular.check_columns(file.path, roles, options):
            raise UserError(problem.message if problem.key == "path" else f"{file.path}: {problem}")
    tables = [tabular.table(file.path, options, list(dict.fromkeys(roles.values()))) for file in files]
    rows = Rows.of(files, tables)
    column = {
        role: pa.chunked_array([c for t in tables for c in t.columns[name].chunks], pa.large_string())
        for role, name in roles.items()
    }
    texts = {role: column[role].to_pylist() for role in ("text", "text_pair") if role in roles}
    left_out: dict[str, int] = {}
    mistakes, retained, remarks = Mistakes(), np.arange(len(rows)), ()
    with mistakes.collected():
        retained, remarks = _with_text(rows, {roles[role]: values for role, values in texts.items()}, options)
    if len(retained) < len(rows):
        left_out["without a text"] = len(rows) - len(retained)
        rows = rows.take(retained)
        column = {role: values.take(pa.array(retained)) for role, values in column.items()}
        texts = {role: [values[row] for row in retained] for role, values in texts.items()}
    labels, class_names, partition = np.zeros(len(rows)), [], rows.partition
    with mistakes.collected():
        labels, class_names = _labels_of(rows, column["label"], tables, options, names)
    if "partition" in roles:
        with mistakes.collected():
            partition = rows.partitions(roles["partition"], column["partition"].to_pylist())
    mistakes.report()
    read = list(zip(*texts.values(), strict=True)) if len(texts) > 1 else texts["text"]
    return Examples(
        labels, class_names, partition, read.__getitem__, source=rows.source, remarks=remarks, left_out=left_out
    )


def _labels_of(
    rows: Rows,
    values: pa.ChunkedArray,
    tables: Sequence[Table],
    options: Mapping[str, Any],
    names: list[str] | None,
) -> tuple[np.ndarray, list[str]]:
    """Return the labels, and the names of their classes; none for numbers."""
    column = columns(options)["label"]
    if options.get("target") != "number":
        chosen, spelling = options.get("class_names"), options.get("spelling")
        return _labels.classes(rows, column, values.to_pylist(), spelling, names, chosen)
    marks = {tabular.decimal(table, [column], options) for table in tables}
    if len(marks) > 1:
        raise UserError(f"{rows.files[0].path}: some files have decimal commas and some points; set `decimal`")
    return _labels.targets(rows, column, values, marks.pop()), []


def _with_text(
    rows: Rows, texts: Mapping[str, list[str | None]], options: Mapping[str, Any]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the rows in which no text is empty, and a remark on the others. Raises UserError unless they may be."""
    blank = np.logical_or.reduce([[_is_blank(text) for text in values] for values in texts.values()])
    if not blank.any():
        return np.arange(len(rows)), ()
    at, count = rows.at(blank), int(blank.sum())
    if options.get("empty") != SKIP:
        raise UserError(
            f"{at}: no text in {' or '.join(map(repr, texts))}; fill it in, remove the row, or set options.empty: skip"
        )
    return np.flatnonzero(~blank), (f"{plural(count, 'example has', 'examples have')} no text ({at}).",)


def _is_blank(text: str | None) -> bool:
    """Return whether a text has no visible character; those of zero width are not printable."""
    return not any(character.isprintable() and not character.isspace() for character in text or "")
