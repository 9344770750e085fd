"""What data sets in files have in common."""

from pathlib import Path
from typing import Any

from variability.mirrors import get_file

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


def bring(fetcher: Any, target: Path, path: str | None, url: str | None, checksum: str | None) -> None:
    """Puts a file to ``target``, from an address, or from where ``path`` is found: here or in a mirror.

    Raises UserError where it cannot be had, or is not the one of the checksum ("sha256:..." or "md5:...").
    """
    if url is not None:
        fetcher.fetch(url, target, checksum)
    else:
        fetcher.fetch(get_file(path, fetcher.mirrors, checksum).absolute().as_uri(), target)
