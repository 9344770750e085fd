"""Images in one NumPy .npz file, with the arrays of MedMNIST."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import RERUN_DOWNLOAD, agree, listed, plural
from variability.data.datasets import Dataset, Examples
from variability.data.datasets._files import bring, downloaded, source_problems
from variability.errors import Problem, UserError
from variability.io import limits, npz_files
from variability.io.limits import Limits

_PARTITIONS = {"train": "train", "val": "validation", "test": "test"}
_NAMES = [f"{name}_{what}" for name in _PARTITIONS for what in ("images", "labels")]
_FILE = "data.npz"
_GET_AGAIN = "get it again"


class Npz(Dataset):
    """Arrays ``train_images, train_labels, val_images, val_labels, test_images, test_labels``; val and test optional.

    images: uint8 (n, height, width) or (n, height, width, 3). labels: whole numbers (n,) or (n, 1), from 0.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "the file, or its name in a mirror"},
        "url": {"type": "string", "description": "address of the file; requires sha256 or md5"},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-fA-F]{64}$",
            "title": "a SHA-256: 64 hexadecimal digits",
            "description": "checksum of the file",
        },
        "md5": {
            "type": "string",
            "pattern": "^[0-9a-fA-F]{32}$",
            "title": "an MD5: 32 hexadecimal digits",
            "description": "checksum of the file",
        },
        "class_names": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 2,
            "description": "names in the order of the labels; default: their numbers",
        },
        **limits.OPTION,
    }

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        yield from source_problems(self.options, mirrors, ("sha256", "md5"))
        if source := self.local_source():
            try:
                npz_files.headers(source, _NAMES, Limits.of(self.options))
            except (OSError, ValueError) as error:
                yield Problem("path", str(_unreadable(source, error, _GET_AGAIN)))

    def is_remote(self) -> bool:
        return self.local_source() is None

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if path.is_file() else None

    def download(self, folder: Path, fetcher: Any) -> None:
        bring(fetcher, folder / _FILE, self.options.get("path"), self.options.get("url"), self._checksum())

    def load(self, folder: Path | None) -> Examples:
        path = self.local_source() or downloaded(folder) / _FILE
        remedy = _GET_AGAIN if self.local_source() else RERUN_DOWNLOAD
        arrays = _read(path, remedy, Limits.of(self.options))
        shipped = [name for name in _PARTITIONS if f"{name}_images" in arrays]
        if "train" not in shipped:
            raise UserError(f"{path} has no train_images; it contains {listed(npz_files.names(path)) or 'nothing'}")
        parts = [_part(path, name, arrays) for name in shipped]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        partition = np.repeat([_PARTITIONS[name] for name in shipped], [len(part[1]) for part in parts])
        counted = zip(shipped, parts, strict=True)
        sources = [f"{name}_images[{index}]" for name, part in counted for index in range(len(part[1]))]
        names = self._class_names(path, labels)
        return Examples(labels, names, partition, images.__getitem__, source=sources.__getitem__)

    def _checksum(self) -> str | None:
        checksums = (
            f"{algorithm}:{self.options[algorithm]}" for algorithm in ("sha256", "md5") if algorithm in self.options
        )
        return next(checksums, None)

    def _class_names(self, path: Path, labels: np.ndarray) -> list[str]:
        names = self.options.get("class_names")
        if not names and labels.max() >= len(labels):
            raise UserError(
                f"{path} has the label {labels.max()}, but only {plural(len(labels), 'image')}; labels are numbers of "
                "classes from 0 without gaps, and each class has images; correct the labels"
            )
        names = names or [str(label) for label in range(labels.max() + 1)]
        if labels.min() < 0 or labels.max() >= len(names):
            raise UserError(
                f"{path} has labels from {labels.min()} to {labels.max()}, but there {agree(len(names), 'is', 'are')} "
                f"{plural(len(names), 'class', 'classes')}, numbered from 0; correct class_names or the labels"
            )
        return names


def _read(path: Path, remedy: str, allowed: Limits) -> dict[str, np.ndarray]:
    try:
        return npz_files.read(path, _NAMES, allowed)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, remedy) from error


def _unreadable(path: Path, error: Exception, remedy: str) -> UserError:
    return UserError(f"{path} cannot be read as an .npz file of plain arrays ({error}); {remedy}")


def _part(path: Path, name: str, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = arrays[f"{name}_images"], arrays.get(f"{name}_labels")
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise UserError(
            f"{path}: {name}_images is {images.dtype} {images.shape}; it must be uint8 (n, height, width) or "
            "(n, height, width, 3)"
        )
    if labels is None or labels.dtype.kind not in "iu" or labels.shape not in ((len(images),), (len(images), 1)):
        actual = "missing" if labels is None else f"{labels.dtype} {labels.shape}"
        raise UserError(
            f"{path}: {name}_labels is {actual}; it must have one whole number for each of "
            f"{plural(len(images), 'image')} (several labels per image are not supported)"
        )
    if not labels.size or not images.size:
        raise UserError(f"{path}: {name}_images is {images.shape} and has no pixels; remove {name}_*, or fill it")
    if labels.max() > np.iinfo(np.int64).max:
        raise UserError(f"{path}: {name}_labels has {labels.max()}, which is not the number of a class; correct it")
    return images, labels.reshape(-1).astype(np.int64)
