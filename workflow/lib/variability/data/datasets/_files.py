"""Functions shared by the data sets that are read from files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.errors import Problem
from variability.io.mirrors import find_file, get_file, missing_file

#: Names of partitions in folders, files and columns, in lower case.
PARTITION_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

#: Option of data sets whose examples are files that may be damaged.
UNREADABLE_OPTION: dict[str, dict[str, Any]] = {
    "unreadable": {
        "enum": ["refuse", "skip"],
        "default": "refuse",
        "description": "what happens with examples that cannot be read; skip leaves them out and counts them",
    }
}


def source_problems(
    options: Mapping[str, Any], mirrors: Sequence[Path], checksums: Sequence[str] = ("sha256",)
) -> Iterator[Problem]:
    """Yield problems with the source of a file, which needs either path or url, and a checksum for a url."""
    if ("path" in options) == ("url" in options):
        yield Problem("", "give either path (a file, or its name in a mirror) or url")
    elif "path" in options and not find_file(options["path"], mirrors):
        yield Problem("path", missing_file(options["path"], mirrors))
    elif "url" in options and not any(name in options for name in checksums):
        yield Problem("url", f"downloads must be verified: give its {' or '.join(checksums)}")


def downloaded(folder: Path | None) -> Path:
    """Return the folder that ``download`` filled; raise ValueError if ``load`` was called without it."""
    if folder is None:
        raise ValueError("the data set is remote: load needs the folder that download filled")
    return folder


def bring(fetcher: Any, target: Path, path: str | None, url: str | None, checksum: str | None) -> None:
    """Copy or download a file to ``target``, from an address, or from ``path``: a local file or its name in a mirror.

    Raises UserError if it is not available, or does not have the checksum ("sha256:..." or "md5:...").
    """
    if path is None:
        fetcher.fetch(url, target, checksum)
    else:
        fetcher.fetch(get_file(path, fetcher.mirrors, checksum).absolute().as_uri(), target)
