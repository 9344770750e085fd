"""Names of temporary files and folders that state which process made them, so that those of dead ones are removed."""

import os
import platform
import re
import shutil
import zlib
from functools import cache
from pathlib import Path

#: Longest name, in bytes, that the names of temporary files contain as it is: they have at most 255.
_LONGEST = 150


def prefix(path: Path) -> str:
    """Return the start of the names of this process's temporary files for ``path``, in the folder of ``path``."""
    return f"{_start(path)}{os.getpid()}-"


def remove_abandoned(path: Path) -> None:
    """Remove temporary files and folders for ``path`` that a killed process of this machine has left.

    Those of other machines stay: it is not known here whether their processes are at work.
    """
    start = _start(path)
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        process = re.match(r"(\d+)-", name.removeprefix(start))
        if process and not _is_running(int(process[1])):
            _remove(path.parent / name)


def _start(path: Path) -> str:
    name, encoded = path.name, os.fsencode(path.name)
    if len(encoded) > _LONGEST:
        name = f"{encoded[:_LONGEST].decode(errors='ignore')}~{zlib.crc32(encoded):08x}"
    return f".{name}.{_machine()}-"


@cache
def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
