"""Image files listed in a table with their labels, which are numbers or classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.data.datasets import PARTITIONS, Dataset, Examples
from variability.data.datasets._files import PARTITION_WORDS, bring, downloaded
from variability.errors import Problem, UserError
from variability.io import archives, image_files, tabular
from variability.io.mirrors import find_file, missing_file

if TYPE_CHECKING:
    import pandas as pd

_SHA256 = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"}
_FOLDER = "images"


class ImageTable(Dataset):
    """A CSV, TSV or parquet file with one row per image.

    Labels that are all numbers are for regression, others are classes, sorted by name; ``target`` decides if they could
    be both. File names are relative to the folder ``images``, by default that of the table.
    """

    THREADS: ClassVar[int] = 4
    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the table, or its name in a mirror"},
        "url": {"type": "string", "description": "address of the table; requires sha256"},
        "sha256": _SHA256 | {"description": "of the table"},
        "images": {"type": "string", "description": "a directory, an archive, or an archive's name in a mirror"},
        "images_url": {"type": "string", "description": "address of an archive; requires images_sha256"},
        "images_sha256": _SHA256 | {"description": "of the archive"},
        "image": {"type": "string", "default": "image", "description": "column of the file names"},
        "suffix": {"type": "string", "default": "", "description": "suffix to append to the file names, such as .jpg"},
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
    } | tabular.OPTIONS
    KINDS: ClassVar[tuple[str, ...]] = ("regression", "classification")

    def kinds(self) -> tuple[str, ...]:
        return ("regression",) if self._are_numbers() else ("classification",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        table = None
        if ("path" in self.options) == ("url" in self.options):
            yield Problem("", "give either path (a table, or its name in a mirror) or url")
        elif not self._name.endswith(tabular.SUFFIXES):
            yield Problem(
                "path" if "path" in self.options else "url", f"{self._name!r} is not a {_any(tabular.SUFFIXES)}"
            )
        elif "url" in self.options and "sha256" not in self.options:
            yield Problem("url", "downloads must be verified: give its sha256")
        elif "path" in self.options and (table := find_file(self.options["path"], mirrors)) is None:
            yield Problem("path", missing_file(self.options["path"], mirrors))
        yield from tabular.check_options(self.options, Path(self._name))
        yield from self._check_images(mirrors)
        if table is not None:
            yield from self._check_columns(table)
        if self.local_source() is None and "target" not in self.options:
            yield Problem("target", "is unknown before the download of the table: say class or number")

    def is_remote(self) -> bool:
        return self.local_source() is None or not self._local_images().is_dir()

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if path.is_file() else None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        # Of the folder only the listed images, because it may contain other files, too.
        table, folder = super().sources(mirrors), self._local_images()
        if folder.is_dir() and table:
            column = self.option("image")
            names = tabular.read(table[0], [column], (column,), self.options)[column].dropna()
            return [*table, *(path for name in names + self.option("suffix") if (path := folder / name).is_file())]
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
            archives.extract(archive, folder / _FOLDER)
            archive.unlink()

    def load(self, folder: Path | None) -> Examples:
        path = self.local_source() or downloaded(folder) / self._table
        root = self._local_images() if self._local_images().is_dir() else downloaded(folder) / _FOLDER
        for problem in self._check_columns(path):
            raise UserError(f"{path}: {problem}")
        roles = self._columns()
        numbers = self._are_numbers(path)
        text = [name for role, name in roles.items() if role != "label" or not numbers]
        frame = tabular.read(path, list(dict.fromkeys(roles.values())), text, self.options)
        column = {role: frame[name] for role, name in roles.items()}
        for role, values in column.items():
            if role != "partition" and values.isna().any():
                row = _row(values.isna())
                remedy = "fill it in, or remove the row"
                if role == "label" and numbers:
                    remedy += "; if labels such as NA are classes, set target: class"
                raise UserError(f"{path}: {row} has no value in {roles[role]!r}; {remedy}")
        labels, class_names = self._labels(path, column["label"])
        files = _files(path, root, column["image"] + self.option("suffix"))
        groups = np.unique(column["group"], return_inverse=True)[1] if "group" in column else None
        partition = _partition(path, column.get("partition"), len(labels))
        if groups is not None:
            _require_whole_groups(path, column["group"], partition, roles)
        return Examples(
            labels=labels,
            class_names=class_names,
            partition=partition,
            read=lambda index: image_files.read_file(files[index]),
            groups=None if groups is None else groups.astype(np.int64),
        )

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
        except (OSError, ValueError, KeyError):
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

    def _check_columns(self, table: Path) -> Iterator[Problem]:
        yield from tabular.check_columns(table, self._columns(), self.options)

    def _labels(self, path: Path, targets: pd.Series) -> tuple[np.ndarray, list[str]]:
        if self._are_numbers(path):
            import pandas as pd

            numbers = pd.to_numeric(targets, errors="coerce").to_numpy(np.float64)
            wrong = ~np.isfinite(numbers)
            if wrong.any():
                raise UserError(f"{path}: {_row(wrong)} has the label {targets[wrong].iloc[0]}, which is not a number")
            return numbers, []
        names = sorted(set(targets))
        if len(names) < 2:
            raise UserError(f"{path} has {len(names)} class(es) in the column {targets.name!r}; two or more are needed")
        number = {name: label for label, name in enumerate(names)}
        return targets.map(number).to_numpy(np.int64), names


def _files(table: Path, root: Path, names: Iterable[str]) -> list[Path]:
    """Return the image files of the rows. Raises UserError if one is missing or is outside of ``root``."""
    top, files = root.resolve(), []
    for row, name in enumerate(names, 1):
        path = root / name
        if not path.resolve().is_relative_to(top):
            raise UserError(f"{table}: row {row} names {name!r}, which leads outside {root}; set images accordingly")
        if not path.is_file():
            raise UserError(f"{table}: row {row} names {name!r}, and there is no file {path}")
        files.append(path)
    return files


def _require_whole_groups(path: Path, groups: pd.Series, partition: np.ndarray, roles: Mapping[str, str]) -> None:
    """Raise UserError if a group is in several partitions: the test would contain examples half seen in training."""
    import pandas as pd

    pools = np.where(np.isin(partition, ("validation", "test")), partition, "train")
    pools_of = pd.Series(pools).groupby(groups.to_numpy(), sort=False).unique()
    split_groups = pools_of[pools_of.map(len) > 1]
    if len(split_groups):
        raise UserError(
            f"{path}: {len(split_groups)} of {len(pools_of)} groups of {roles['group']!r} are in several partitions "
            f"({split_groups.index[0]!r} in {' and '.join(sorted(split_groups.iloc[0]))}), so that the test contains "
            f"examples half seen in training; fix {roles['partition']!r}, or set no partition to split by whole groups"
        )


def _partition(table: Path, column: pd.Series | None, rows: int) -> np.ndarray:
    if column is None:
        return np.full(rows, "", dtype="<U10")
    words = column.fillna("").str.strip().str.lower()
    unknown = ~words.isin([*PARTITION_WORDS, ""])
    if unknown.any():
        raise UserError(
            f"{table}: {_row(unknown)} is of the partition {column[unknown].iloc[0]!r}; known are {_any(PARTITIONS)}"
        )
    return words.map(PARTITION_WORDS | {"": ""}).to_numpy().astype("<U10")


def _row(marked: pd.Series | np.ndarray) -> str:
    """Return the first marked row, counted from 1 after the header."""
    return f"row {int(np.flatnonzero(marked)[0]) + 1}"


def _any(words: Sequence[str]) -> str:
    return " or ".join(words)
