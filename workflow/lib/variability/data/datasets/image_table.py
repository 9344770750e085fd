"""Image files listed in a table with their labels, which are numbers or classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import listed
from variability.data.datasets import PARTITIONS, Dataset, Examples
from variability.data.datasets._files import PARTITION_WORDS, UNREADABLE_OPTION, bring, downloaded
from variability.data.splits import LEFT_OUT
from variability.errors import Problem, UserError
from variability.io import archives, image_files, image_headers, tabular
from variability.io.mirrors import find_file, missing_file

if TYPE_CHECKING:
    import pandas as pd

_SHA256 = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"}
_FOLDER = "images"
#: Size of a table up to which its rows are checked before the first job.
_CHECKED_BYTES = 10_000_000


class ImageTable(Dataset):
    """A CSV, TSV or parquet file with one row per image.

    Labels that are all numbers are for regression, others are classes, sorted by name; ``target`` decides if they could
    be both. File names are relative to the folder ``images``, by default that of the table.
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
            problems = list(self._check_columns(table))
            yield from problems
            if not problems and not self.is_remote() and table.stat().st_size <= _CHECKED_BYTES:
                yield from self._check_rows()
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
            paths = (_image_path(folder, name) for name in names + self.option("suffix"))
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
        positions = _Positions(path, self.option("image"), self.options)
        partition = _partition(positions, column.get("partition"), len(frame))
        files = _files(positions, root, column["image"].fillna("") + self.option("suffix"))
        broken = self._broken_rows(positions, column, files, numbers)
        if broken and not self._skips_unreadable():
            raise UserError(
                f"{path}: {len(broken)} of {len(frame)} rows cannot be used; correct them, or set `unreadable: skip` "
                f"to leave them out and count them:\n{_lines_of(broken)}"
            )
        usable = ~np.isin(np.arange(len(frame)), list(broken))
        labels, class_names = self._labels(path, column["label"], usable)
        groups = np.unique(column["group"].fillna(""), return_inverse=True)[1] if "group" in column else None
        if groups is not None:
            _require_whole_groups(path, column["group"], partition, roles)
        value_range = self.options.get("range")
        self._check_headers(root, [file for row, file in enumerate(files) if usable[row]])
        return Examples(
            labels=labels,
            class_names=class_names,
            partition=np.where(usable, partition, LEFT_OUT),
            read=lambda index: image_files.read_file(files[index], value_range),
            groups=None if groups is None else groups.astype(np.int64),
            skips_unreadable=self._skips_unreadable(),
            source=lambda index: files[index].relative_to(root).as_posix(),
            unreadable=[f"{path}: {reason}" for reason in broken.values()],
        )

    def _check_headers(self, root: Path, files: Sequence[Path]) -> None:
        """Raise UserError if images cannot be opened, or if their range of values is unknown."""
        names = [file.relative_to(root).as_posix() for file in files]
        headers = image_headers.check(root, names, self.options.get("range"))
        if headers.unreadable and not self._skips_unreadable():
            raise UserError(image_headers.unreadable_message(root, headers.unreadable, len(names)))
        if headers.range_problem:
            raise UserError(f"{root}: {headers.range_problem}")

    def _skips_unreadable(self) -> bool:
        return self.option("unreadable") == "skip"

    def _broken_rows(
        self, positions: _Positions, column: Mapping[str, pd.Series], files: Sequence[Path], numbers: bool
    ) -> dict[int, str]:
        """Return the reasons of the rows that have no label or no image, by row, with the position of each."""
        import pandas as pd

        roles, reasons = self._columns(), {}
        for role, values in column.items():
            if role == "partition":
                continue
            remedy = "; if labels such as NA are classes, set target: class" if role == "label" and numbers else ""
            for row in np.flatnonzero(values.isna()):
                reasons.setdefault(int(row), f"{positions.of(row)} has no value in {roles[role]!r}{remedy}")
        if numbers:
            finite = np.isfinite(pd.to_numeric(column["label"], errors="coerce").to_numpy(np.float64))
            for row in np.flatnonzero(~finite):
                label = column["label"].iloc[row]
                reasons.setdefault(int(row), f"{positions.of(row)} has the label {label}, which is not a number")
        for row, file in enumerate(files):
            if row not in reasons and not file.is_file():
                kind = "a link without a target" if file.is_symlink() else "no file"
                reasons[row] = f"{positions.of(row)} names {column['image'].iloc[row]!r}, and there is {kind} {file}"
        return dict(sorted(reasons.items()))

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

    def _check_rows(self) -> Iterator[Problem]:
        """Yield the problems of a local table's rows, and of the headers of its images."""
        try:
            self.load(None)
        except UserError as error:
            yield Problem("path", str(error))

    def _check_columns(self, table: Path) -> Iterator[Problem]:
        yield from tabular.check_columns(table, self._columns(), self.options)

    def _labels(self, path: Path, targets: pd.Series, usable: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Return the labels, 0 in rows that are not usable, and the names of the classes."""
        if self._are_numbers(path):
            import pandas as pd

            return pd.to_numeric(targets.where(usable, 0), errors="coerce").to_numpy(np.float64), []
        names = sorted(set(targets[usable]))
        if len(names) < 2:
            raise UserError(f"{path} has {len(names)} class(es) in the column {targets.name!r}; two or more are needed")
        number = {name: label for label, name in enumerate(names)}
        return targets.where(usable, names[0]).map(number).to_numpy(np.int64), names


def _files(positions: _Positions, root: Path, names: pd.Series) -> list[Path]:
    """Return the paths of the rows' images. Raises UserError naming all rows that lead outside of ``root``."""
    outside = [
        f"{positions.of(row)} names {name!r}"
        for row, name in enumerate(names)
        # Links below the folder may lead anywhere: they are the user's.
        if _leads_outside(name) or _leads_outside(name.replace("\\", "/"))
    ]
    if outside:
        raise UserError(f"{positions.path}: {listed(outside)}, which leads outside {root}; set images accordingly")
    return [_image_path(root, name) for name in names]


def _leads_outside(name: str) -> bool:
    return os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == ".."


def _image_path(root: Path, name: str) -> Path:
    """Return the path of an image; backslashes separate folders, as programs for Windows write them."""
    path = root / name
    return path if "\\" not in name or path.exists() else root / name.replace("\\", "/")


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


def _partition(positions: _Positions, column: pd.Series | None, rows: int) -> np.ndarray:
    if column is None:
        return np.full(rows, "", dtype="<U10")
    words = column.fillna("").str.strip().str.lower()
    unknown = ~words.isin([*PARTITION_WORDS, ""])
    if unknown.any():
        rows = [f"{positions.of(row)} is of the partition {column.iloc[row]!r}" for row in np.flatnonzero(unknown)]
        raise UserError(f"{positions.path}: {listed(rows)}; known are {_any(PARTITIONS)}")
    return words.map(PARTITION_WORDS | {"": ""}).to_numpy().astype("<U10")


class _Positions:
    """Positions of rows in the file, such as "line 7"; the file is read again only if one is needed."""

    def __init__(self, path: Path, column: str, options: Mapping[str, Any]):
        self.path, self._column, self._options = path, column, options

    @cached_property
    def _table(self) -> Any:
        return tabular.table(self.path, self._options, [self._column])

    def of(self, row: int) -> str:
        return self._table.at(int(row))


def _lines_of(reasons: Mapping[int, str]) -> str:
    shown = "\n".join(f"  - {reason}" for reason in list(reasons.values())[:20])
    return shown + (f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else "")


def _any(words: Sequence[str]) -> str:
    return " or ".join(words)
