"""Atomic writes, JSON and checksums: a file is complete or absent."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import storage, temporary_names


@contextmanager
def replacing(path: str | os.PathLike, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` on success, remove it otherwise.

    A reader sees the old file or the new one, never part of one. With ``durable`` this also holds across a power
    failure, which costs about 10 ms for syncing.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary_names.remove_abandoned(path)
        handle, name = tempfile.mkstemp(prefix=temporary_names.prefix(path), suffix=path.suffix, dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except Exception as error:
        size = _remove(temporary)
        if isinstance(error, UserError) or (problem := storage.explain(_renamed(error, path), path, size)) is None:
            raise
        raise problem from error
    finally:
        _remove(temporary)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write JSON atomically, with sorted keys, so that equal values make equal files."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file. Raises OSError or ValueError."""
    with shallow():
        return json.loads(Path(path).read_text(encoding="utf-8"))


@contextmanager
def shallow() -> Iterator[None]:
    """Turn the error for a document that is nested too deeply to be read into a ValueError."""
    try:
        yield
    except RecursionError as error:
        raise ValueError("its values are nested hundreds of levels deep; correct it") from error


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of a plain value (dicts, lists, strings, numbers), independent of the order of keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _remove(temporary: Path | None) -> int:
    """Remove a temporary file and return the size that it had."""
    if temporary is None or not temporary.exists():
        return 0
    size = temporary.stat().st_size
    temporary.unlink(missing_ok=True)
    return size


def _renamed(error: Exception, path: Path) -> Exception:
    """Return an error about a temporary file as one about the file that was to be written."""
    for key in ("filename", "filename2"):
        name = getattr(error, key, None)
        if isinstance(name, str | Path) and Path(name).name.startswith(temporary_names.prefix(path)):
            setattr(error, key, str(path))
    return error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
