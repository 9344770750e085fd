"""A line at the bottom of a terminal, below all that this process and its children print."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

#: Seconds between two checks whether the line changed, and the longest that the start of a line is held back.
_TICK = 0.25
#: Columns of a terminal that does not tell.
_COLUMNS = 80
_ERASE = b"\r\x1b[K"
_CHUNK = 1 << 16


def above(data: bytes, line: str, shown: bool) -> bytes:
    """Return what prints data above a line. data: complete lines, or nothing. shown: whether there is a line now."""
    return (_ERASE if shown else b"") + data + line.encode("ascii", "replace")


class Screen:
    """Standard error, and standard output if it is the same terminal, with a live line.

    Jobs write to the terminal by themselves, and so do libraries. From ``start`` to ``stop`` they all write to a pipe,
    and a thread, the only one that writes to the terminal, prints what comes above the line.

    compose: the line for a terminal of a number of columns. It is called in that thread.
    """

    def __init__(self, compose: Callable[[int], str]):
        self._compose = compose
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._redirected: dict[int, int] = {}

    @staticmethod
    def is_possible() -> bool:
        """Return whether standard error is a terminal in which a line can be erased."""
        try:
            is_terminal = sys.stderr.fileno() == 2 and os.isatty(2)
        except (OSError, ValueError):
            return False
        return is_terminal and os.environ.get("TERM") not in (None, "", "dumb")

    def start(self) -> None:
        """Show the line from now on."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        for descriptor in (2, 1) if _are_the_same_terminal() else (2,):
            self._flush()
            self._redirected[descriptor] = os.dup(descriptor)
            os.dup2(writing, descriptor)
        os.close(writing)
        self._thread = threading.Thread(target=self._run, args=(reading, self._redirected[2]), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Print what has come so far, erase the line, and leave the terminal to all who write."""
        if self._thread is None:
            return
        self._flush()
        for descriptor, terminal in self._redirected.items():
            os.dup2(terminal, descriptor)
        self._stopping.set()
        # A terminal that was stopped by Ctrl+S must not keep the process from ending.
        self._thread.join(timeout=10)
        self._thread = None

    def _line(self, width: int) -> str:
        # If this thread died, everything that jobs print would be lost.
        try:
            return self._compose(width)
        except Exception as error:
            return f"{type(error).__name__} in the live line"[: width - 1]

    @staticmethod
    def _flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()

    def _run(self, reading: int, terminal: int) -> None:
        pending, shown, held_since = b"", "", 0.0
        while True:
            # Before reading, because everything was written before.
            stopping = self._stopping.is_set()
            select.select([reading], [], [], 0 if stopping else _TICK)
            data, ended = _read(reading)
            complete, newline, rest = (pending + data).rpartition(b"\n")
            if not pending:
                held_since = time.monotonic()
            pending = rest
            if stopping or ended:
                _write(terminal, above(complete + newline + pending, "", bool(shown)))
                return
            if pending and time.monotonic() - held_since > 2 * _TICK:
                # A question, or a bar of another program: no line until it ends its own.
                _write(terminal, above(complete + newline + pending, "", bool(shown)))
                pending, shown = b"", ""
                _pass_on(reading, terminal, self._stopping)
                continue
            line = self._line(columns_of(terminal) or _COLUMNS)
            if complete or newline or line != shown:
                _write(terminal, above(complete + newline, line, bool(shown)))
                shown = line


def columns_of(descriptor: int) -> int | None:
    """Return the number of columns of a terminal; None if it is none, or does not know."""
    try:
        return os.get_terminal_size(descriptor).columns or None
    except OSError:
        return None


def _are_the_same_terminal() -> bool:
    try:
        return os.isatty(1) and os.path.samestat(os.fstat(1), os.fstat(2))
    except OSError:
        return False


def _read(reading: int) -> tuple[bytes, bool]:
    """Return what can be read, and whether nothing will follow."""
    try:
        data = os.read(reading, _CHUNK)
    except BlockingIOError:
        return b"", False
    return data, not data


def _pass_on(reading: int, terminal: int, stopping: threading.Event) -> None:
    """Print all that comes, until a line is complete."""
    last = b""
    while not (last.endswith(b"\n") or stopping.is_set()):
        select.select([reading], [], [], _TICK)
        data, ended = _read(reading)
        if ended:
            return
        last = data or last
        _write(terminal, data)


def _write(terminal: int, data: bytes) -> None:
    """Write to the terminal; one that was closed is not written to any more."""
    with suppress(OSError):
        while data:
            data = data[os.write(terminal, data) :]
