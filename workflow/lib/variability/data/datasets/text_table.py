"""Texts in a table: CSV, TSV, JSON, JSON lines, Excel or parquet."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from variability.advice import RERUN_DOWNLOAD
from variability.data.datasets import Dataset, Examples, _table_paths, _text_tables
from variability.data.datasets._files import bring, downloaded
from variability.data.datasets._rows import TableFile
from variability.errors import Problem, UserError
from variability.io import tabular
from variability.io.mirrors import find_file, missing_file


class TextTable(Dataset):
    """One file, a pattern such as ``part-*.csv``, or a folder, with files named train, validation (val, dev) and test.

    ``partition``: column with the partition of each row; without it, and without files named after partitions, the
    workflow splits the rows.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the file, or its name in a mirror; a folder; or a pattern"},
        "url": {"type": "string", "description": "address of the file; requires sha256"},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-fA-F]{64}$",
            "title": "a SHA-256: 64 hexadecimal digits",
            "description": "checksum of the file",
        },
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
            yield Problem("", "give either path (a file, its name in a mirror, a folder or a pattern) or url")
            return
        if "url" in options and "sha256" not in options:
            yield Problem("url", "downloads must be verified: give its sha256")
        if self._local:
            yield from self._check_files()
            return
        yield from tabular.check_options(options, Path(self._name))
        if "path" in options:
            path = find_file(options["path"], mirrors)
            yield from (
                [Problem("path", missing_file(options["path"], mirrors))]
                if path is None
                else tabular.check_columns(path, _text_tables.columns(options), options)
            )

    def _check_files(self) -> Iterator[Problem]:
        try:
            files, _ = _table_paths.with_partitions(self.options["path"])
        except UserError as error:
            yield Problem("path", str(error))
            return
        if "partition" in self.options and any(file.partition for file in files):
            yield Problem("partition", "the names of the files are their partitions; remove it")
            return
        problems = list(tabular.check_options(self.options, files[0].path))
        for file in files:
            of_file = list(tabular.check_columns(file.path, _text_tables.columns(self.options), self.options))
            problems += [Problem(each.key, f"{file.path}: {each.message}") for each in of_file]
        yield from problems
        if not problems:
            try:
                self.planned()
            except UserError as error:
                yield Problem("path", str(error))

    def planned(self) -> Examples | None:
        if not self._local:
            return None
        files, _ = _table_paths.with_partitions(self.options["path"])
        return self._examples if _table_paths.small([file.path for file in files]) else None

    def size(self) -> dict[str, int] | None:
        try:
            examples = self.planned()
        except UserError:
            return None  # ``check`` reports the problem
        return None if examples is None else dict(Counter(examples.partition.tolist()))

    def is_remote(self) -> bool:
        return not self._local

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if self._local and path.exists() else None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        pattern = self._local and not Path(self.options["path"]).exists()
        return _table_paths.matches(self.options["path"]) if pattern else super().sources(mirrors)

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        bring(fetcher, folder / self._name, self.options.get("path"), self.options.get("url"), checksum)

    def load(self, folder: Path | None) -> Examples:
        if self._local:
            return self._examples
        path = downloaded(folder) / self._name
        try:
            return _text_tables.examples([TableFile(path, path.name)], self.options)
        except UserError as error:
            raise UserError(f"{error}; {RERUN_DOWNLOAD}") from error

    @cached_property
    def _examples(self) -> Examples:
        """Examples of local files."""
        files, remarks = _table_paths.with_partitions(self.options["path"])
        examples = _text_tables.examples(files, self.options)
        return replace(examples, remarks=remarks + examples.remarks)

    @property
    def _local(self) -> bool:
        """True if the path is a local file or folder, or a pattern."""
        path = self.options.get("path")
        return path is not None and (Path(path).exists() or _table_paths.is_pattern(path))

    @property
    def _name(self) -> str:
        return Path(urlsplit(self.options["url"]).path if "url" in self.options else self.options["path"]).name
