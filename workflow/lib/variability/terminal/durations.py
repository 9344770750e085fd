"""Measured durations of jobs and runs, and the time that what is left will take."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Model, task and method.
Cell = tuple[str, str, str]


class Durations:
    """Mean seconds of jobs by stage, and of runs by cell and by all that cells have in common."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], float] = defaultdict(float)
        self._counts: dict[tuple[str, ...], int] = defaultdict(int)

    def add_job(self, stage: str, seconds: float) -> None:
        """Add the duration of a job of a stage that has no runs."""
        self._add(("stage", stage), seconds, 1)

    def add_runs(self, cell: Cell, seconds: float, n: int = 1) -> None:
        """Add the duration of n runs of a cell, which includes the start of their job."""
        for key in _keys(cell):
            self._add(key, seconds, n)

    def mean(self, key: tuple[str, ...]) -> float | None:
        """Return the mean of what has a key; None if nothing was measured."""
        return self._sums[key] / self._counts[key] if key in self._counts else None

    def _add(self, key: tuple[str, ...], seconds: float, n: int) -> None:
        self._sums[key] += seconds
        self._counts[key] += n


def job_seconds(stage: str, sources: Iterable[Durations]) -> float | None:
    """Return the expected duration of a job; None if no source has any of its stage. sources: the best first."""
    return next((mean for source in sources if (mean := source.mean(("stage", stage))) is not None), None)


def run_seconds(cell: Cell, sources: Sequence[Durations]) -> float | None:
    """Return the expected duration of a run; None if no source has any run.

    It is that of runs of the same cell, otherwise of the same model and method, of the same method, or of all runs.
    sources: the best first.
    """
    for key in _keys(cell):
        for source in sources:
            if (mean := source.mean(key)) is not None:
                return mean
    return None


def _keys(cell: Cell) -> Iterator[tuple[str, ...]]:
    model, task, method = cell
    yield "cell", model, task, method
    yield "model and method", model, method
    yield "method", method
    yield ("runs",)


@dataclass(frozen=True)
class Work:
    """Expected work of jobs of a stage that are not finished.

    seconds: of all of them one after the other; None if unknown. longest: of the longest of them. slots: number of them
    that run at a time.
    """

    seconds: float | None
    longest: float = 0.0
    slots: int = 1

    @property
    def wall(self) -> float | None:
        """Seconds from the first start to the last end."""
        return None if self.seconds is None else max(self.seconds / max(self.slots, 1), self.longest)


@dataclass(frozen=True)
class TimeLeft:
    """Seconds; None if nothing is known. complete: whether the work of all stages is known; otherwise a lower limit."""

    seconds: float | None
    complete: bool = True


def time_left(stages: Iterable[Work]) -> TimeLeft:
    """Return the time that stages take one after the other."""
    walls = [work.wall for work in stages]
    known = [wall for wall in walls if wall is not None]
    complete = len(known) == len(walls)
    return TimeLeft(sum(known) if complete or sum(known) else None, complete)
