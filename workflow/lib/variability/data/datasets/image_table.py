"""Image files listed in a table with their labels, which are numbers or classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import one_per_line, plural
from variability.data import duplicates
from variability.data.datasets import Dataset, Examples, _labels, _table_paths
from variability.data.datasets import _image_rows as image_rows
from variability.data.datasets._files import UNREADABLE_OPTION, bring, downloaded
from variability.data.datasets._rows import Mistakes, Rows, TableFile, require_one_spelling
from variability.data.splits import LEFT_OUT
from variability.errors import Problem, UserError
from variability.io import archives, image_files, image_headers, tabular
from variability.io.limits import Limits
from variability.io.mirrors import find_file, missing_file
from variability.io.table_readers import Table

_SHA256 = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"}
_FOLDER = "images"


class ImageTable(Dataset):
    """A table (CSV, TSV, Excel, JSON, parquet) with one row per image.

    Labels that are all numbers are for regression, others are classes, sorted by name; ``target`` decides if they could
    be both. File names are relative to the folder ``images``, by default that of the table. Rows of one file are
    a group, which is in one split.
    """

    THREADS: ClassVar[int] = 4
    OPTIONS: ClassVar[dict[str, dict]] = (
        {
            "path": {"type": "string", "description": "the table, or its name in a mirror"},
            "url": {"type": "string", "description": "address of the table; requires sha256"},
            "sha256": _SHA256 | {"description": "of the table"},
            "images": {"type": "string", "description": "a directory, an archive, or an archive's name in a mirror"},
            "images_url": {"type": "string", "description": "address of an archive; requires images_sha256"},
            "images_sha256": _SHA256 | {"description": "of the archive"},
            "image": {"type": "string", "default": "image", "description": "column of the file names"},
            "suffix": {
                "type": "string",
                "default": "",
                "description": "suffix to append to the file names, such as .jpg",
            },
            "label": {"type": "string", "default": "label", "description": "column of the labels"},
            "target": {
                "enum": ["class", "number"],
                "description": "type of the labels; by default as they look",
            },
            "partition": {"type": "string", "description": "column with the values train, validation and test"},
            "group": {
                "type": "string",
                "description": "column of what images have in common: the patient",
            },
        }
        | _labels.SPELLING
        | tabular.OPTIONS
        | image_files.RANGE_OPTION
        | UNREADABLE_OPTION
    )
    KINDS: ClassVar[tuple[str, ...]] = ("regression", "classification")

    def kinds(self) -> tuple[str, ...]:
        return ("regression",) if self._are_numbers() else ("classification",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        table = None
        yield from image_files.range_problems(self.options)
        if ("path" in self.options) == ("url" in self.options):
            yield Problem("", "give either path (a table, or its name in a mirror) or url")
        elif "url" in self.options and "sha256" not in self.options:
            yield Problem("url", "downloads must be verified: give its sha256")
        elif "path" in self.options and (table := find_file(self.options["path"], mirrors)) is None:
            yield Problem("path", missing_file(self.options["path"], mirrors))
        yield from tabular.check_options(self.options, Path(self._name))
        yield from self._check_images(mirrors)
        if table is not None:
            problems = list(self._check_columns(table))
            yield from problems
            if not problems and self._is_planned():
                yield from self._check_rows()
        found = "path" not in self.options or table is not None
        if found and self.local_source() is None and "target" not in self.options:
            yield Problem("target", "is unknown before the download of the table: say class or number")
        if "spelling" in self.options and self._are_numbers():
            yield Problem("spelling", "is for classes, but the labels are numbers; remove it, or set target: class")

    def size(self) -> dict[str, int] | None:
        if not self._is_planned():
            return None
        try:
            partition = self._examples.partition
        except UserError:
            return None  # ``check`` reports the problem
        return dict(Counter(partition[partition != LEFT_OUT].tolist()))

    def is_remote(self) -> bool:
        return self.local_source() is None or not self._local_images().is_dir()

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if path.is_file() else None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        # Of the folder only the listed images, because it may contain other files, too.
        table, folder = super().sources(mirrors), self._local_images()
        if folder.is_dir() and table:
            names = tabular.table(table[0], self.options, [self.option("image")]).text(self.option("image"))
            suffix = self.option("suffix")
            paths = [image_rows.image_path(folder, name + suffix) for name in dict.fromkeys(names) if name]
            return [*table, *(path for path in paths if path.is_file())]
        images = folder if folder.is_dir() else find_file(self.options.get("images", "-"), mirrors)
        return [*table, *([images] if images else [])]

    def download(self, folder: Path, fetcher: Any) -> None:
        options = self.options
        if self.local_source() is None:
            checksum = f"sha256:{options['sha256']}" if "sha256" in options else None
            bring(fetcher, folder / self._table, options.get("path"), options.get("url"), checksum)
        if not self._local_images().is_dir():
            checksum = f"sha256:{options['images_sha256']}" if "images_sha256" in options else None
            archive = folder / "archive"
            bring(fetcher, archive, options.get("images"), options.get("images_url"), checksum)
            archives.extract(archive, folder / _FOLDER, Limits.of(options))
            archive.unlink()

    def load(self, folder: Path | None) -> Examples:
        if not self.is_remote():
            return self._examples
        path = self.local_source() or downloaded(folder) / self._table
        root = self._local_images() if self._local_images().is_dir() else downloaded(folder) / _FOLDER
        return self._read(path, root)

    @cached_property
    def _examples(self) -> Examples:
        """Examples of a local table of local images."""
        return self._read(Path(self.options["path"]), self._local_images())

    def _is_planned(self) -> bool:
        """Return whether the table is read while the study is planned."""
        path = self.local_source()
        return path is not None and not self.is_remote() and _table_paths.small([path])

    def _read(self, path: Path, root: Path) -> Examples:
        for problem in self._check_columns(path):
            raise UserError(problem.message if problem.key == "path" else f"{path}: {problem}")
        roles = self._columns()
        table = tabular.table(path, self.options, list(dict.fromkeys(roles.values())))
        rows = Rows.of([TableFile(path, path.name)], [table])
        names = [(name or "") + self.option("suffix") for name in table.text(roles["image"])]
        files = image_rows.paths(table, root, names)
        are_numbers = self._are_numbers(path)
        broken = image_rows.broken(table, roles, files, self._decimal(table) if are_numbers else None)
        mistakes, labels, class_names = Mistakes(), np.zeros(len(rows)), []
        partition, groups = np.full(len(rows), "", dtype="<U10"), None
        if broken and not self._skips_unreadable():
            with mistakes.collected():
                raise UserError(
                    f"{path}: {len(broken)} of {plural(len(rows), 'row')} cannot be used; correct them, or set "
                    f"`unreadable: skip` to leave them out and count them:\n{one_per_line(broken.values())}"
                )
        usable = ~np.isin(np.arange(len(rows)), list(broken))
        # Too few rows for two classes are a consequence of those that cannot be used.
        if not broken or self._skips_unreadable():
            with mistakes.collected():
                labels, class_names = self._labels(table, rows, usable, are_numbers)
        with mistakes.collected():
            if "partition" in roles:
                partition = rows.partitions(roles["partition"], table.text(roles["partition"]))
            groups = self._groups(table, rows, files, usable, partition)
        with mistakes.collected():
            self._check_headers(root, [file for row, file in enumerate(files) if usable[row]])
        mistakes.report()
        value_range, megapixels = self.options.get("range"), Limits.of(self.options).megapixels
        return Examples(
            labels=labels,
            class_names=class_names,
            partition=np.where(usable, partition, LEFT_OUT),
            read=lambda index: image_files.read_file(files[index], value_range, megapixels),
            groups=groups,
            skips_unreadable=self._skips_unreadable(),
            source=lambda index: files[index].relative_to(root).as_posix(),
            unreadable=[f"{path}: {reason}" for reason in broken.values()],
        )

    def _labels(self, table: Table, rows: Rows, usable: np.ndarray, are_numbers: bool) -> tuple[np.ndarray, list[str]]:
        """Return the labels, 0 in rows that are not usable, and the names of the classes."""
        name, values = self.option("label"), table.columns[self.option("label")].take(np.flatnonzero(usable))
        if are_numbers:
            of_usable, class_names = _labels.targets(rows.take(usable), name, values, self._decimal(table)), []
        else:
            spelling = self.options.get("spelling")
            of_usable, class_names = _labels.classes(rows.take(usable), name, values.to_pylist(), spelling)
        labels = np.zeros(len(rows), of_usable.dtype)
        labels[usable] = of_usable
        return labels, class_names

    def _groups(
        self, table: Table, rows: Rows, files: Sequence[Path], usable: np.ndarray, partition: np.ndarray
    ) -> np.ndarray | None:
        """Return the group of each row: rows of one file, and those of one value of the column for groups."""
        number_of_file: dict[Path, int] = {}
        groups = np.array([number_of_file.setdefault(file, len(number_of_file)) for file in files], np.int64)
        name = self.option("group")
        if not name and len(number_of_file) == len(files):
            return None
        in_partition = partition.copy()
        in_partition[~usable] = LEFT_OUT
        names = [file.name for file in files]
        image_rows.require_whole_groups(rows, names, groups, in_partition, "images", self.option("partition"))
        if name:
            require_one_spelling(rows, name, table.columns[name])
            values = [value or "" for value in table.text(name)]
            of_column = np.unique(values, return_inverse=True)[1]
            image_rows.require_whole_groups(
                rows, values, of_column, in_partition, f"groups of {name!r}", self.option("partition")
            )
            groups = duplicates.join(of_column, groups)
        return groups

    def _decimal(self, table: Table) -> str:
        return tabular.decimal(table, [self.option("label")], self.options)

    def _check_headers(self, root: Path, files: Sequence[Path]) -> None:
        """Raise UserError if images cannot be opened, or if their range of values is unknown."""
        names = [file.relative_to(root).as_posix() for file in files]
        headers = image_headers.check(root, names, self.options.get("range"), Limits.of(self.options).megapixels)
        if headers.unreadable and not self._skips_unreadable():
            raise UserError(image_headers.unreadable_message(root, headers.unreadable, len(names)))
        if headers.range_problem:
            raise UserError(f"{root}: {headers.range_problem}")

    def _skips_unreadable(self) -> bool:
        return self.option("unreadable") == "skip"

    @property
    def _name(self) -> str:
        return self.options.get("path") or self.options.get("url", "").partition("?")[0]

    @property
    def _table(self) -> str:
        """Name of the table among the downloaded files."""
        return "table" + Path(self._name).suffix

    def _local_images(self) -> Path:
        if "images" in self.options:
            return Path(self.options["images"])
        return Path("") / "-" if "images_url" in self.options else Path(self._name).parent

    def _columns(self) -> dict[str, str]:
        """Return the names of the columns by their role."""
        return {role: name for role in ("image", "label", "partition", "group") if (name := self.option(role))}

    def _are_numbers(self, table: Path | None = None) -> bool:
        if "target" in self.options:
            return self.options["target"] == "number"
        table = table or self.local_source()
        try:
            return table is not None and tabular.numeric(table, self.option("label"), self.options)
        except (OSError, ValueError, UserError):
            return False  # ``check`` reports the problem

    def _check_images(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        options, folder = self.options, self._local_images()
        if "images" in options and "images_url" in options:
            yield Problem("images_url", "give either images or images_url")
        elif "images_url" in options and "images_sha256" not in options:
            yield Problem("images_url", "downloads must be verified: give its images_sha256")
        elif "images" in options and not folder.is_dir() and not archives.is_archive(folder):
            yield Problem("images", f"{options['images']!r} is neither a directory nor a zip or tar archive")
        elif "images" in options and not folder.is_dir() and not find_file(options["images"], mirrors):
            yield Problem("images", missing_file(options["images"], mirrors))
        elif not {"images", "images_url"} & set(options) and self.local_source() is None:
            yield Problem("images", "is missing: a directory, an archive, or an archive's name in a mirror")

    def _check_rows(self) -> Iterator[Problem]:
        """Yield the problems of a local table's rows, and of the headers of its images."""
        try:
            self.load(None)
        except UserError as error:
            yield Problem("path", str(error))

    def _check_columns(self, table: Path) -> Iterator[Problem]:
        yield from tabular.check_columns(table, self._columns(), self.options)
