"""Hashes of the contents of files and folders, cached until a file's size, times or inode change."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from variability.io.files import digest, read_json, sha256, write_json

_log = logging.getLogger(__name__)
#: Number of bytes from which reading takes so long that a message announces it.
_ANNOUNCED_BYTES = 4e9


def content_hash(paths: Sequence[Path], cache: Path | None = None) -> str:
    """Return the SHA-256 of the names and bytes of files, and of all files in folders.

    It changes with an edit, not with the modification time. cache: folder in which the result is stored. It is reused
    as long as no file's size, times or inode change, so that a large data set is read once. If the cache cannot be
    written, the files are read every time.
    """
    files = [(name, file) for path in paths for name, file in _files(path)]
    states = [[name, *_state(file)] for name, file in files]
    state, key = digest(states), digest([str(path.absolute()) for path in paths])
    entry = cache and cache / f"{key[:16]}.json"
    if entry and (stored := _read(entry)).get("state") == state:
        return stored["sha256"]
    if (size := sum(state[1] for state in states)) > _ANNOUNCED_BYTES:
        _log.warning("%s: reading %.0f GB once, to detect later changes", paths[0], size / 1e9)
    with ThreadPoolExecutor() as pool:
        checksums = pool.map(sha256, [file for _, file in files])
        result = digest([[name, checksum] for (name, _), checksum in zip(files, checksums, strict=True)])
    if entry:
        try:
            write_json(entry, {"first": str(paths[0]), "state": state, "sha256": result})
        except OSError as error:
            _log.debug("%s is not stored: %s", entry, error)
    return result


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder with their names relative to it, or the single file."""
    if not path.is_dir():
        yield path.name, path
    for parent, subfolders, names in os.walk(path):
        subfolders.sort()
        for file in (Path(parent, name) for name in sorted(names)):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file


def _state(path: Path) -> list[int]:
    # Programs can set the modification time back, but not the change time (ctime).
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read(entry: Path) -> dict:
    try:
        return read_json(entry)
    except (OSError, ValueError):
        return {}
