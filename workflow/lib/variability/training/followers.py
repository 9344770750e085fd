"""The other processes of a run on several devices, which the process of a job starts and ends."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from variability import provenance
from variability.errors import UserError
from variability.interruption import SIGNALS
from variability.training import follower
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles

if TYPE_CHECKING:
    from variability.training.ranks import Ranks

_log = logging.getLogger(__name__)

_PROGRAM = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {follower.__name__} import main; main()"
#: Seconds after which a process that should end, or whose connection was lost, is killed.
_PATIENCE = 10


class Followers:
    """The processes that train the runs of a job together with this one, each on a device of its own.

    model, method: entries of the config. input_files: of the job. threads: CPU threads of one operation. devices: of
    all processes, of this one first. They start with the first fit, ignore the signals that ask a job to stop, about
    which this process decides, and end with this process in whatever way it ends.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        method: Mapping[str, Any],
        input_files: InputFiles,
        threads: int,
        devices: Sequence[str],
    ):
        paths = {name: str(path) for name, path in vars(input_files).items() if path is not None}
        self._job = {"model": model, "method": method, "input_files": paths, "threads": threads}
        self._devices = devices
        self._processes: list[_Process] = []
        self._ranks: Ranks | None = None
        #: Folder of the file through which the processes meet.
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Followers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end(_PATIENCE)

    @contextmanager
    def fitting(self, spec: FitSpec) -> Iterator[Ranks]:
        """Let the other processes make a fit, and yield this process's access to them.

        Raises UserError if one of them ends.
        """
        from variability.training.ranks import Lost

        try:
            if self._ranks is None:
                self._ranks = self._start()
            state = spec.state and str(spec.state)
            fit = {"seed": spec.seed, "recipe": spec.recipe, "state": state, "fingerprint": spec.fingerprint}
            for process in self._processes:
                process.send(fit)
            yield self._ranks
        except (Lost, BrokenPipeError) as error:
            raise UserError(self._message(error)) from error
        except BaseException:
            # What they would wait for does not come.
            self._end(0)
            raise

    def _start(self) -> Ranks:
        from variability.training.ranks import Ranks

        size = len(self._devices)
        self._folder = tempfile.TemporaryDirectory()
        meeting = Path(self._folder.name, "meeting")
        job = self._job | {"size": size, "meeting": str(meeting)}
        for rank, device in enumerate(self._devices[1:], 1):
            errors = Path(self._folder.name, f"{rank}.txt")
            self._processes.append(_Process.start(job | {"rank": rank, "device": device}, errors))
        for process in self._processes:
            process.wait_until_ready()
        ranks = Ranks(meeting, 0, size, self._devices[0])
        _log.info("trains with %d processes on %s", size, ", ".join(self._devices))
        return ranks

    def _message(self, error: BaseException) -> str:
        """End all processes, and return the sentence for one that ended before."""
        for process in self._processes:
            # One that was lost because of another may end first.
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(_PATIENCE / len(self._processes))
        reasons = [process.reason() for process in self._processes]
        self._end(0)
        known = [(number, reason) for number, reason in enumerate(reasons, 2) if reason]
        number, reason = known[0] if known else (0, str(error))
        which = f"process {number}" if number else "one"
        return (
            f"{which} of the {len(self._devices)} processes of the run ended ({reason}), and the others with it; run "
            "the same command again to continue from the last saved state"
        )

    def _end(self, seconds: float) -> None:
        """End the processes. seconds: time after which one that does not is killed."""
        for process in self._processes:
            process.end(seconds)
        self._processes = []
        if self._ranks is not None:
            self._ranks.leave()
            self._ranks = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


@dataclass(frozen=True)
class _Process:
    """A follower. requests, answers, errors: its standard input and output, and a file of its standard error."""

    popen: subprocess.Popen[str]
    requests: IO[str]
    answers: IO[str]
    errors: Path

    @classmethod
    def start(cls, job: Mapping[str, Any], errors: Path) -> _Process:
        """Start a process and send it the job."""
        # -P: no module in the working directory replaces an installed one.
        command = [sys.executable, "-P", "-c", _PROGRAM, str(provenance.PACKAGE.parent)]
        # Inherited when the process starts, and so without a moment in which a signal would end it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with errors.open("w", encoding="utf-8") as file:
                popen = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, encoding="utf-8"
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if popen.stdin is None or popen.stdout is None:
            raise ValueError("the process was started without pipes")
        process = cls(popen, popen.stdin, popen.stdout, errors)
        process.send(job)
        return process

    def send(self, request: Mapping[str, Any]) -> None:
        self.requests.write(json.dumps(request) + "\n")
        self.requests.flush()

    def wait_until_ready(self) -> None:
        """Wait until the network is built. Raises BrokenPipeError if the process ends before."""
        if not any(line.strip() == follower.READY for line in self.answers):
            raise BrokenPipeError("it ended before it was ready")

    def reason(self) -> str | None:
        """Return why the process ended; None if it has not, or because another one ended."""
        status = self.popen.poll()
        if status is None:
            return None
        if status < 0:
            name = signal.Signals(-status).name
            return f"by {name}" + (", as when memory is short" if name == "SIGKILL" else "")
        lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else None

    def end(self, seconds: float) -> None:
        """End the process by the end of its input, or after some seconds by force."""
        with suppress(OSError):
            self.requests.close()
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.answers.close()
