"""Image files in one folder per class: a directory, or a zip or tar archive of one."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.data.datasets import Dataset, Examples
from variability.data.datasets._files import PARTITION_WORDS, bring, downloaded
from variability.errors import Problem, UserError
from variability.io import archives, image_files
from variability.io.mirrors import find_file, missing_file

_log = logging.getLogger(__name__)

_FOLDER = "images"


class ImageFolder(Dataset):
    """One folder per class, named after it; or folders train, validation (val) and test that contain class folders.

    A folder that only contains one other folder is skipped. Hidden files, and files without the suffix of an image, are
    ignored. Classes and files are sorted by name.
    """

    THREADS: ClassVar[int] = 4
    OPTIONS: ClassVar[dict[str, dict]] = {
        "path": {"type": "string", "description": "a directory, an archive, or an archive's name in a mirror"},
        "url": {"type": "string", "description": "address of an archive; requires sha256"},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-fA-F]{64}$",
            "title": "a SHA-256: 64 hexadecimal digits",
            "description": "of the archive",
        },
    }

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        options = self.options
        path = options.get("path")
        if ("path" in options) == ("url" in options):
            yield Problem("", "give either path (a directory or an archive, or its name in a mirror) or url")
        elif path and not self._is_folder():
            if not archives.is_archive(Path(path)):
                yield Problem("path", f"{path!r} is neither a directory nor the name of a zip or tar archive")
            elif not find_file(path, mirrors):
                yield Problem("path", missing_file(path, mirrors))
        elif path and "sha256" in options:
            yield Problem("sha256", "is for archives, but path is a directory; remove it")
        elif "url" in options and "sha256" not in options:
            yield Problem("url", "downloads must be verified: give its sha256")

    def is_remote(self) -> bool:
        return not self._is_folder()

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if self._is_folder() or path.is_file() else None

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        archive = folder / "archive"
        bring(fetcher, archive, self.options.get("path"), self.options.get("url"), checksum)
        archives.extract(archive, folder / _FOLDER)
        archive.unlink()

    def load(self, folder: Path | None) -> Examples:
        root = _unwrapped(Path(self.options["path"]) if self._is_folder() else downloaded(folder) / _FOLDER)
        files = [
            (path, partition, name)
            for partition, base in _partitions(root)
            for name in _folders(base)
            for path in _image_files(base / name)
        ]
        class_names = sorted({name for _, _, name in files})
        if len(class_names) < 2:
            raise UserError(
                f"{root} holds {'no class folder' if not class_names else 'one class folder'} with images; two or more "
                "folders are needed, each named after its class"
            )
        number = {name: label for label, name in enumerate(class_names)}
        paths = [path for path, _, _ in files]
        return Examples(
            labels=np.array([number[name] for _, _, name in files], dtype=np.int64),
            class_names=class_names,
            partition=np.array([partition for _, partition, _ in files], dtype="<U10"),
            read=lambda index: image_files.read_file(paths[index]),
            source=lambda index: paths[index].relative_to(root).as_posix(),
        )

    def _is_folder(self) -> bool:
        return "path" in self.options and Path(self.options["path"]).is_dir()


def _unwrapped(root: Path) -> Path:
    while True:
        folders = _folders(root)
        if len(folders) != 1 or folders[0].lower() in PARTITION_WORDS or not _folders(root / folders[0]):
            return root
        root = root / folders[0]


def _partitions(root: Path) -> list[tuple[str, Path]]:
    folders = _folders(root)
    named = {name: PARTITION_WORDS[name.lower()] for name in folders if name.lower() in PARTITION_WORDS}
    if "train" not in named.values():
        return [("", root)]
    others = [name for name in folders if name not in named]
    if others or len(set(named.values())) < len(named):
        raise UserError(
            f"{root} holds {', '.join(map(repr, folders))}: either the folders train, validation (val) and test, or "
            "class folders, not both; move the others away"
        )
    return [(partition, root / name) for name, partition in named.items()]


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not _hidden(path.name))


def _image_files(folder: Path) -> list[Path]:
    visible = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(_hidden(part) for part in path.relative_to(folder).parts)
    ]
    images = sorted(path for path in visible if path.suffix.lower() in image_files.FORMATS)
    if len(images) < len(visible):
        _log.info("%s: ignored %d files without the suffix of an image", folder, len(visible) - len(images))
    if not images:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(image_files.FORMATS))}); fill it or remove it")
    return images


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
