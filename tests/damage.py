"""Damages of a file: what disks, copies and people do to it."""

import random
from pathlib import Path


def flip(path: Path) -> None:
    """Flip one bit, the position of which depends on the name and the size of the file."""
    content = bytearray(path.read_bytes())
    bit = random.Random(f"{path.name} {len(content)}").randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


#: All but the replacement by another run's file, which depends on the file.
DAMAGES = (flip, cut, empty, delete)
