"""Facts of a SLURM cluster: whether it has GPUs, and how Snakemake can learn that a job has ended."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from variability.config.slurm_failures import State, parse_states
from variability.errors import UserError

#: Most seconds between two questions of the executor for the states of jobs: SLURM must remember jobs for longer.
LONGEST_PAUSE = 180


# GPUs -------------------------------------------------------------------------------------------------------------


@cache
def has_gpus() -> bool:
    """Return whether a node of the cluster has GPUs; also true if SLURM does not answer."""
    listed = _output("sinfo", "--noheader", "--format=%G")
    return listed is None or lists_gpus(listed)


def lists_gpus(gres: str) -> bool:
    """Return whether the generic resources of any node contain GPUs. gres: a line per node, as sinfo prints them."""
    return any(entry.strip().split(":")[0] == "gpu" for line in gres.splitlines() for entry in line.split(","))


def in_job(environ: Mapping[str, str]) -> bool:
    """Return whether this process is part of a job."""
    return "SLURM_JOB_ID" in environ


def got_gpu(environ: Mapping[str, str]) -> bool:
    """Return whether the job that this process is part of got a GPU."""
    return bool(environ.get("SLURM_JOB_GPUS")) or environ.get("SLURM_GPUS_ON_NODE", "0") != "0"


# States of jobs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobRecords:
    """Memory of SLURM for finished jobs. accounting: in a database. seconds: in its own memory (MinJobAge)."""

    accounting: bool
    seconds: int


def job_records() -> JobRecords | None:
    """Return the cluster's settings; None if SLURM does not answer."""
    settings = _output("scontrol", "show", "config")
    return None if settings is None else parse_job_records(settings)


def parse_job_records(settings: str) -> JobRecords:
    """Read the settings from the output of ``scontrol show config``."""
    values = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", settings, re.MULTILINE))
    age = re.match(r"\d+", values.get("MinJobAge", ""))
    storage = values.get("AccountingStorageType", "")
    return JobRecords("slurmdbd" in storage, int(age[0]) if age else 0)


def status_command(records: JobRecords, wanted: str | None, first_pause: int) -> str:
    """Return the command, sacct or squeue, that shows the end of every job.

    wanted: the command in the executor's settings. first_pause: seconds before the executor first asks for the states.
    It uses sacct in place of squeue if SLURM remembers jobs for less than three times that long.

    Raises UserError if no command does: Snakemake would wait forever for a job that has ended.
    """
    squeue_is_enough = records.seconds > LONGEST_PAUSE and records.seconds >= 3 * first_pause
    if squeue_is_enough and (wanted == "squeue" or not records.accounting):
        return "squeue"
    if records.accounting:
        return "sacct"
    message = (
        f"this cluster has no accounting and forgets finished jobs after {records.seconds} s (MinJobAge), "
        "so Snakemake could wait forever for jobs that have ended"
    )
    if records.seconds > LONGEST_PAUSE:
        most = records.seconds // 3
        raise UserError(f"{message}; set slurm-init-seconds-before-status-checks in the profile to {most} or less")
    raise UserError(f"{message}; ask its administrators for a MinJobAge of 300 or more")


def job_states(run: str) -> dict[str, State]:
    """Return how the jobs of a run of Snakemake ended, by number. run: their name."""
    squeue = _output("squeue", "--states=all", "--noheader", f"--name={run}", "--format=%i|%T|%l|%m|%M")
    sacct = _output(
        "sacct", "-X", "--parsable2", "--noheader", f"--name={run}", "--format=JobIDRaw,State,Timelimit,ReqMem,Elapsed"
    )
    return parse_states(sacct or "") | parse_states(squeue or "")


def _output(program: str, *arguments: str) -> str | None:
    """Return what a program prints; None if it is missing, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        # A controller that is down makes SLURM's programs wait for minutes.
        return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
