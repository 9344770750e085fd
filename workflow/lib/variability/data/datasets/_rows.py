"""Rows of the user's tables, with their positions in the files, for messages and sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability.data.datasets._files import PARTITION_WORDS
from variability.errors import UserError
from variability.io.table_readers import Table, positions

if TYPE_CHECKING:
    import pyarrow as pa


class Mistakes:
    """Errors of several parts of a data set, which are reported together: parts run within ``collected``."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the UserError of a part for later."""
        try:
            yield
        except UserError as error:
            self._messages.append(str(error))

    def report(self) -> None:
        """Raise UserError with all messages, one per line, if there are any."""
        if self._messages:
            raise UserError("\n".join(dict.fromkeys(self._messages)))


class TableFile(NamedTuple):
    """A file of a data set. name: path relative to the data set's folder. partition: "" if the file is not one."""

    path: Path
    name: str
    partition: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows of one file or several. file: (n,) index of each row's file; number: (n,) its position, counted in units."""

    files: tuple[TableFile, ...]
    units: tuple[str, ...]
    file: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, files: Sequence[TableFile], tables: Sequence[Table]) -> Rows:
        """Return the rows of tables, one after another. tables: read from ``files``."""
        return cls(
            files=tuple(files),
            units=tuple(table.unit for table in tables),
            file=np.repeat(np.arange(len(files)), [len(table.numbers) for table in tables]),
            number=np.concatenate([table.numbers for table in tables]),
        )

    def __len__(self) -> int:
        return len(self.file)

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of the rows. rows: their indices or a mask."""
        return replace(self, file=self.file[rows], number=self.number[rows])

    def source(self, row: int) -> str:
        """Return a row's source: ``train.csv:17``."""
        return f"{self.files[self.file[row]].name}:{self.number[row]}"

    def at(self, rows: Sequence[int] | np.ndarray) -> str:
        """Return where rows are, for messages: ``data/train.csv, lines 3, 5``. rows: at least one."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        parts = []
        for file in np.unique(self.file[rows]):
            of_file = self.number[rows[self.file[rows] == file]]
            parts.append(f"{self.files[file].path}, {positions(self.units[file], of_file)}")
        return "; ".join(parts)

    @property
    def partition(self) -> np.ndarray:
        """(n,) partition of each row's file."""
        return np.array([file.partition for file in self.files], dtype="<U10")[self.file]

    def partitions(self, column: str, words: Sequence[str | None]) -> np.ndarray:
        """Return the partitions that a column names, "" where it is empty; raise UserError for other words."""
        read = [
            PARTITION_WORDS.get(word.strip().lower(), None if word.strip() else "") for word in map(_or_empty, words)
        ]
        if unknown := [row for row, partition in enumerate(read) if partition is None]:
            listed = ", ".join(repr(word) for word in sorted({str(words[row]) for row in unknown})[:5])
            raise UserError(
                f"{self.at(unknown)}: {column} is {listed}; known are train, validation (val, dev) and test"
            )
        return np.array(read, dtype="<U10")


def _or_empty(word: str | None) -> str:
    return word or ""


def require_one_spelling(rows: Rows, name: str, column: pa.ChunkedArray) -> None:
    """Raise UserError for ids that differ only in blanks, or in the decimals of a whole number (1.0), from others."""
    import pyarrow.compute as pc

    usual = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"^([0-9]+)\.0+$", r"\1")
    unusual = pc.not_equal(usual, column)
    others = column.filter(pc.invert(unusual)).unique()
    double = pc.fill_null(pc.and_(unusual, pc.is_in(usual, others)), False).to_numpy()
    if double.any():
        row = int(np.flatnonzero(double)[0])
        raise UserError(
            f"{rows.at(double)}: the {name} {str(column[row])!r} is also written {str(usual[row])!r}; write it one way"
        )
