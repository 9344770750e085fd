"""Check of the folders that a study writes to, before its first job."""

from collections.abc import Iterator
from pathlib import Path

from variability.io.storage import require_space, require_writable

#: Room for the listings of the plan and Snakemake's records of a small study.
_BYTES = 10_000_000
#: Snakemake's folders.
_RECORDS = (".snakemake", *(f".snakemake/{name}" for name in ("incomplete", "locks", "log", "metadata", "scripts")))


def check_folders(results: Path, study: str) -> None:
    """Raise StorageError for the first folder that cannot be written to, or if its disk is full.

    results: folder of all studies, relative to the working directory, in which Snakemake stores its own files, too.
    study: name of the study. Folders below those of the stages are left to their jobs.
    """
    for folder in _folders(results, study):
        require_writable(folder)
    for folder in (results, Path(_RECORDS[0])):
        require_space(folder, _BYTES, "the plan and the records of jobs")


def _folders(results: Path, study: str) -> Iterator[Path]:
    yield from map(Path, _RECORDS)
    yield results
    yield from (results / name for name in ("code", "contents", "downloads", study))
    for parent in (results / study, results / "downloads"):
        # Links to nothing count, and files do not: those of the stages are folders.
        yield from (path for path in sorted(parent.glob("*")) if path.is_dir() or path.is_symlink())
