"""What data sets in files have in common."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.errors import Problem
from variability.io.mirrors import find_file, get_file, missing_file

#: What a partition may be called in a folder's name or in a column, in lower case.
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


def source_problems(
    options: Mapping[str, Any], mirrors: Sequence[Path], checksums: Sequence[str] = ("sha256",)
) -> Iterator[Problem]:
    """What is wrong with where a file is to come from: one of path and url, and a checksum of what is downloaded."""
    if ("path" in options) == ("url" in options):
        yield Problem("", "give either path (a file, or its name in a mirror) or url")
    elif "path" in options and not find_file(options["path"], mirrors):
        yield Problem("path", missing_file(options["path"], mirrors))
    elif "url" in options and not any(name in options for name in checksums):
        yield Problem("url", f"what is downloaded is not trusted unseen: give its {' or '.join(checksums)}")


def bring(fetcher: Any, target: Path, path: str | None, url: str | None, checksum: str | None) -> None:
    """Puts a file to ``target``, from an address, or from where ``path`` is found: here or in a mirror.

    Raises UserError where it cannot be had, or is not the one of the checksum ("sha256:..." or "md5:...").
    """
    if url is not None:
        fetcher.fetch(url, target, checksum)
    else:
        fetcher.fetch(get_file(path, fetcher.mirrors, checksum).absolute().as_uri(), target)
