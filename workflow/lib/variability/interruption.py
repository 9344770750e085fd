"""Requests to stop that reach a job's process: signals, and the end of the Snakemake that started it."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from variability.errors import Interrupted

#: Environment variable with the process id of the Snakemake that starts jobs.
SNAKEMAKE = "VARIABILITY_SNAKEMAKE"
#: Signals that end a job; those that the system lacks are left out. SLURM sends SIGUSR1 before the time is up.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


class Interruption:
    """Handlers of the signals that ask this process to stop.

    A request raises Interrupted in the main thread at once. Inside ``postponed`` nothing is raised: the code asks
    ``should_stop`` and saves its state. Only a second SIGINT raises there, too, for those who press Ctrl+C again. While
    the process ends, signals are ignored, except for a further SIGINT, which ends it at once.
    """

    def __init__(self) -> None:
        #: Name of what requested the stop.
        self.cause: str | None = None
        self._ended: str | None = None
        self._postponing = self._raised = False
        self._process = os.getpid()

    def should_stop(self) -> bool:
        """Return whether this process was asked to stop."""
        return self.cause is not None

    def message(self, where: str) -> str:
        """Return a line for the user. where: the message of ``Interrupted``."""
        by = f" by {self.cause}" if self.cause else ""
        what = f" {where}" if where else "; finished work is kept"
        return f"interrupted{by}{what}; run the same command again to continue"

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Return a context in which a request raises nothing, and neither at its end."""
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False

    def stop_if_requested(self) -> None:
        """Raise Interrupted if this process was asked to stop while that was postponed."""
        if self.should_stop():
            raise Interrupted

    @contextmanager
    def handled(self) -> Iterator["Interruption"]:
        """Handle signals inside the block, in the main thread of a process.

        Signals that the process was started to ignore are ignored, as by nohup; except for SIGUSR1.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN or number.name == "SIGUSR1":
                signal.signal(number, self._handle)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end_with_snakemake(self) -> None:
        """Stop when Snakemake, or the shell between it and this process, ends in whatever way.

        Without it, a long job would outlive a Snakemake that was killed. It takes a thread, so it is not for processes
        that fork.
        """
        processes = starters(os.environ.get(SNAKEMAKE))
        if processes:
            threading.Thread(target=self._watch, args=(processes,), daemon=True).start()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A process that this one forked, which has nothing to save.
            os._exit(128 + number)
        if self._raised:
            if number == signal.SIGINT:
                os._exit(128 + number)
            return
        impatient = self.cause is not None and number == signal.SIGINT
        self.cause = self.cause or self._ended or signal.Signals(number).name
        if impatient or not self._postponing:
            self._raised = True
            raise Interrupted

    def _watch(self, processes: list[int]) -> None:
        """Wait until one of the processes has ended, then ask this process to stop."""
        poll = select.poll()
        for process in processes:
            poll.register(process, select.POLLIN)
        poll.poll()
        self._ended = "the end of Snakemake"
        os.kill(self._process, signal.SIGTERM)


def starters(snakemake: str | None) -> list[int]:
    """Return file descriptors of the processes between this one and Snakemake, and of Snakemake; each can be polled.

    snakemake: its process id. Returns none if it is not an ancestor of this process, or if the system is not Linux: the
    end of Snakemake then goes unnoticed.
    """
    ancestors = []
    with suppress(OSError, ValueError, AttributeError):
        process = os.getppid()
        while snakemake and process > 1:
            ancestors.append(process)
            if process == int(snakemake):
                return [os.pidfd_open(ancestor) for ancestor in ancestors]
            process = _parent(process)
    return []


def _parent(process: int) -> int:
    # The name, in parentheses, may have spaces and parentheses itself.
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
