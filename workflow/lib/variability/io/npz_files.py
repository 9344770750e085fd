"""Arrays in .npz files of unknown origin, whose headers are checked before memory is taken for them."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from variability.io import zip_files
from variability.io.limits import DEFAULT, Limits

#: Longest header in bytes; NumPy parses it as Python.
_LONGEST_HEADER = 10_000


class Header(NamedTuple):
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype


def headers(path: Path, names: Sequence[str], allowed: Limits = DEFAULT) -> dict[str, Header]:
    """Return the headers of those of the named arrays that a file has.

    Raises OSError or ValueError for a file that is not an .npz, is a trap, or has Python objects, and for an array
    whose header does not agree with its size.
    """
    try:
        if trap := zip_files.expansion_problem(path, path.stat().st_size, allowed):
            raise ValueError(trap)
        with zipfile.ZipFile(path) as opened:
            stored = set(opened.namelist())
            return {name: _header(opened, f"{name}.npy") for name in names if f"{name}.npy" in stored}
    # Damaged files make the libraries raise many exceptions.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, TypeError, SyntaxError, OverflowError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def names(path: Path) -> list[str]:
    """Return the names of all arrays. Raises OSError or zipfile.BadZipFile."""
    with zipfile.ZipFile(path) as opened:
        return [name.removesuffix(".npy") for name in opened.namelist()]


def read(path: Path, names: Sequence[str], allowed: Limits = DEFAULT) -> dict[str, np.ndarray]:
    """Return those of the named arrays that a file has. Raises OSError or ValueError as ``headers`` does."""
    checked = headers(path, names, allowed)
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as opened:
            return {name: opened[name] for name in checked}
    except (zipfile.BadZipFile, zlib.error, EOFError, AttributeError, TypeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    except MemoryError as error:
        size = sum(math.prod(header.shape) * header.dtype.itemsize for header in checked.values())
        raise ValueError(f"its arrays need {size} bytes of memory") from error


def _header(opened: zipfile.ZipFile, name: str) -> Header:
    with opened.open(name) as file:
        shape, dtype = _parsed(file, name)
        content = opened.getinfo(name).file_size - file.tell()
    if dtype.hasobject:
        raise ValueError(f"{name} has Python objects, and loading those can run any code")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != content:
        raise ValueError(f"the header of {name} states {dtype} {shape}, but it has {content} bytes")
    return Header(shape, dtype)


def _parsed(file: IO[bytes], name: str) -> tuple[tuple[int, ...], Any]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=_LONGEST_HEADER)
    else:
        raise ValueError(f"{name} has named fields; save plain arrays")
    return shape, dtype
