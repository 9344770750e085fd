"""Hashes of the contents of files and folders, cached until a file's size, times or inode change."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from variability.io.artefacts import read_cached, write_record
from variability.io.files import digest, sha256
from variability.io.folder_walk import walk

_log = logging.getLogger(__name__)
#: Number of bytes from which reading takes so long that a message announces it.
_ANNOUNCED_BYTES = 4e9
#: Instead of the checksum of a file that cannot be read.
_UNREADABLE = "unreadable"
#: Seconds for which a job uses the checksum that the start of Snakemake computed.
_RECENT = 3600


def content_hash(paths: Sequence[Path], cache: Path | None = None) -> str:
    """Return the SHA-256 of the names and bytes of files, and of all files in folders, also behind links.

    Hidden files are left out, as they are from data sets, see ``folder_walk``. It changes with an edit, not with the
    modification time. cache: folder in which the result is stored. It is reused as long as no file's size, times or
    inode change, so that a large data set is read once. If the cache cannot be written, the files are read every time.
    """
    files = [(name, file) for path in paths for name, file in _files(path)]
    states = [[name, *file_state(file)] for name, file in files]
    state, entry = digest(states), cache and _entry(cache, paths)
    if entry and (stored := read_cached(entry, {"state": str, "sha256": str})).get("state") == state:
        return stored["sha256"]
    if (size := sum(state[1] for state in states if len(state) > 1)) > _ANNOUNCED_BYTES:
        _log.warning("%s: reading %.0f GB once, to detect later changes", paths[0], size / 1e9)
    with ThreadPoolExecutor() as pool:
        checksums = pool.map(_checksum, [file for _, file in files])
        known = list(checksums)
    result = digest([[name, checksum] for (name, _), checksum in zip(files, known, strict=True)])
    # The state of a file does not change when an error of its disk is over.
    if entry and _UNREADABLE not in known:
        try:
            record = {"first": str(paths[0]), "state": state, "sha256": result}
            write_record(entry, record | ({"file": known[0]} if len(known) == 1 else {}))
        except OSError as error:
            _log.debug("%s is not stored: %s", entry, error)
    return result


def recent_checksum(path: Path, cache: Path) -> str | None:
    """Return the SHA-256 of a file that ``content_hash`` read within the last hour and that did not change since.

    cache: as of ``content_hash``. None if it was not read, or not lately.
    """
    entry = _entry(cache, [path])
    recent = entry.is_file() and time.time() - entry.stat().st_mtime < _RECENT
    record = read_cached(entry, {"state": str, "file": str}) if recent else {}
    return record.get("file") if record.get("state") == digest([[path.name, *file_state(path)]]) else None


def _entry(cache: Path, paths: Sequence[Path]) -> Path:
    """Return the file of a cache with the hash of these files and folders."""
    return cache / f"{digest([str(path.absolute()) for path in paths])[:16]}.json"


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder with their names relative to it, or the single file."""
    if not path.is_dir():
        yield path.name, path
        return
    below = walk(path)
    yield from below.paths()
    # Links without a target, and closed folders, are part of the content: it changes when they can be read.
    yield from ((name, path / name) for name in sorted([*below.dangling, *below.unreadable]))


def file_state(path: str | os.PathLike) -> list[int]:
    """Return the size, times and inode of a file, which change with its content; empty if it cannot be read."""
    # Programs can set the modification time back, but not the change time (ctime).
    try:
        stat = os.stat(path)
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _checksum(path: Path) -> str:
    """Return the SHA-256 of a file, or that it cannot be read, which the job that needs the file reports."""
    try:
        return sha256(path)
    except OSError:
        return _UNREADABLE
