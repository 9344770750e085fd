"""The listener to Snakemake's events, and what it shows of them."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from variability.terminal.screen import Screen
from variability.terminal.status_words import live_line, plain_line
from variability.terminal.tracker import Status, Tracker

#: Name of Snakemake's handler that writes to the terminal.
STREAM = "DefaultStreamHandler"
#: For jobs that were started on this machine, or sent to a cluster, where they may wait.
RUNNING, SUBMITTED = "running", "submitted"
#: Events of Snakemake's records, values of their attribute ``event``.
_STATISTICS, _PROGRESS, _SELECTED = "run_info", "progress", "job_started"
_STARTED, _FINISHED, _FAILED = "job_info", "job_finished", "job_error"
#: Errors by which Snakemake reports that jobs have ended, whatever the reason.
_OF_ENDED_JOBS = frozenset({"RuleException", "CalledProcessError", "WorkflowError", "KeyboardInterrupt"})
#: Message at each look at running jobs, once Snakemake waits for them to end.
_ENDING = "Will exit after finishing currently running jobs (scheduler)."
#: Message before each start of jobs, which has no event of its own.
_SELECTING = "Select jobs to execute..."
#: Seconds between two looks at the files of runs, and the largest part of the time that they may take.
_POLL, _LOAD = 1.0, 0.02
#: Shortest and longest time between two plain lines, in seconds.
_PAUSE, _SILENCE = 5.0, 600.0


class Follower(logging.Handler):
    """A handler of Snakemake's logger, which gets its events whatever ``--quiet`` hides.

    dry_run: no job will run. quiet: progress is not to be shown.
    """

    def __init__(self, dry_run: bool, quiet: bool):
        super().__init__(logging.INFO)
        self.dry_run, self.quiet, self.verb = dry_run, quiet, RUNNING
        #: Number of jobs by rule, as Snakemake planned them, in the order of the rules. Empty before, and if it failed.
        self.planned: Mapping[str, int] = {}
        #: Returns the text that is printed after all that Snakemake prints.
        self.ending: Callable[[], str] | None = None
        self._stream: logging.StreamHandler | None = None
        #: Jobs of the execution, if they are followed.
        self.tracker: Tracker | None = None
        self._interrupted = False
        self._screen: Screen | None = None
        # Not the handler's own lock, which is held while it is closed.
        self._state = threading.Lock()
        self._status: Status | None = None
        self._next_poll = self._last_plain = 0.0
        self._ended = threading.Event()

    def attach(self, logger: logging.Logger) -> None:
        """Listen to Snakemake, and leave out of its output what would be shown twice."""
        streams = [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
        self._stream = next((handler for handler in streams if handler.name == STREAM), None)
        if self._stream is not None:
            self._stream.addFilter(self._is_shown)
            if os.environ.get("NO_COLOR"):
                self._stream.__dict__["nocolor"] = True
        logger.addHandler(self)

    def follow(self, tracker: Tracker, verb: str) -> None:
        """Show the state of jobs from now on, unless it is not to be shown, or a plug-in shows Snakemake's events.

        verb: RUNNING or SUBMITTED.
        """
        if self.quiet or self._stream is None:
            return
        self.tracker, self.verb = tracker, verb
        if verb == RUNNING:
            # Jobs of this machine have printed their logs already.
            vars(self._stream.formatter)["show_failed_logs"] = False
        if Screen.is_possible():
            self._screen = Screen(self._compose)
            self._screen.start()
        else:
            self._last_plain = time.monotonic()
            threading.Thread(target=self._break_silence, daemon=True).start()

    def interrupt(self) -> None:
        """Note that all jobs are asked to end. What Snakemake then prints about errors in them is left out."""
        self._interrupted = True

    @property
    def interrupted(self) -> bool:
        """True once the execution, or a job of it, was asked to end."""
        return self._interrupted or (self.tracker is not None and self.tracker.interrupted)

    # Events ---------------------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Note an event of Snakemake."""
        facts, event = record.__dict__, _event(record)
        if record.levelno >= logging.ERROR:
            self.planned = {}
        elif event == _STATISTICS and not self.planned:
            self.planned = {rule: count for rule, count in facts["stats"].items() if rule != "total"}
        if self.tracker is not None:
            with self._state:
                self._note(event, facts, self.tracker)

    def _note(self, event: str, facts: Mapping[str, Any], tracker: Tracker) -> None:
        if event == _STARTED:
            tracker.start(facts["jobid"], time.time())
        elif event == _FINISHED:
            tracker.finish(facts["job_id"], time.time())
        elif event == _FAILED:
            tracker.fail(facts["jobid"])

    def _is_shown(self, record: logging.LogRecord) -> bool:
        """Return whether Snakemake prints an event. Filters come before ``emit``."""
        event = _event(record)
        if self.dry_run:
            # Snakemake prints its statistics before and after the jobs; now they are followed by a larger table.
            return not (event == _STATISTICS and self.planned)
        if self._interrupted and self.tracker is not None:
            if record.levelno >= logging.ERROR:
                return record.__dict__.get("exception") not in (None, *_OF_ENDED_JOBS)
            if record.msg == _ENDING:
                return False
        if self._screen is not None:
            return event not in (_PROGRESS, _SELECTED, _FINISHED) and record.msg != _SELECTING
        if self.tracker is not None and event == _PROGRESS:
            at_end = record.__dict__["done"] == record.__dict__["total"]
            if at_end or time.monotonic() - self._last_plain >= _PAUSE:
                self._print_plain()
            return False
        return True

    # What is shown --------------------------------------------------------------------------------------------------

    def _compose(self, width: int) -> str:
        """Return the live line."""
        return live_line(self._current(), width, self.verb)

    def _current(self) -> Status:
        """Return the state of at most a second ago, longer if many runs are looked for on a slow file system."""
        assert self.tracker is not None
        with self._state:
            if self._status is None or time.monotonic() >= self._next_poll:
                started = time.monotonic()
                self.tracker.poll()
                self._status = self.tracker.status(time.time())
                ended = time.monotonic()
                self._next_poll = ended + max(_POLL, (ended - started) / _LOAD)
            return self._status

    def _print_plain(self) -> None:
        self._last_plain = time.monotonic()
        self._next_poll = 0.0
        line = plain_line(self._current(), self.verb)
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def _break_silence(self) -> None:
        """Print a line now and then while long jobs are running."""
        while not self._ended.wait(_PAUSE):
            if time.monotonic() - self._last_plain >= _SILENCE:
                self._print_plain()

    def stop(self) -> None:
        """Erase the line."""
        self._ended.set()
        if self._screen is not None:
            self._screen.stop()

    def close(self) -> None:
        """Erase the line and print the ending. Snakemake closes its handlers after it has printed everything else."""
        self.stop()
        ending, self.ending = self.ending, None
        try:
            text = ending() if ending else ""
        except Exception as error:
            # Snakemake would hide it.
            text = f"The end of this output could not be made: {type(error).__name__}: {error}"
        if text:
            # Dry runs print to standard output.
            print(text, file=sys.stderr if self._stream is None else self._stream.stream, flush=True)
        super().close()


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", ""))
