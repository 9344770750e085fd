"""Counts of jobs and runs while Snakemake runs, from its events and from the records of finished runs."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from variability.terminal.durations import Cell, Durations, TimeLeft, Work, job_seconds, run_seconds, time_left

#: Seconds by which the clock of a file server may be behind.
_SKEW = 2.0
#: Lines of logs of jobs.
_INTERRUPTED = re.compile(r"^\d\d:\d\d:\d\d interrupted", re.MULTILINE)
_FAILED_SEED = re.compile(r": seed (\d+) failed:")


@dataclass(frozen=True)
class Job:
    """A job that Snakemake will run.

    wildcards: their values. cell, records: of a job that fits runs, and the file that each of them has when it is
    finished, by seed. log: its log. target: it only names files.
    """

    id: int
    stage: str
    wildcards: tuple[str, ...] = ()
    cell: Cell | None = None
    records: Mapping[int, Path] = field(default_factory=dict)
    log: Path | None = None
    target: bool = False

    @property
    def name(self) -> str:
        """Stage and wildcards."""
        return " ".join([self.stage, "/".join(self.wildcards)]).strip()


@dataclass
class _Running:
    """started: time. mark: time at which its last run was finished. finished: seeds of these runs."""

    started: float
    mark: float
    finished: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Status:
    """The state of an execution at a time.

    runs: number of all runs, those that were finished before included. stages: those of running jobs, in order.
    """

    runs: int
    runs_done: int
    runs_running: int
    runs_failed: int
    steps: int
    steps_done: int
    steps_failed: int
    jobs_running: int
    stages: Sequence[str]
    left: TimeLeft


class Tracker:
    """Jobs of an execution and what has become of them.

    stored: number of runs that no job has to fit. slots: number of jobs of a stage that run at a time, None where only
    time tells. order: stages as they follow each other. earlier: durations of earlier executions. modified: a file's
    time of modification, None if there is none.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        stored: int,
        slots: Mapping[str, int | None],
        order: Sequence[str],
        earlier: Durations,
        modified: Callable[[Path], float | None],
    ):
        self.jobs = {job.id: job for job in jobs}
        self._waiting = set(self.jobs)
        self._running: dict[int, _Running] = {}
        self._failed: dict[int, int] = {}
        #: Whether a job ended because it was asked to.
        self.interrupted = False
        self._runs = stored + sum(len(job.records) for job in self.jobs.values())
        self._done = stored
        self._slots, self._order = slots, {stage: position for position, stage in enumerate(order)}
        self._measured = Durations()
        self._sources = (self._measured, earlier)
        self._modified = modified

    def start(self, job_id: int, now: float) -> None:
        """Note that a job was started, or started again after it had failed."""
        if job_id in self.jobs and job_id not in self._running:
            self._waiting.discard(job_id)
            self._failed.pop(job_id, None)
            self._running[job_id] = _Running(now, now)

    def finish(self, job_id: int, now: float) -> None:
        """Note that a job has succeeded: it found or made all its runs."""
        if (running := self._running.get(job_id)) is None:
            return
        job = self.jobs[job_id]
        self._find_finished(job, running)
        self._done += len(job.records) - len(running.finished)
        del self._running[job_id]
        if not job.records:
            self._measured.add_job(job.stage, now - running.started)

    def fail(self, job_id: int) -> None:
        """Note that a job has failed. Its log names the seeds that failed, if there was time to."""
        if (running := self._running.pop(job_id, None)) is None:
            return
        job, log = self.jobs[job_id], _text(self.jobs[job_id].log)
        self._find_finished(job, running)
        if _INTERRUPTED.search(log):
            self.interrupted = True
            self._waiting.add(job_id)
            return
        named = job.records.keys() & {int(seed) for seed in _FAILED_SEED.findall(log)}
        failed = (named or job.records.keys()) - running.finished
        self._failed[job_id] = len(failed)
        # The others were finished before the job started.
        self._done += len(job.records) - len(running.finished) - len(failed)

    def failed(self) -> list[Job]:
        """Return the jobs that have failed and were not started again."""
        return [self.jobs[job_id] for job_id in self._failed]

    def logs_of_failed(self) -> Iterator[str]:
        """Return the texts of the logs of the failed jobs, in the order in which they failed."""
        return (_text(job.log) for job in self.failed())

    def poll(self) -> None:
        """Count the runs that running jobs have finished."""
        for job_id, running in self._running.items():
            self._find_finished(self.jobs[job_id], running)

    def _find_finished(self, job: Job, running: _Running) -> None:
        times = []
        for seed, record in job.records.items():
            if seed not in running.finished:
                time = self._modified(record)
                # A record that is older is of a run that is used again, or will be made again.
                if time is not None and time >= running.started - _SKEW:
                    times.append((time, seed))
        for time, seed in sorted(times):
            assert job.cell is not None
            self._measured.add_runs(job.cell, max(time - running.mark, 0.0))
            running.mark = max(time, running.mark)
            running.finished.add(seed)
            self._done += 1

    def status(self, now: float) -> Status:
        """Return the state at a time."""
        counts = Counter(self.jobs[job_id].stage for job_id in self._running)
        unfinished = len(self._waiting) + len(self._running)
        return Status(
            runs=self._runs,
            runs_done=self._done,
            runs_running=sum(
                1 for job_id, running in self._running.items() if len(running.finished) < len(self.jobs[job_id].records)
            ),
            runs_failed=sum(self._failed.values()),
            steps=len(self.jobs),
            steps_done=len(self.jobs) - unfinished - len(self._failed),
            steps_failed=len(self._failed),
            jobs_running=len(self._running),
            stages=sorted(counts, key=lambda stage: self._order.get(stage, len(self._order))),
            left=time_left(self._work(now)),
        )

    def _work(self, now: float) -> list[Work]:
        """Return what is left of each stage."""
        expected: dict[str, list[float | None]] = {}
        for job_id in self._waiting:
            job = self.jobs[job_id]
            expected.setdefault(job.stage, []).append(self._seconds(job, len(job.records)))
        for job_id, running in self._running.items():
            job = self.jobs[job_id]
            seconds = self._seconds(job, len(job.records) - len(running.finished))
            elapsed = now - (running.mark if job.records else running.started)
            expected.setdefault(job.stage, []).append(None if seconds is None else max(seconds - elapsed, 0.0))
        running_now = Counter(self.jobs[job_id].stage for job_id in self._running)
        works = []
        for stage, jobs in expected.items():
            known = [seconds for seconds in jobs if seconds is not None]
            slots = self._slots.get(stage) or running_now[stage]
            works.append(Work(sum(known) if len(known) == len(jobs) else None, max(known, default=0.0), slots))
        return works

    def _seconds(self, job: Job, runs: int) -> float | None:
        """Return the expected duration of a job that has to fit a number of runs, or has none."""
        if job.target:
            return 0.0
        if job.cell is None:
            return job_seconds(job.stage, self._sources)
        of_run = run_seconds(job.cell, self._sources)
        return None if of_run is None else runs * of_run


def _text(log: Path | None) -> str:
    """Return a log, as far as it can be read."""
    try:
        return log.read_text(encoding="utf-8", errors="replace") if log else ""
    except OSError:
        return ""
