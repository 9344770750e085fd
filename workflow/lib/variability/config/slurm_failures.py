"""Reasons why SLURM ended jobs, in words and with remedies."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Lines in Snakemake's log about a run and about a job: Snakemake's number of it, SLURM's number, and its log.
RUN = re.compile(r"SLURM run ID: (?P<run>\S+)")
SUBMITTED = re.compile(r"Job (?P<job>\S+) has been submitted with SLURM jobid (?P<id>\d+) \(log: (?P<log>.*)\)\.")

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
    """How SLURM describes a job. limit, memory: what it had requested, as SLURM prints it."""

    name: str
    limit: str
    memory: str


def run_id(log: str) -> str | None:
    """Return the name that SLURM's jobs have in a run of Snakemake; None if it submitted none. log: text of its log."""
    found = RUN.search(log)
    return found["run"] if found else None


def last_submissions(log: str) -> list[Submission]:
    """Return the last attempt of each job. log: text of Snakemake's log."""
    last = {match["job"]: match for match in SUBMITTED.finditer(log)}
    return [Submission(match["id"], _name(match["log"]), match["log"]) for match in last.values()]


def parse_states(listed: str) -> dict[str, State]:
    """Read the lines ``number|state|time limit|memory`` of squeue or sacct. States of sacct may have more words."""
    rows = [line.split("|") for line in listed.splitlines() if line.count("|") == 3]
    return {row[0]: State(row[1].split(" ")[0], row[2], row[3]) for row in rows}


def explain(submissions: Iterable[Submission], states: Mapping[str, State]) -> str:
    """Return a paragraph about the jobs that SLURM ended; empty if it ended none."""
    lines = []
    for submission in submissions:
        state = states.get(submission.id)
        if state is not None and state.name in REMEDIES:
            reason = REMEDIES[state.name].format(limit=state.limit, memory=state.memory)
            lines.append(f"SLURM job {submission.id} ({submission.name}) {reason} ({state.name}; {submission.log})")
    return "\n".join([*lines, RESUMES]) if lines else ""


def _name(log: str) -> str:
    """Return ``rule wildcards``, or ``group``, from the path of a job's log: .../rule_finetune/model_task/12.log."""
    folders = log.split("/slurm_logs/")[-1].split("/")[:-1]
    return " ".join(re.sub(r"^(rule|group)_", "", folder) for folder in folders)
