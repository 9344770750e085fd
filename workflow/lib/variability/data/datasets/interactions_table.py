"""Interactions in the user's own table: user, item, time, and optionally rating."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import RERUN_DOWNLOAD, suggest
from variability.data.datasets import Dataset, Examples, _interactions
from variability.data.datasets._files import bring, downloaded, source_problems
from variability.errors import Problem, UserError
from variability.io import tabular
from variability.io.mirrors import find_file

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

_COLUMNS = ("user", "item", "time", "rating")
#: Frequent names of columns of times, which are not ignored silently in favour of the order of the rows.
_TIMES = ("timestamp", "timestamps", "datetime", "date", "ts", "unix_time", "unixtime")


class InteractionsTable(Dataset):
    """A .csv, .tsv or .parquet file with one interaction per row; ``columns`` gives the names of its columns.

    Times are numbers or dates (ISO 8601). Users and items are compared as text: 7 is not 07. Without a column of times,
    rows are in the order of time.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    SPLIT: ClassVar[dict] = {"validation": "shipped", "test": "shipped"}
    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the file, or its name in a mirror"},
        "url": {"type": "string", "description": "address of the file; requires sha256"},
        "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"},
        "columns": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"type": "string"} for name in _COLUMNS},
            "description": "names of the columns user, item, time and rating, if they differ",
        },
        **tabular.OPTIONS,
    } | _interactions.OPTIONS

    def kinds(self) -> tuple[str, ...]:
        return (_interactions.TARGETS[self.option("target")],)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        yield from source_problems(self.options, mirrors)
        for key in ("path", "url"):
            if key in self.options and Path(self.options[key]).suffix not in tabular.SUFFIXES:
                yield Problem(key, f"{self.options[key]!r} is not one of {', '.join(tabular.SUFFIXES)}")
            elif key in self.options:
                yield from tabular.check_options(self.options, Path(self.options[key]))
                path = find_file(self.options[key], mirrors) if key == "path" else None
                if path is not None:
                    try:
                        yield from self._check_columns(path, tabular.header(path, self.options))
                    except (OSError, ValueError) as error:
                        yield Problem("path", f"{path} cannot be read: {error}")
        yield from _interactions.check(self.options)

    def is_remote(self) -> bool:
        return self.local_source() is None

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if path.is_file() else None

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        bring(fetcher, folder / self._name, self.options.get("path"), self.options.get("url"), checksum)

    def load(self, folder: Path | None) -> Examples:
        path = self.local_source() or downloaded(folder) / self._name
        columns = self._columns
        try:
            table = self._read(path, columns)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}{self._remedy}") from error
        users, items = (table[columns[name]].astype("category").cat.codes.to_numpy() for name in ("user", "item"))
        timed = columns["time"] in table
        times = _times(table[columns["time"]], path) if timed else np.arange(len(table))
        if not timed:
            _log.info("%s has no column %r: its rows are assumed to be in order of time", path, columns["time"])
        ratings = _numbers(table[columns["rating"]], path) if columns["rating"] in table else None
        return _interactions.examples(_interactions.Log(users, items, times, ratings), self.options, str(path))

    @property
    def _columns(self) -> dict[str, str]:
        """Names of the columns by their role."""
        return {name: self.options.get("columns", {}).get(name, name) for name in _COLUMNS}

    def _check_columns(self, path: Path, names: Sequence[str]) -> Iterator[Problem]:
        columns = self._columns
        for name in dict.fromkeys(("user", "item", *self.options.get("columns", {}))):
            if columns[name] not in names:
                hint = suggest(columns[name], list(names))
                yield Problem(
                    "columns", f"{path} has no column {columns[name]!r} for the {name}; {hint}; see options.columns"
                )
        likely = [name for name in names if name.lower() in _TIMES and name not in columns.values()]
        if "time" not in self.options.get("columns", {}) and columns["time"] not in names and likely:
            yield Problem(
                "columns",
                f"{path} has no column {columns['time']!r}, but {likely[0]!r}: name it, options.columns: {{time: "
                f"{likely[0]}}}, or remove it, if the rows are in the order of time",
            )

    def _read(self, path: Path, columns: dict[str, str]) -> pd.DataFrame:
        """Read the columns that exist. Raises UserError if a required one is missing, and if one has missing values."""
        names = tabular.header(path, self.options)
        for problem in self._check_columns(path, names):
            raise UserError(problem.message)
        wanted = list(dict.fromkeys(columns[name] for name in _COLUMNS if columns[name] in names))
        table = tabular.read(path, wanted, [columns[name] for name in ("user", "item")], self.options)
        if (gaps := table[wanted].isna().sum()).any():
            name = gaps.idxmax()
            raise UserError(f"{path}: column {name!r} is empty in {gaps.max()} rows; fill them in or remove them")
        return table

    @property
    def _remedy(self) -> str:
        return "" if self.local_source() else f"; {RERUN_DOWNLOAD}"

    @property
    def _name(self) -> str:
        return "interactions" + Path(self.options.get("path") or self.options["url"]).suffix


def _times(column: pd.Series, path: Path) -> np.ndarray:
    """Return numbers unchanged, and dates as numbers in the same order."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return _numbers(column, path)
    try:
        return pd.to_datetime(column, format="ISO8601", utc=True).astype("int64").to_numpy()
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: column {column.name!r} holds neither numbers nor dates ({error})") from error


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    """Convert a column to numbers; raise UserError naming the first other value. Rows are counted from 1."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy()
    if (wrong := np.flatnonzero(~np.isfinite(numbers.astype(np.float64)))).size:
        value = column.iloc[wrong[0]]
        raise UserError(f"{path}: {column.name!r} of row {wrong[0] + 1} is {value}, which is not a number; correct it")
    return numbers
