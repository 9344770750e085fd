"""Check of the folders that a study writes to, before its first job."""

import os
from collections.abc import Iterator
from pathlib import Path

from variability.io.storage import StorageError, require_space, require_writable

#: Room for the listings of the plan and Snakemake's records of a small study.
_BYTES = 10_000_000
#: Levels of folders below that of a study that are checked: stage, model, task and method. Those of runs are not.
_DEPTH = 4
#: Snakemake's folders.
_RECORDS = (".snakemake", *(f".snakemake/{name}" for name in ("incomplete", "locks", "log", "metadata", "scripts")))


def check_folders(results: Path, study: str) -> None:
    """Raise StorageError for the first folder that cannot be written to, belongs to another study, or has a full disk.

    results: folder of all studies, relative to the working directory, in which Snakemake stores its own files, too.
    study: name of the study.
    """
    for folder in _folders(results, study):
        require_writable(folder)
    if (other := _same_folder(results, study)) is not None:
        raise StorageError(
            f"study: {results / study} is the folder of the study {other!r}, because this file system ignores case; "
            "rename one of the two studies"
        )
    for folder in (results, Path(_RECORDS[0])):
        require_space(folder, _BYTES, "the plan and the records of jobs")


def _same_folder(results: Path, study: str) -> str | None:
    """Return the name of the study's folder if another one, which differs only in case, leads to it, too."""
    folder = results / study
    for other in os.listdir(results) if folder.is_dir() and os.access(results, os.R_OK) else ():
        differs_in_case = other != study and other.casefold() == study.casefold()
        if differs_in_case and (results / other).exists() and os.path.samefile(folder, results / other):
            return other
    return None


def _folders(results: Path, study: str) -> Iterator[Path]:
    yield from map(Path, _RECORDS)
    yield results
    yield from (results / name for name in ("code", "contents"))
    for folder in (results / "downloads", results / study):
        yield from _of_jobs(folder, _DEPTH)


def _of_jobs(folder: Path, depth: int) -> Iterator[Path]:
    """Yield a folder and, down to a depth, what is below it and either a folder or a link to nothing."""
    yield folder
    if depth and folder.is_dir() and os.access(folder, os.R_OK):
        with os.scandir(folder) as entries:
            below = sorted(entry.name for entry in entries if entry.is_dir() or _is_dangling(entry))
        for name in below:
            yield from _of_jobs(folder / name, depth - 1)


def _is_dangling(entry: os.DirEntry) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)
