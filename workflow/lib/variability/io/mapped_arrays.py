"""Arrays in files that are written through memory, for more data than fit into it."""

import os
from pathlib import Path
from typing import Any

import numpy as np


def create(path: Path, dtype: Any, shape: tuple[int, ...]) -> np.memmap:
    """Create a .npy file of zeros and return its array, to be written.

    Its space is reserved at once. The kernel ends a process that writes through memory to a full disk (SIGBUS), so the
    error has to come before. Raises OSError if the disk has too little room.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    # Missing on macOS.
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return array
