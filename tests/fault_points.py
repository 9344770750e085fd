"""Faults at chosen file operations of this process: death, or an error of the disk, at the n-th of them.

Only tests install this. Operations are those of Python (an open for writing, a write, fsync, rename, mkdir, unlink);
libraries that write files in C or Rust are not seen between their first and last write.
"""

import builtins
import errno
import io
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

#: Faults by name: the error that an operation raises; None where the process dies instead.
KINDS = {"kill": None, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
#: Audit events of Python that are operations, with the names used here.
_EVENTS = {"os.rename": "rename", "os.mkdir": "mkdir", "os.remove": "unlink"}


@dataclass
class FaultPoints:
    """Counter of the operations below a folder. at: number of the operation that fails, None to count only."""

    folder: Path
    kind: str = "kill"
    at: int | None = None
    operations: list[str] = field(default_factory=list)

    def install(self) -> None:
        """Watch all operations of this process from now on. It cannot be undone: audit hooks are for ever."""
        self.folder = Path(os.path.abspath(self.folder))
        self._open, self._fsync = io.open, os.fsync
        sys.addaudithook(self._audit)
        builtins.open = io.open = self._open_watched
        os.fsync = self._fsync_watched

    def reach(self, operation: str, path: object) -> None:
        """Count an operation on a path, and fail if it is the chosen one."""
        if isinstance(path, int) or not (name := self._relative(path)):
            return
        self.operations.append(f"{operation} {name}")
        if len(self.operations) != self.at:
            return
        code = KINDS[self.kind]
        if code is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(code, os.strerror(code), os.fspath(path))

    def _relative(self, path: object) -> str | None:
        absolute = os.path.abspath(os.fsdecode(os.fspath(path)))
        inside = absolute.startswith(f"{self.folder}{os.sep}") and "__pycache__" not in absolute
        return os.path.relpath(absolute, self.folder) if inside else None

    def _audit(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path is not None:
                self.reach("open", path)
        elif event in _EVENTS:
            # Of a rename, the new name.
            self.reach(_EVENTS[event], arguments[1 if event == "os.rename" else 0])

    def _fsync_watched(self, descriptor: int) -> None:
        self.reach("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
        self._fsync(descriptor)

    def _open_watched(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **options):
        if isinstance(file, int) or not set(mode) & set("wax+") or not self._relative(file):
            return self._open(file, mode, buffering, encoding, errors, newline, **options)
        raw = _WatchedFile(file, mode.translate({ord("b"): None, ord("t"): None}), **options)
        raw.points = self
        if "b" in mode and buffering == 0:
            return raw
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)


class _WatchedFile(io.FileIO):
    points: FaultPoints

    def write(self, data) -> int:
        """Write, or half of it before the fault, as a disk does that becomes full."""
        points = self.points
        if points.at == len(points.operations) + 1:
            super().write(memoryview(data)[: len(data) // 2])
        points.reach("write", self.name)
        return super().write(data)
