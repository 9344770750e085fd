"""Interactions in the user's own tables: user, item, time, and optionally rating."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import RERUN_DOWNLOAD, plural, suggest
from variability.data.datasets import Dataset, Examples, _interactions, _table_paths
from variability.data.datasets._files import bring, downloaded, source_problems
from variability.data.datasets._rows import Mistakes, Rows, TableFile, require_one_spelling
from variability.errors import Problem, UserError
from variability.io import numbers, tabular
from variability.io.mirrors import find_file

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)

_COLUMNS = ("user", "item", "time", "rating")
#: Frequent names of columns of times, which are not ignored silently in favour of the order of the rows.
_TIMES = ("timestamp", "timestamps", "datetime", "date", "ts", "unix_time", "unixtime")


class InteractionsTable(Dataset):
    """A table with one interaction per row, a folder of such tables, or a pattern; ``columns`` gives their columns.

    Times are numbers or dates (ISO 8601). Users and items are compared as text: 7 is not 07. Without a column of times,
    rows are in the order of time.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    SPLIT: ClassVar[dict] = {"validation": "shipped", "test": "shipped"}
    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the file, or its name in a mirror; a folder; or a pattern"},
        "url": {"type": "string", "description": "address of the file; requires sha256"},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-fA-F]{64}$",
            "title": "a SHA-256: 64 hexadecimal digits",
            "description": "checksum of the file",
        },
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
        yield from _interactions.check(self.options)
        if not self._local:
            yield from source_problems(self.options, mirrors)
        paths = self._paths if self._local else [find_file(self.options.get("path", ""), mirrors)]
        if self._local and not paths:
            yield Problem("path", f"{self.options['path']} has no table ({', '.join(tabular.SUFFIXES)})")
        problems = []
        for path in filter(None, paths):
            problems += tabular.check_options(self.options, path)
            try:
                problems += self._check_columns(path, tabular.header(path, self.options))
            except (OSError, ValueError) as error:
                problems.append(Problem("path", f"{path} cannot be read: {error}"))
        yield from problems
        if self._local and paths and not problems and _table_paths.small(self._paths):
            try:
                self.load(None)
            except UserError as error:
                yield Problem("path", str(error))

    def is_remote(self) -> bool:
        return not self._local

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if self._local and path.exists() else None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        return self._paths if self._local and self.local_source() is None else super().sources(mirrors)

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        bring(fetcher, folder / self._name, self.options.get("path"), self.options.get("url"), checksum)

    def load(self, folder: Path | None) -> Examples:
        if self._local:
            return self._examples
        path = downloaded(folder) / self._name
        try:
            return self._read([path])
        except UserError as error:
            raise UserError(f"{error}; {RERUN_DOWNLOAD}") from error

    @cached_property
    def _examples(self) -> Examples:
        """Examples of local files."""
        return self._read(self._paths)

    @property
    def _local(self) -> bool:
        """True if the path is a local file or folder, or a pattern."""
        path = self.options.get("path")
        return path is not None and (Path(path).exists() or _table_paths.is_pattern(path))

    @property
    def _paths(self) -> list[Path]:
        return _table_paths.matches(self.options["path"])

    @property
    def _columns(self) -> dict[str, str]:
        """Names of the columns by their role."""
        return {name: self.options.get("columns", {}).get(name, name) for name in _COLUMNS}

    def _check_columns(self, path: Path, names: Sequence[str]) -> Iterator[Problem]:
        columns = self._columns
        missing = [
            name
            for name in dict.fromkeys(("user", "item", *self.options.get("columns", {})))
            if columns[name] not in names
        ]
        if missing and names and all(map(_is_number, names)):
            yield Problem(
                "header",
                f"{path} has no names of columns, its first row is {', '.join(names)}; name them, such as header: "
                f"[user, item, rating, time] ({plural(len(names), 'name')})",
            )
            return
        if missing and len(names) == 1:
            hint = tabular.suggest_column(columns[missing[0]], names)
            yield Problem("path", f"{path} has no column {columns[missing[0]]!r}; {hint}")
            return
        for name in missing:
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

    def _read(self, paths: Sequence[Path]) -> Examples:
        """Read the columns that exist. Raises UserError if a required one is missing, or if values are missing."""
        import pyarrow as pa

        names = [self._header(path) for path in paths]
        columns = {role: name for role, name in self._columns.items() if name in names[0]}
        for path, of_file in zip(paths, names, strict=True):
            if lacking := [name for name in columns.values() if name not in of_file]:
                raise UserError(
                    f"{path} has no column {lacking[0]!r}, which {paths[0]} has; add it, or remove it there"
                )
        wanted = list(dict.fromkeys(columns.values()))
        tables = [tabular.table(path, self.options, wanted) for path in paths]
        rows = Rows.of([TableFile(path, path.name) for path in paths], tables)
        column = {
            role: pa.chunked_array([chunk for table in tables for chunk in table.columns[name].chunks])
            for role, name in columns.items()
        }
        mistakes = Mistakes()
        for role, values in column.items():
            with mistakes.collected():
                _require_values(rows, columns[role], values)
                if role in ("user", "item"):
                    require_one_spelling(rows, columns[role], values)
        marks = {
            tabular.decimal(table, [columns[role]], self.options)
            for table in tables
            for role in ("rating", "time")
            if role in columns
        }
        if len(marks) > 1:
            raise UserError(f"{paths[0]}: it has numbers with decimal commas and with points; set `decimal`")
        mark = next(iter(marks), numbers.POINT)
        times, ratings = np.arange(len(rows)), None
        if "time" in column:
            with mistakes.collected():
                times = _times(*_present(rows, columns["time"], column["time"]), mark)
        if "rating" in column:
            with mistakes.collected():
                ratings = _numbers(*_present(rows, columns["rating"], column["rating"]), mark)
        mistakes.report()
        if self.option("target") == "rating" and ratings is not None and (ratings == ratings[0]).all():
            raise UserError(
                f"{paths[0]}: all values of {columns['rating']!r} are {ratings[0]:g}, so nothing can be predicted"
            )
        if "time" not in column:
            _log.info(
                "%s has no column %r: its rows are assumed to be in order of time", paths[0], self._columns["time"]
            )
        of_users, of_items = (column[role].to_pandas().astype("category").cat for role in ("user", "item"))
        users, items, names = of_users.codes.to_numpy(), of_items.codes.to_numpy(), of_items.categories.to_numpy()
        log = _interactions.Log(users, items, times, ratings, sources=rows.source, names=names)
        return _interactions.examples(log, self.options, str(paths[0] if len(paths) == 1 else self.options["path"]))

    def _header(self, path: Path) -> list[str]:
        try:
            names = tabular.header(path, self.options)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        for problem in self._check_columns(path, names):
            raise UserError(problem.message)
        return names

    @property
    def _name(self) -> str:
        return "interactions" + Path(self.options.get("path") or self.options["url"]).suffix


def _is_number(name: str) -> bool:
    return name.replace(".", "", 1).isdecimal()


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True).to_numpy()


def _present(rows: Rows, name: str, column: pa.ChunkedArray) -> tuple[Rows, str, pa.ChunkedArray]:
    """Return the rows that have a value of a column, and these values."""
    import pyarrow as pa

    present = ~_missing(column)
    return rows.take(present), name, column.filter(pa.array(present))


def _require_values(rows: Rows, name: str, column: pa.ChunkedArray) -> None:
    missing = _missing(column)
    if missing.any():
        raise UserError(f"{rows.at(missing)}: no value in {name!r}; fill it in, or remove the row")


def _times(rows: Rows, name: str, column: pa.ChunkedArray, mark: str) -> np.ndarray:
    """Return numbers unchanged, and dates as numbers in the same order."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not numbers.parse(column, mark)[1].any():
        times = _numbers(rows, name, column, mark)
        return (
            column.cast(pa.int64()).to_numpy()
            if pc.all(pc.match_substring_regex(column, "^[0-9]+$")).as_py()
            else times
        )
    dates = pd.to_datetime(column.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    if (wrong := dates.isna().to_numpy()).any():
        first = column[int(np.flatnonzero(wrong)[0])]
        raise UserError(f"{rows.at(wrong)}: {name} is neither a number nor a date (ISO 8601), but {str(first)!r}")
    return dates.astype("int64").to_numpy()


def _numbers(rows: Rows, name: str, column: pa.ChunkedArray, mark: str) -> np.ndarray:
    """Convert a column to numbers; raise UserError naming all rows with other values."""
    values, _ = numbers.parse(column, mark)
    if (wrong := ~np.isfinite(values)).any():
        first = column[int(np.flatnonzero(wrong)[0])]
        raise UserError(f"{rows.at(wrong)}: {name} is not a number, but {str(first)!r}; correct it, or remove the row")
    return values
