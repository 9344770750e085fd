"""Readers of imported files: one file for each program that writes them. ``Reader`` is the interface of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability import registry
from variability.extras import WithExtras
from variability.io import folder_walk, tabular
from variability.io.table_readers import Table

#: Reader of an import that names no format.
DEFAULT = "table"


class Reader(WithExtras):
    """Files of one program as tables of text, and what the program's names of columns mean.

    A plug-in is a subclass with a name of its own as the ``format`` of an import. It may override the class attributes
    alone, if the files are tables, or ``table``. It must import without pandas and pyarrow, because the config check
    uses it at every start. Columns that the config names take precedence over COLUMNS.
    """

    #: The rows are examples of this kind (a plug-in of ``kinds``, or ``predictions.SCORES``); None: they are runs.
    EXAMPLES: ClassVar[str | None] = None
    #: Values of roles that neither a column nor the config states.
    CONSTANTS: ClassVar[Mapping[str, str]] = {}
    #: Candidates for the column of a role; the first that a file has is used.
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Columns by which the program tells runs of one name apart: their start.
    STARTS: ClassVar[tuple[str, ...]] = ()
    #: Columns between which a run took place.
    TIMES: ClassVar[tuple[str, str] | None] = None
    #: Whether the files may hold durations of runs.
    TIMED: ClassVar[bool] = False
    #: Patterns of the names of its files in a folder; all tables if there is none.
    PATTERNS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: Mapping[str, Any]):
        self.spec = spec

    def in_folder(self, folder: Path) -> list[Path] | None:
        """Return the files of a folder, sorted, that hold runs or examples; None for all tables of one kind."""
        if not self.PATTERNS:
            return None
        below = folder_walk.walk(folder)
        matching = [path for _, path in below.paths() if any(fnmatchcase(path.name, each) for each in self.PATTERNS)]
        return [path for path in matching if not self.is_companion(path)]

    def companions(self, path: Path) -> list[Path]:
        """Return the other files that exist and that the rows of a file depend on."""
        return []

    def is_companion(self, path: Path) -> bool:
        """Return whether a file is one of the companions of another, and has no rows of its own."""
        return False

    def table(self, path: Path) -> Table:
        """Return the rows of a file. Raises UserError, OSError or ValueError for a file of another program."""
        return tabular.table(path, self.spec, lists=self.lists())

    def header(self, path: Path) -> list[str]:
        """Return the names of the columns of a file. Raises as ``table`` does."""
        return tabular.header(path, self.spec)

    def facts(self, paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
        """Return ``label``, ``higher_is_better`` and so on of metrics, as far as files and their companions tell."""
        return {}

    def lists(self) -> list[str]:
        """Return the names of the columns that hold a list in each row."""
        columns = self.spec.get("columns", {})
        return [columns[role] for role in ("probabilities", "logits") if role in columns]


class WrittenReader(Reader):
    """Reader of files that are not tables, whose rows are made at once, with their header."""

    def header(self, path: Path) -> list[str]:
        return self.table(path).names


def of(spec: Mapping[str, Any]) -> Reader:
    """Return the reader of an import, by its ``format``. Raises UserError for an unknown one."""
    return registry.find("readers", spec.get("format", DEFAULT))(spec)


def table_of(
    path: Path, rows: Sequence[Mapping[str, str | None]], numbers: Sequence[int] | np.ndarray, unit: str
) -> Table:
    """Return rows as a table; a column that a row does not have is empty there.

    numbers: position of each row in the file, in ``unit``.
    """
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [pa.array([row.get(name) for row in rows], pa.large_string()) for name in names]
    schema = pa.schema([(name, pa.large_string()) for name in names])
    return Table(path, pa.table(arrays, schema=schema), np.asarray(numbers, np.int64), unit)
