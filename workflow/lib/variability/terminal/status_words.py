"""The state of an execution in a line."""

import math

from variability.terminal.durations import TimeLeft
from variability.terminal.tracker import Status

_SEPARATOR = " | "


def live_line(status: Status, width: int, verb: str = "running") -> str:
    """Return the line at the bottom of a terminal of ``width`` columns; parts that do not fit are left out.

    verb: for jobs that were started; those of a cluster may wait.
    """
    step = [f"step {status.steps_done}/{status.steps}"] if status.runs else []
    parts = [_counts(status, verb), *_time_left(status), *step, ", ".join(status.stages) or "waiting"]
    # The last column stays free: some terminals begin a new line after it.
    room = max(width - 1, 1)
    while len(parts) > 1 and len(_SEPARATOR.join(parts)) > room:
        # Which step it is matters least.
        if step:
            parts.remove(step.pop())
        else:
            parts.pop()
    return _SEPARATOR.join(parts)[:room]


def plain_line(status: Status, verb: str = "running") -> str:
    """Return the line of a log, instead of Snakemake's own count of steps."""
    percent = math.floor(100 * status.steps_done / status.steps) if status.steps else 100
    steps = f"{status.steps_done} of {status.steps} steps ({percent}%) done"
    runs = [_counts(status, verb)] if status.runs else []
    return _SEPARATOR.join([steps, *runs, *_time_left(status)])


def _time_left(status: Status) -> list[str]:
    """Return the part of a line about the time left: none after the last step, or where only short steps of unknown
    duration follow the last run."""
    runs_ended = 0 < status.runs == status.runs_done + status.runs_failed
    if status.steps_done == status.steps or (runs_ended and status.left.seconds is None):
        return []
    return [f"ETA {left_in_words(status.left)}"]


def left_in_words(left: TimeLeft) -> str:
    """Return ``14 min``, ``over 14 min`` if only the time of some stages is known, or ``unknown``."""
    if left.seconds is None:
        return "unknown"
    return duration(left.seconds) if left.complete else f"over {duration(left.seconds)}"


def duration(seconds: float) -> str:
    """Return a duration as exact as an estimate can be: ``9 s``, ``40 s``, ``14 min``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s" if seconds < 10 else f"{5 * math.ceil(seconds / 5)} s"
    if (minutes := round(seconds / 60)) < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"


def _counts(status: Status, verb: str) -> str:
    if not status.runs:
        counts = f"{status.steps_done}/{status.steps} steps done, {status.jobs_running} {verb}"
        return f"{counts}, {status.steps_failed} failed"
    counts = f"{status.runs_done}/{status.runs} runs done, {status.runs_running} {verb}, {status.runs_failed} failed"
    other_steps = status.steps_failed and not status.runs_failed
    return f"{counts}, steps failed: {status.steps_failed}" if other_steps else counts
