"""Reasons why SLURM ended jobs, in words and with remedies."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Lines in Snakemake's log about a run and about a job: Snakemake's number of it, SLURM's number, and its log.
RUN = re.compile(r"SLURM run ID: (?P<run>\S+)")
SUBMITTED = re.compile(r"Job (?P<job>\S+) has been submitted with SLURM jobid (?P<id>\d+) \(log: (?P<log>.*)\)\.")

#: Seconds before its limit in which a job that fails is taken to have ended on SLURM's warning.
WARNED = 180

#: What SLURM writes to the log of a job whose memory it limits by itself, or by cgroups.
OUT_OF_MEMORY = re.compile(
    r"^(?:slurmstepd\S*|srun): error: .*(?:exceeded (?:job |step )?memory limit|oom.?kill|out of memory)",
    re.IGNORECASE | re.MULTILINE,
)
#: What a job writes when SLURM warns it. (If it is cancelled or preempted, this is its state.)
WARNING = re.compile(r"interrupted by SIG(?:TERM|USR1)\b")

RESUMES = "Finished runs and saved states are kept: run the same command again to continue."
MORE = "{resource} in the config (training and predicting) or in the profile (other rules)"
REMEDIES = {
    "TIMEOUT": "reached its time limit, {limit}, and was stopped; raise "
    + MORE.format(resource="`compute: runtime`")
    + ", or lower `compute: seeds_per_job`",
    "OUT_OF_MEMORY": "needed more memory than it requested, {memory}, and was stopped; raise "
    + MORE.format(resource="`compute: mem_mb`"),
    "NODE_FAIL": "was lost with its node",
    "PREEMPTED": "gave way to another job; with slurm-requeue: true in the profile, SLURM starts it again",
    "CANCELLED": "was cancelled, by scancel or by the cluster",
    "DEADLINE": "could not end before its deadline; lower the `runtime` that it requests",
    "BOOT_FAIL": "was lost, because its node did not start",
}


@dataclass(frozen=True)
class Submission:
    """A job that was submitted. name: of its rule or group, and its wildcards. log: of SLURM."""

    id: str
    name: str
    log: str


@dataclass(frozen=True)
class State:
    """Description of a job as SLURM prints it. limit, memory: what it requested. elapsed: the time that it ran."""

    name: str
    limit: str
    memory: str
    elapsed: str


def run_id(log: str) -> str | None:
    """Return the name that SLURM's jobs have in a run of Snakemake; None if it submitted none. log: text of its log."""
    found = RUN.search(log)
    return found["run"] if found else None


def last_submissions(log: str) -> list[Submission]:
    """Return the last attempt of each job. log: text of Snakemake's log."""
    last = {match["job"]: match for match in SUBMITTED.finditer(log)}
    return [Submission(match["id"], _name(match["log"]), match["log"]) for match in last.values()]


def parse_states(listed: str) -> dict[str, State]:
    """Read the lines ``number|state|time limit|memory|time``. States of sacct may have more words."""
    rows = [line.split("|") for line in listed.splitlines() if line.count("|") == 4]
    return {number: State(state.split(" ")[0], *columns) for number, state, *columns in rows}


def explain(submissions: Iterable[Submission], states: Mapping[str, State]) -> str:
    """Return a paragraph about the jobs that SLURM ended; empty if it ended none."""
    lines = []
    for submission in submissions:
        state = states.get(submission.id)
        if state is not None and (reason := _reason(state, Path(submission.log))) in REMEDIES:
            remedy = REMEDIES[reason].format(limit=state.limit, memory=state.memory)
            lines.append(f"SLURM job {submission.id} ({submission.name}) {remedy} ({reason}; {submission.log})")
    return "\n".join([*lines, RESUMES]) if lines else ""


def _reason(state: State, log: Path) -> str:
    """Return the state of a job, or what made it fail.

    Its state is FAILED, too, if one of its steps got out of memory, or if it ended by itself when SLURM warned it. This
    is in its log, or else it ended in the last minutes, and the last fifth, of its time.
    """
    if state.name != "FAILED":
        return state.name
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if OUT_OF_MEMORY.search(text):
        return "OUT_OF_MEMORY"
    if WARNING.search(text):
        return "TIMEOUT"
    limit, elapsed = _seconds(state.limit), _seconds(state.elapsed)
    if limit is not None and elapsed is not None and elapsed > limit - min(WARNED, limit / 5):
        return "TIMEOUT"
    return state.name


def _name(log: str) -> str:
    """Return ``rule wildcards``, or ``group``, from the path of a job's log: .../rule_finetune/model_task/12.log."""
    folders = log.split("/slurm_logs/")[-1].split("/")[:-1]
    return " ".join(re.sub(r"^(rule|group)_", "", folder) for folder in folders)


def _seconds(time: str) -> int | None:
    """Return the seconds of ``days-hours:minutes:seconds``, of which the first parts may be missing; None otherwise."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", time)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
