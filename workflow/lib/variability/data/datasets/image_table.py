"""Image files listed in a table, each with its target: a number or a class."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.data.datasets import PARTITIONS, Dataset, Examples
from variability.data.datasets._files import PARTITION_WORDS, bring
from variability.errors import Problem, UserError
from variability.io import archives, image_files, tabular
from variability.io.mirrors import find_file, missing_file

_SHA256 = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "title": "a SHA-256: 64 hexadecimal digits"}
_FOLDER = "images"


class ImageTable(Dataset):
    """A CSV, TSV or parquet file with a row per image.

    Labels that are all numbers are for regression, others are classes, in the order of their names; ``target`` says
    which where they could be both. Images are named from the folder ``images``, that of the table if left out.
    """

    THREADS: ClassVar[int] = 4
    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the table, or its name in a mirror"},
        "url": {"type": "string", "description": "where to fetch the table; wants sha256"},
        "sha256": _SHA256 | {"description": "of the table"},
        "images": {"type": "string", "description": "a directory, an archive, or an archive's name in a mirror"},
        "images_url": {"type": "string", "description": "where to fetch an archive; wants images_sha256"},
        "images_sha256": _SHA256 | {"description": "of the archive"},
        "image": {"type": "string", "default": "image", "description": "column of the files' names"},
        "suffix": {"type": "string", "default": "", "description": "what the names in the table lack, such as .jpg"},
        "label": {"type": "string", "default": "label", "description": "column of the targets"},
        "target": {"enum": ["class", "number"], "description": "what the labels are, if not what they look like"},
        "partition": {"type": "string", "description": "column that says train, validation or test"},
        "group": {"type": "string", "description": "column that says which images are not independent: their patient"},
    } | tabular.QUOTES
    KINDS: ClassVar[tuple[str, ...]] = ("regression", "classification")

    def kinds(self) -> tuple[str, ...]:
        return ("regression",) if self._are_numbers() else ("classification",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        table = None
        if ("path" in self.options) == ("url" in self.options):
            yield Problem("", "give either path (a table, or its name in a mirror) or url")
        elif not self._name.endswith(tabular.SUFFIXES):
            yield Problem("path" if "path" in self.options else "url", f"{self._name!r} is no {_any(tabular.SUFFIXES)}")
        elif "url" in self.options and "sha256" not in self.options:
            yield Problem("url", "what is downloaded is not trusted unseen: give its sha256")
        elif "path" in self.options and (table := find_file(self.options["path"], mirrors)) is None:
            yield Problem("path", missing_file(self.options["path"], mirrors))
        yield from tabular.check_quotes(self.options, self._name)
        yield from self._check_images(mirrors)
        if table is not None:
            yield from self._check_columns(table)
        if self.local_source() is None and "target" not in self.options:
            yield Problem("target", "cannot be told before the table is here: say class or number")

    def is_remote(self) -> bool:
        return self.local_source() is None or not self._local_images().is_dir()

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if path.is_file() else None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        # Of the folder only the images that are meant: it may be the one that everything else lies in, too.
        table, folder = super().sources(mirrors), self._local_images()
        if folder.is_dir() and table:
            column = self._option("image")
            names = tabular.read(table[0], [column], (column,), self.options.get("quotes"))[column].dropna()
            return [*table, *(path for name in names + self._option("suffix") if (path := folder / name).is_file())]
        images = folder if folder.is_dir() else find_file(self.options.get("images", "-"), mirrors)
        return [*table, *([images] if images else [])]

    def download(self, folder: Path, fetcher) -> None:
        given = self.options
        if self.local_source() is None:
            checksum = f"sha256:{given['sha256']}" if "sha256" in given else None
            bring(fetcher, folder / self._table, given.get("path"), given.get("url"), checksum)
        if not self._local_images().is_dir():
            checksum = f"sha256:{given['images_sha256']}" if "images_sha256" in given else None
            archive = folder / "archive"
            bring(fetcher, archive, given.get("images"), given.get("images_url"), checksum)
            archives.extract(archive, folder / _FOLDER)
            archive.unlink()

    def load(self, folder: Path | None) -> Examples:
        path = self.local_source() or folder / self._table
        root = self._local_images() if self._local_images().is_dir() else folder / _FOLDER
        for problem in self._check_columns(path):
            raise UserError(f"{path}: {problem}")
        roles = self._columns()
        numbers = self._are_numbers(path)
        text = {name for role, name in roles.items() if role != "label" or not numbers}
        frame = tabular.read(path, list(dict.fromkeys(roles.values())), text, self.options.get("quotes"))
        column = {role: frame[name] for role, name in roles.items()}
        for role, values in column.items():
            if role != "partition" and values.isna().any():
                row = _row(values.isna())
                remedy = "fill it in, or take the row out"
                if role == "label" and numbers:
                    remedy += "; if labels such as NA are classes, say target: class"
                raise UserError(f"{path}: {row} has nothing in {roles[role]!r}; {remedy}")
        labels, class_names = self._labels(path, column["label"])
        files = _files(path, root, column["image"] + self._option("suffix"))
        groups = np.unique(column["group"], return_inverse=True)[1] if "group" in column else None
        partition = _partition(path, column.get("partition"), len(labels))
        if groups is not None:
            _require_whole(path, column["group"], partition, roles)
        return Examples(
            labels=labels,
            class_names=class_names,
            partition=partition,
            read=lambda index: image_files.read_file(files[index]),
            groups=None if groups is None else groups.astype(np.int64),
        )

    def _option(self, name: str) -> Any:
        return self.options.get(name, self.OPTIONS[name].get("default"))

    @property
    def _name(self) -> str:
        return self.options.get("path") or self.options.get("url", "").partition("?")[0]

    @property
    def _table(self) -> str:
        """The table's name among the downloaded files."""
        return "table" + Path(self._name).suffix

    def _local_images(self) -> Path:
        if "images" in self.options:
            return Path(self.options["images"])
        return Path("") / "-" if "images_url" in self.options else Path(self._name).parent

    def _columns(self) -> dict[str, str]:
        """Names of the columns by their role."""
        return {role: name for role in ("image", "label", "partition", "group") if (name := self._option(role))}

    def _are_numbers(self, table: Path | None = None) -> bool:
        if "target" in self.options:
            return self.options["target"] == "number"
        table = table or self.local_source()
        try:
            return table is not None and tabular.numeric(table, self._option("label"), self.options.get("quotes"))
        except (OSError, ValueError, KeyError):
            return False  # the check says what is wrong

    def _check_images(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        given, folder = self.options, self._local_images()
        if "images" in given and "images_url" in given:
            yield Problem("images_url", "give either images or images_url")
        elif "images_url" in given and "images_sha256" not in given:
            yield Problem("images_url", "what is downloaded is not trusted unseen: give its images_sha256")
        elif "images" in given and not folder.is_dir() and not archives.is_archive(folder):
            yield Problem("images", f"{given['images']!r} is neither a directory nor the name of a zip or tar archive")
        elif "images" in given and not folder.is_dir() and not find_file(given["images"], mirrors):
            yield Problem("images", missing_file(given["images"], mirrors))
        elif not {"images", "images_url"} & set(given) and self.local_source() is None:
            yield Problem("images", "is missing: a directory, an archive, or an archive's name in a mirror")

    def _check_columns(self, table: Path) -> Iterator[Problem]:
        yield from tabular.check_columns(table, self._columns(), self.options.get("quotes"))

    def _labels(self, path: Path, targets) -> tuple[np.ndarray, list[str]]:
        if self._are_numbers(path):
            import pandas as pd

            numbers = pd.to_numeric(targets, errors="coerce").to_numpy(np.float64)
            wrong = ~np.isfinite(numbers)
            if wrong.any():
                raise UserError(f"{path}: {_row(wrong)} has the label {targets[wrong].iloc[0]}, which is no number")
            return numbers, []
        names = sorted(set(targets))
        if len(names) < 2:
            raise UserError(f"{path} has {len(names)} class(es) in the column {targets.name!r}; wanted are two or more")
        number = {name: label for label, name in enumerate(names)}
        return targets.map(number).to_numpy(np.int64), names


def _files(table: Path, root: Path, names) -> list[Path]:
    """The image files of the rows, none of which may lie outside ``root``."""
    top, found = root.resolve(), []
    for at, name in enumerate(names):
        path = root / name
        if not path.resolve().is_relative_to(top):
            raise UserError(f"{table}: row {at + 1} names {name!r}, which leads outside {root}; set images accordingly")
        if not path.is_file():
            raise UserError(f"{table}: row {at + 1} names {name!r}, and there is no file {path}")
        found.append(path)
    return found


def _require_whole(path: Path, groups, partition: np.ndarray, roles: Mapping[str, str]) -> None:
    """Raises UserError where a group stands in several partitions: what is tested would be half seen in training."""
    import pandas as pd

    pools = np.where(np.isin(partition, ("validation", "test")), partition, "train")
    held = pd.Series(pools).groupby(groups.to_numpy(), sort=False).unique()
    torn = held[held.map(len) > 1]
    if len(torn):
        raise UserError(
            f"{path}: {len(torn)} of {len(held)} groups of {roles['group']!r} stand in several partitions "
            f"({torn.index[0]!r} in {' and '.join(sorted(torn.iloc[0]))}), so that what is tested was half seen in "
            f"training; mend {roles['partition']!r}, or name no partition and let whole groups be drawn"
        )


def _partition(table: Path, said, rows: int) -> np.ndarray:
    if said is None:
        return np.full(rows, "", dtype="<U10")
    words = said.fillna("").str.strip().str.lower()
    unknown = ~words.isin([*PARTITION_WORDS, ""])
    if unknown.any():
        raise UserError(
            f"{table}: {_row(unknown)} is of the partition {said[unknown].iloc[0]!r}; known are {_any(PARTITIONS)}"
        )
    return words.map(PARTITION_WORDS | {"": ""}).to_numpy().astype("<U10")


def _row(marked) -> str:
    """The first marked row, counted from 1 after the header."""
    return f"row {int(np.flatnonzero(marked)[0]) + 1}"


def _any(words: Sequence[str]) -> str:
    return " or ".join(words)
