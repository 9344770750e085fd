"""Texts in a table: CSV, TSV, JSON, JSON lines or parquet."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from variability.advice import RERUN_DOWNLOAD
from variability.data.datasets import Dataset, Examples, _text_tables
from variability.data.datasets._files import PARTITION_WORDS, bring, downloaded
from variability.errors import Problem, UserError
from variability.io import tabular
from variability.io.mirrors import find_file, missing_file


class TextTable(Dataset):
    """One file, or a folder with one file each for train, validation (val, dev) and test.

    ``partition``: column of a single file with the partition of each row; without it the workflow splits the rows.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the file, or its name in a mirror; or a folder"},
        "url": {"type": "string", "description": "address of the file; requires sha256"},
        "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"},
        "partition": {"type": "string", "description": "column with the values train, validation and test"},
        **tabular.OPTIONS,
        **_text_tables.OPTIONS,
    }
    MODALITY: ClassVar[str] = "text"
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")

    def kinds(self) -> tuple[str, ...]:
        return _text_tables.kinds(self.options)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        options = self.options
        yield from _text_tables.check(options)
        if ("path" in options) == ("url" in options):
            yield Problem("", "give either path (a file, its name in a mirror, or a folder) or url")
            return
        if "url" in options and "sha256" not in options:
            yield Problem("url", "downloads must be verified: give its sha256")
        if "path" in options and Path(options["path"]).is_dir():
            if not _files(Path(options["path"])):
                yield Problem("path", f"{options['path']} has no {_file_names('train')}")
            if "partition" in options:
                yield Problem("partition", "the names of a folder's files are its partitions; remove it")
            return
        key = "url" if "url" in options else "path"
        if Path(self._name).suffix not in _text_tables.SUFFIXES:
            yield Problem(key, f"{self._name!r} is not one of {', '.join(_text_tables.SUFFIXES)}")
        yield from tabular.check_options(options, Path(self._name))
        if key == "path":
            path = find_file(options["path"], mirrors)
            yield from (
                [Problem("path", missing_file(options["path"], mirrors))] if path is None else self._check_columns(path)
            )

    def _check_columns(self, path: Path) -> Iterator[Problem]:
        """Yield the columns that a table lacks. The columns of a list of records are only known after reading it."""
        if path.suffix in tabular.SUFFIXES:
            defaults = {"text": "text", "text_pair": None, "label": "label", "partition": None}
            named = {role: self.options.get(role, name) for role, name in defaults.items()}
            wanted = {role: name for role, name in named.items() if name is not None}
            yield from tabular.check_columns(path, wanted, self.options)

    def is_remote(self) -> bool:
        return self.local_source() is None

    def local_source(self) -> Path | None:
        path = Path(self.options["path"]) if "path" in self.options else None
        return path if path and path.exists() else None

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        bring(fetcher, folder / self._name, self.options.get("path"), self.options.get("url"), checksum)

    def load(self, folder: Path | None) -> Examples:
        path = self.local_source() or downloaded(folder) / self._name
        if path.is_dir():
            files = _files(path).items()
            parts = [(file, partition, _text_tables.read(file, self.options)) for partition, file in files]
            return _text_tables.examples(parts, self.options)
        try:
            table = _text_tables.read(path, self.options)
        except UserError as error:
            raise error if self.local_source() else UserError(f"{error}; {RERUN_DOWNLOAD}") from error
        examples = _text_tables.examples([(path, "", table)], self.options)
        column = self.options.get("partition")
        if column is None:
            return examples
        if column not in table:
            raise UserError(f"{path} has no column {column!r} for partition; it has {', '.join(table)}")
        partition = [PARTITION_WORDS.get(str(value).lower()) for value in table[column]]
        if None in partition:
            wrong = table[column][partition.index(None)]
            raise UserError(f"{path}: {column} is {wrong!r}, not train, validation or test")
        return replace(examples, partition=np.array(partition))

    @property
    def _name(self) -> str:
        return Path(urlsplit(self.options["url"]).path if "url" in self.options else self.options["path"]).name


def _files(folder: Path) -> dict[str, Path]:
    """Return the file of each partition; empty if there is none for training."""
    suffixes = _text_tables.SUFFIXES
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        partition = PARTITION_WORDS.get(path.stem.lower())
        if partition and path.suffix in suffixes:
            files.setdefault(partition, path)
    return files if "train" in files else {}


def _file_names(stem: str) -> str:
    return " or ".join(f"{stem}{suffix}" for suffix in _text_tables.SUFFIXES)
