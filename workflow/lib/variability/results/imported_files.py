"""Files of runs that were made outside this workflow: where they are, and their rows as text."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from variability.advice import listed, plural
from variability.errors import UserError
from variability.io import folder_walk, table_files, tabular
from variability.io import mirrors as mirror_files
from variability.io.checksums import Checksum
from variability.io.spreadsheet_text import restored
from variability.io.table_readers import Table, positions
from variability.results import readers
from variability.results.readers import Reader, WrittenReader

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 10


class ImportedFile(NamedTuple):
    """A file of an import. name: relative to the folder, or to the fixed part of the pattern, that it was found by."""

    path: Path
    name: str


@dataclass(frozen=True)
class Source:
    """Rows of all files of an import.

    frame: the columns as text, None where a file has no value, with rows numbered from 0. files, units, numbers: of
    each row, the name of its file and its position there. separators: of the values of its text files. facts: of
    metrics, as far as the files tell, see ``readers.Reader.facts``.
    """

    frame: pd.DataFrame
    files: np.ndarray
    units: np.ndarray
    numbers: np.ndarray
    separators: frozenset[str] = frozenset()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, rows: Sequence[int] | np.ndarray) -> str:
        """Return the position of rows: "runs.csv, lines 3, 5"."""
        rows = np.unique(np.asarray(rows, dtype=int))
        files = list(dict.fromkeys(self.files[rows]))
        parts = []
        for file in files[:_LISTED]:
            in_file = rows[self.files[rows] == file]
            parts.append(f"{file}, {positions(str(self.units[in_file[0]]), self.numbers[in_file])}")
        more = f"; ... ({plural(len(files), 'file')})" if len(files) > _LISTED else ""
        return "; ".join(parts) + more


def find(spec: Mapping[str, Any], mirrors: Sequence[Path] = ()) -> list[ImportedFile]:
    """Return the files that ``path`` of an import names: files, patterns such as ``runs/*.json``, and folders.

    A file that does not exist is looked for in the mirrors by its name. The files that the rows of others depend on are
    among them, see ``readers.Reader.companions``. Raises UserError for what names no file.
    """
    reader, path = readers.of(spec), spec["path"]
    files: dict[str, ImportedFile] = {}
    for entry in [path] if isinstance(path, str) else path:
        for file in _named(entry, mirrors, reader):
            # A file that several names lead to, through links or patterns, holds its runs once.
            files.setdefault(os.path.realpath(file.path), file)
    for file in list(files.values()):
        for other in reader.companions(file.path):
            name = os.path.normpath(Path(file.name).parent / os.path.relpath(other, file.path.parent))
            files.setdefault(os.path.realpath(other), ImportedFile(other, Path(name).as_posix()))
    return list(files.values())


def with_rows(files: Sequence[ImportedFile], spec: Mapping[str, Any]) -> list[ImportedFile]:
    """Return the files that have rows, without those that these depend on."""
    reader = readers.of(spec)
    return [file for file in files if not reader.is_companion(file.path)] or list(files)


def read(files: Sequence[ImportedFile], spec: Mapping[str, Any]) -> Source:
    """Return the rows of files.

    spec: of the import; ``sha256`` of a single file, ``from_path``, and the options of ``tabular``. Raises UserError
    for a file whose SHA-256 is another, that cannot be read, or that has no rows, and for names of files that the
    pattern ``from_path`` does not match.
    """
    import pandas as pd

    reader, files = readers.of(spec), with_rows(files, spec)
    if "sha256" in spec:
        expected, path = Checksum.parse(f"sha256:{spec['sha256']}"), files[0].path
        if not expected.matches(path):
            raise expected.mismatch_error(str(path), path)
    parts, names, units, numbers, separators = [], [], [], [], set()
    of_path = _columns_of_path(files, spec)
    for file in files:
        table = _table(reader, file.path)
        texts = {name: table.text(name) for name in table.names}
        if table.separator:
            # The workflow itself writes such texts, in runs.csv.
            texts = {name: [value and restored(value) for value in values] for name, values in texts.items()}
        columns = {name: pd.Series(values, dtype=object) for name, values in texts.items()}
        for name, value in of_path[file.name].items():
            # A column that the reader made states what the program called a run.
            if name in columns and not isinstance(reader, WrittenReader):
                raise UserError(f"{file.path} has a column {name!r}, and `from_path` too; rename its group")
            columns[name] = pd.Series(value, range(len(table.numbers)), dtype=object)
        parts.append(pd.DataFrame(columns))
        names += [file.name] * len(table.numbers)
        units += [table.unit] * len(table.numbers)
        numbers.append(table.numbers)
        separators.add(table.separator)
    frame = pd.concat(parts, ignore_index=True).astype(object)
    frame = frame.where(frame.notna(), None)
    facts = reader.facts([file.path for file in files])
    rows = np.array(names, object), np.array(units, object), np.concatenate(numbers)
    return Source(frame, *rows, frozenset(separators), facts)


def _table(reader: Reader, path: Path) -> Table:
    try:
        return reader.table(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def named(paths: Sequence[Path | str], names: Sequence[str] | None = None) -> list[ImportedFile]:
    """Return files with their names, by default those of their paths."""
    names = names or [Path(path).name for path in paths]
    return [ImportedFile(Path(path), name) for path, name in zip(paths, names, strict=True)]


def by_import(
    imports: Mapping[str, Mapping[str, Any]], inputs: Sequence[str], in_braces: Sequence[tuple[int, str]]
) -> dict[str, list[Path]]:
    """Return the files of each import.

    imports: of the spec of ``aggregate``. inputs: all files in their order, but those of ``in_braces``, which have a
    position in it.
    """
    others, remaining = dict(in_braces), iter(inputs)
    total = sum(len(entry["names"]) for entry in imports.values())
    paths = iter([Path(others.get(position) or next(remaining)) for position in range(total)])
    return {name: [next(paths) for _ in entry["names"]] for name, entry in imports.items()}


def header(files: Sequence[ImportedFile], spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns of all files, and of those that ``from_path`` adds. Raises UserError."""
    names: dict[str, None] = {}
    reader, files = readers.of(spec), with_rows(files, spec)
    for file in files:
        try:
            names |= dict.fromkeys(reader.header(file.path))
        except (OSError, ValueError) as error:
            raise UserError(f"{file.path} cannot be read: {error}") from error
    of_path = _columns_of_path(files, spec)
    return [*names, *(name for name in of_path[files[0].name] if name not in names)]


def _columns_of_path(files: Sequence[ImportedFile], spec: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the named groups of ``from_path`` in the name of each file. Raises UserError if one does not match."""
    if "from_path" not in spec:
        return {file.name: {} for file in files}
    try:
        pattern = re.compile(spec["from_path"])
    except re.error as error:
        raise UserError(f"`from_path` is not a regular expression: {error}; correct it") from error
    if not pattern.groupindex:
        raise UserError("`from_path` has no named group, such as (?P<seed>[0-9]+); add one")
    matches = {file.name: pattern.search(file.name) for file in files}
    if others := [name for name, match in matches.items() if match is None]:
        raise UserError(f"`from_path` does not match {listed(others, _LISTED)}; change it, or the pattern in `path`")
    return {name: match.groupdict() for name, match in matches.items() if match is not None}


def _named(path: str, mirrors: Sequence[Path], reader: Reader) -> list[ImportedFile]:
    # First, because the name of a file may contain the characters of a pattern.
    if Path(path).is_file():
        return [ImportedFile(Path(path), Path(path).name)]
    if Path(path).is_dir():
        return _of_folder(Path(path), reader)
    if glob.has_magic(path):
        base = _fixed_part(path)
        matches = folder_walk.matching(path)
        if "**" in path:
            # A link to a folder that it is in leads to the same files again.
            shortest_last = sorted(matches, key=lambda file: len(file.parts), reverse=True)
            matches = sorted({file.resolve(): file for file in shortest_last}.values())
        files = [ImportedFile(file, file.relative_to(base).as_posix()) for file in matches]
        if not files:
            raise UserError(f"no file matches {path!r}; correct the pattern, which is relative to {Path.cwd()}")
        return files
    if file := mirror_files.find_file(path, mirrors):
        return [ImportedFile(file, file.name)]
    raise UserError(mirror_files.missing_file(path, mirrors))


def _of_folder(folder: Path, reader: Reader) -> list[ImportedFile]:
    if (of_program := reader.in_folder(folder)) is not None:
        if not of_program:
            wanted = " or ".join(reader.PATTERNS)
            raise UserError(f"the folder {str(folder)!r} has no file called {wanted}; name another folder, or format")
        return [ImportedFile(path, path.relative_to(folder).as_posix()) for path in of_program]
    below = folder_walk.walk(folder)
    if lost := [name for name in sorted(below.dangling + below.unreadable) if tabular.is_table(Path(name))]:
        raise UserError(f"the folder {str(folder)!r} has tables that cannot be opened: {listed(lost)}; remove them")
    paths = [path for _, path in below.paths() if tabular.is_table(path)]
    if not paths:
        raise UserError(f"the folder {str(folder)!r} has no tables ({', '.join(tabular.PLAIN_SUFFIXES)}); name another")
    suffixes = sorted({table_files.inner_suffix(path) for path in paths})
    if len(suffixes) > 1:
        message = f"the folder {str(folder)!r} has tables of several kinds ({', '.join(suffixes)})"
        raise UserError(f"{message}; choose by a pattern, such as {str(folder / ('*' + suffixes[0]))!r}")
    return [ImportedFile(path, path.relative_to(folder).as_posix()) for path in paths]


def _fixed_part(pattern: str) -> Path:
    """Return the folders that a pattern begins with and that contain no wildcard."""
    parts = Path(pattern).parts[:-1]
    wild = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:wild])
