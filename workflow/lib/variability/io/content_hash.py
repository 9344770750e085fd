"""What a user's own files and folders contain, known without reading them again while nothing about them changes."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from variability.io.files import digest, read_json, sha256, write_json

_log = logging.getLogger(__name__)
#: Bytes from which reading takes long enough to be said.
_MANY = 4e9


def contents(paths: Sequence[Path], memory: Path | None = None) -> str:
    """SHA-256 of the names and bytes of files, and of all files in folders: moved by an edit, never by a touch.

    memory: folder in which the answer is kept. It is given again as long as no file's size, times or inode change, so
    that much data is read once and from then on only looked at. What cannot be kept is found out each time.
    """
    files = [(name, file) for path in paths for name, file in _files(path)]
    marks = [[name, *_mark(file)] for name, file in files]
    state, key = digest(marks), digest([str(path.absolute()) for path in paths])
    note = memory and memory / f"{key[:16]}.json"
    if note and (known := _read(note)).get("state") == state:
        return known["sha256"]
    if (size := sum(mark[1] for mark in marks)) > _MANY:
        _log.warning("%s: reading %.0f GB once, to know later whether they were changed", paths[0], size / 1e9)
    with ThreadPoolExecutor() as pool:
        checksums = pool.map(sha256, [file for _, file in files])
        found = digest([[name, checksum] for (name, _), checksum in zip(files, checksums, strict=True)])
    if note:
        try:
            write_json(note, {"first": str(paths[0]), "state": state, "sha256": found})
        except OSError as error:
            _log.debug("%s is not kept: %s", note, error)
    return found


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder, by their names in it, or the one file there is."""
    if not path.is_dir():
        yield path.name, path
    for parent, subfolders, names in os.walk(path):
        subfolders.sort()
        for file in (Path(parent, name) for name in sorted(names)):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file


def _mark(path: Path) -> list[int]:
    # The time of the last change cannot be set back, as that of the last modification can.
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read(note: Path) -> dict:
    try:
        return read_json(note)
    except (OSError, ValueError):
        return {}
