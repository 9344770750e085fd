"""Disk space that a study uses."""

import os
from pathlib import Path

_UNITS = ("B", "KB", "MB", "GB", "TB")


def disk(results: Path, downloads: Path) -> str:
    """Return a table of the space that each stage uses, the largest first, and that of what all studies share."""
    rows = dict(sorted(folder_sizes(results).items(), key=lambda row: -row[1]))
    rows |= {"all of the study": sum(rows.values()), "downloads, for all studies": _size(downloads)}
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {format_bytes(size):>9}" for name, size in rows.items())


def folder_sizes(results: Path) -> dict[str, int]:
    """Return the bytes below each folder of a study's results."""
    return {path.name: _size(path) for path in results.iterdir() if path.is_dir()} if results.is_dir() else {}


def format_bytes(size: float) -> str:
    """Return a size such as ``1.2 MB``."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{min(unit, 1)}f} {_UNITS[unit]}"


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder; a file with several hard links counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(parent, name))
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
