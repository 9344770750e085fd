"""What a study takes on the disk."""

import os
from collections.abc import Mapping
from pathlib import Path

_UNITS = ("B", "KB", "MB", "GB", "TB")


def disk(results: Path, downloads: Path) -> str:
    """A table of bytes by stage, the largest first, and of what all studies share."""
    rows = {name: size for name, size in sorted(by_folder(results).items(), key=lambda row: -row[1])}
    rows |= {"all of the study": sum(rows.values()), "downloads, for all studies": _size(downloads)}
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {in_words(size):>9}" for name, size in rows.items())


def by_folder(results: Path) -> Mapping[str, int]:
    """Bytes below each folder of a study's results."""
    return {path.name: _size(path) for path in results.iterdir() if path.is_dir()} if results.is_dir() else {}


def in_words(size: float) -> str:
    """``1.2 MB``."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{min(unit, 1)}f} {_UNITS[unit]}"


def _size(folder: Path) -> int:
    """Bytes of all files below a folder, a file with several names counted once."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            about = os.lstat(os.path.join(parent, name))
            seen[about.st_dev, about.st_ino] = about.st_size
    return sum(seen.values())
