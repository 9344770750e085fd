"""Image files in one folder per class: a directory, or a zip or tar archive of one."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import agree, listed, plural
from variability.data.datasets import Dataset, Examples
from variability.data.datasets import _class_folders as class_folders
from variability.data.datasets._files import PARTITION_WORDS, UNREADABLE_OPTION, bring, downloaded
from variability.errors import Problem, UserError
from variability.io import archives, image_files, image_headers, limits
from variability.io.folder_walk import Walk, is_hidden, walk
from variability.io.mirrors import did_you_mean, find_file, missing_file

_log = logging.getLogger(__name__)

_FOLDER = "images"
#: Files without the suffix of an image that are opened to see what they are.
_MOST_OTHERS = 1000


class ImageFolder(Dataset):
    """One folder per class, named after it; or folders train, validation (val) and test that contain class folders.

    A folder that only contains one other folder is skipped. Links are followed. Hidden files, and files without the
    suffix of an image, are not read. Classes and files are sorted by name.
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
        "partitions": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"enum": [*PARTITION_WORDS, class_folders.IGNORE]},
            "description": "partition of each folder whose name does not tell it; ignore leaves one out",
        },
        **image_files.RANGE_OPTION,
        **limits.OPTION,
        **UNREADABLE_OPTION,
    }

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        options = self.options
        path = options.get("path")
        yield from image_files.range_problems(options)
        if ("path" in options) == ("url" in options):
            yield Problem("", "give either path (a directory or an archive, or its name in a mirror) or url")
        elif path and not self._is_folder():
            if not archives.is_archive(Path(path)):
                hints = [] if Path(path).exists() else ["there is nothing of this name", did_you_mean(path)]
                missing = "".join(f"; {hint}" for hint in hints if hint)
                yield Problem("path", f"{path!r} is neither a directory nor the name of a zip or tar archive{missing}")
            elif not (archive := find_file(path, mirrors)):
                yield Problem("path", missing_file(path, mirrors))
            else:
                yield from self._archive_problems(archive)
        elif path:
            if "sha256" in options:
                yield Problem("sha256", "is for archives, but path is a directory; remove it")
            yield from self._problems(*self._local)
        elif "sha256" not in options:
            yield Problem("url", "downloads must be verified: give its sha256")

    def is_remote(self) -> bool:
        return not self._is_folder()

    def local_source(self) -> Path | None:
        path = Path(self.options.get("path", ""))
        return path if self._is_folder() or path.is_file() else None

    def size(self) -> dict[str, int] | None:
        if not self._is_folder() or self._local[1].problems:
            return None
        return dict(Counter(partition for _, partition, _ in self._local[1].files))

    def download(self, folder: Path, fetcher: Any) -> None:
        checksum = f"sha256:{self.options['sha256']}" if "sha256" in self.options else None
        archive = folder / "archive"
        bring(fetcher, archive, self.options.get("path"), self.options.get("url"), checksum)
        archives.extract(archive, folder / _FOLDER, self._limits)
        archive.unlink()

    def load(self, folder: Path | None) -> Examples:
        below, arranged = self._local if self._is_folder() else self._walked(downloaded(folder) / _FOLDER)
        if problems := [problem.message for problem in self._problems(below, arranged)]:
            raise UserError("\n".join(problems))
        _log_left_out(below, arranged)
        number = {name: label for label, name in enumerate(arranged.class_names)}
        paths = [below.root / file for file, _, _ in arranged.files]
        value_range = self.options.get("range")
        return Examples(
            labels=np.array([number[name] for _, _, name in arranged.files], dtype=np.int64),
            class_names=arranged.class_names,
            partition=np.array([partition for _, partition, _ in arranged.files], dtype="<U10"),
            read=lambda index: image_files.read_file(paths[index], value_range, self._limits.megapixels),
            skips_unreadable=self._skips_unreadable(),
            source=lambda index: arranged.files[index][0],
            unreadable=_unlabelled_files(below, arranged) if self._skips_unreadable() else [],
            remarks=_without_suffix(below.root, arranged.others),
        )

    def _is_folder(self) -> bool:
        return "path" in self.options and Path(self.options["path"]).is_dir()

    @property
    def _limits(self) -> limits.Limits:
        return limits.Limits.of(self.options)

    def _skips_unreadable(self) -> bool:
        return self.option("unreadable") == "skip"

    @cached_property
    def _local(self) -> tuple[Walk, class_folders.ClassFolders]:
        """The user's directory; walked once by the check of a config."""
        return self._walked(Path(self.options["path"]))

    def _walked(self, root: Path) -> tuple[Walk, class_folders.ClassFolders]:
        below = walk(root)
        return below, class_folders.arrange(str(root), below.files, below.folders, self.options.get("partitions"))

    def _problems(self, below: Walk, arranged: class_folders.ClassFolders) -> Iterator[Problem]:
        """Yield what the names below the folder, and the headers of its files, show."""
        key = "path" if "path" in self.options else "url"
        names = [file for file, _, _ in arranged.files]
        headers = image_headers.check(below.root, names, self.options.get("range"), self._limits.megapixels)
        if headers.range_problem:
            yield Problem("range", f"{below.root}: {headers.range_problem}")
        if not self._skips_unreadable():
            unreadable = dict.fromkeys(below.dangling, "a link without a target")
            unreadable |= dict.fromkeys(below.unreadable, "closed by its permissions")
            unreadable |= dict.fromkeys(arranged.other_formats, "a format that is not read") | headers.unreadable
            if unreadable:
                count = len(names) + len(unreadable.keys() - set(names))
                yield Problem(key, image_headers.unreadable_message(below.root, unreadable, count))
        if links := _links_stored_as_text(below.root, arranged.others):
            yield Problem(
                key,
                f"{listed(links)}: the text of these files is the path of a folder, so they were links and are not any "
                "more; copy the data again in a way that keeps links, or put the folders there",
            )
        # Without what they led to, classes are missing.
        yield from (Problem(key, message) for message in arranged.problems if not links)
        if undecodable := [name for name in [*below.files, *below.folders] if not _is_text(name)]:
            shown = listed(repr(name) for name in undecodable)
            names = plural(len(undecodable), "name is", "names are")
            yield Problem(key, f"{below.root}: {names} not UTF-8 ({shown}); rename the files")

    def _archive_problems(self, archive: Path) -> Iterator[Problem]:
        """Yield what the names in a local zip show. The names in a tar are only known after reading all of it."""
        if archive.suffix.lower() != ".zip":
            return
        try:
            names = archives.zip_names(archive, self._limits)
        except UserError as error:
            yield Problem("path", str(error))
            return
        files, folders = ([name for name in of_kind if not _in_hidden(name)] for of_kind in names)
        arranged = class_folders.arrange(str(archive), files, folders, self.options.get("partitions"))
        yield from (Problem("path", message) for message in arranged.problems)


def _log_left_out(below: Walk, arranged: class_folders.ClassFolders) -> None:
    """Name the files that are no examples."""
    for files, what in (
        (arranged.ignored, "images outside of class folders, which have no label"),
        (below.hidden, "hidden files and folders"),
        (below.loops, "links to a folder that they are in"),
        (below.special, "sockets, pipes or devices"),
    ):
        if files:
            _log.warning("%s: left out %d %s: %s", below.root, len(files), what, listed(files))
    if arranged.others:
        _log.info("%s: ignored %d files without the suffix of an image", below.root, len(arranged.others))


def _links_stored_as_text(root: Path, names: Sequence[str]) -> list[Path]:
    """Return the files that hold nothing but the path of an existing folder, as git stores links on some systems."""
    links = []
    for name in names:
        path = root / name
        if not path.suffix and 0 < path.stat().st_size < 4096:
            target = path.read_bytes().decode("utf-8", "replace")
            if target.isprintable() and "/" in target and (path.parent / target).is_dir():
                links.append(path)
    return links


def _without_suffix(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return a remark on the files that are images, and are not read because their names do not show it."""
    unnamed = [name for name in names[:_MOST_OTHERS] if _is_image(root / name)]
    if not unnamed:
        return ()
    images = plural(len(unnamed), "image is", "images are")
    names = agree(len(unnamed), "its name has", "their names have")
    remark = f"{images} not read, because {names} no suffix of an image: {listed(unnamed)}, in {root}."
    _log.warning("%s", remark)
    return (remark,)


def _is_image(path: Path) -> bool:
    try:
        image_files.open_file(path).close()
    # Pillow raises nearly every exception for what is not an image.
    except Exception:
        return False
    return True


def _unlabelled_files(below: Walk, arranged: class_folders.ClassFolders) -> list[str]:
    return [f"{below.root / name}" for name in [*below.dangling, *below.unreadable, *arranged.other_formats]]


def _in_hidden(name: str) -> bool:
    return any(is_hidden(part) for part in name.split("/"))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
