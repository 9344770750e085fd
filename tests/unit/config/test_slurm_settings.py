"""Facts of a cluster, read from what SLURM's programs print, and programs that fail or are missing."""

import pytest

from variability.config import slurm
from variability.config.slurm import JobRecords
from variability.errors import UserError

CONFIG = """Configuration data as of 2026-11-28T10:00:00
AccountingStorageBackupHost = (null)
AccountingStorageType   = {storage}
MinJobAge               = {age}
Slurmctld(primary) at node is UP
"""


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("(null)\n", False),
        ("", False),
        ("gpu:2\n", True),
        ("(null)\ngpu:a100:4(S:0-1)\n", True),
        ("license:gpu:1\n", False),
        ("shard:8,gpu:1\n", True),
        ("gpumem:80\n", False),
    ],
)
def test_gpus_are_generic_resources_of_this_name(listed, expected):
    assert slurm.lists_gpus(listed) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SLURM_JOB_ID": "7"}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS": "0"}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "0", "SLURM_GPUS_ON_NODE": "1"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "GPU-8f0c"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "2"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "0"}, False),
    ],
)
def test_a_job_sees_whether_it_got_a_gpu(environ, expected):
    assert slurm.in_job(environ)
    assert slurm.got_gpu(environ) is expected


@pytest.mark.parametrize(
    ("storage", "age", "expected"),
    [
        ("accounting_storage/slurmdbd", "300 sec", JobRecords(True, 300)),
        ("accounting_storage/none", "43200 sec", JobRecords(False, 43200)),
        ("(null)", "2 sec", JobRecords(False, 2)),
    ],
)
def test_settings_of_a_cluster(storage, age, expected):
    assert slurm.parse_job_records(CONFIG.format(storage=storage, age=age)) == expected


@pytest.mark.parametrize(
    ("records", "wanted", "first_pause", "expected"),
    [
        (JobRecords(True, 300), "sacct", 40, "sacct"),
        (JobRecords(True, 300), "squeue", 5, "squeue"),
        # Between two questions up to 180 s pass: squeue would not list a job that ended in between.
        (JobRecords(True, 100), "squeue", 5, "sacct"),
        (JobRecords(False, 300), "sacct", 40, "squeue"),
        (JobRecords(False, 300), None, 40, "squeue"),
        # The executor falls back to sacct itself if it first asks after more than a third of MinJobAge.
        (JobRecords(True, 300), "squeue", 101, "sacct"),
    ],
)
def test_the_command_that_shows_the_end_of_every_job(records, wanted, first_pause, expected):
    assert slurm.status_command(records, wanted, first_pause) == expected


def test_a_cluster_on_which_snakemake_would_wait_forever_is_refused():
    with pytest.raises(UserError, match=r"forgets finished jobs after 30 s .* MinJobAge of 300 or more"):
        slurm.status_command(JobRecords(False, 30), "squeue", 5)
    with pytest.raises(UserError, match="slurm-init-seconds-before-status-checks in the profile to 100 or less"):
        slurm.status_command(JobRecords(False, 300), "squeue", 200)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program on the path, alone, that prints or does something."""
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.has_gpus.cache_clear()

    def write(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    yield write
    slurm.has_gpus.cache_clear()


def test_gpus_are_requested_unless_slurm_says_that_there_are_none(program):
    program("sinfo", "echo '(null)'")
    assert not slurm.has_gpus()


@pytest.mark.parametrize("script", ["echo gpu:2", "exit 1", None])
def test_gpus_are_requested_if_slurm_does_not_answer(program, script):
    if script:
        program("sinfo", script)
    assert slurm.has_gpus()


def test_states_of_jobs_come_from_accounting_where_squeue_has_forgotten_them(program):
    program("squeue", 'echo "12|RUNNING|4:00:00|4000M|3:00"; echo "13|TIMEOUT|4:00:00|4000M|3:00"')
    program("sacct", 'echo "11|CANCELLED by 1000|04:00:00|4000M|3:00"; echo "12|PENDING|04:00:00|4000M|3:00"')
    states = slurm.job_states("run")
    assert {number: state.name for number, state in states.items()} == {
        "11": "CANCELLED",
        "12": "RUNNING",
        "13": "TIMEOUT",
    }


def test_states_of_jobs_without_accounting(program):
    program("squeue", 'echo "13|TIMEOUT|4:00:00|4000M|3:00"')
    program("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.job_states("run")["13"].limit == "4:00:00"


def test_settings_are_unknown_where_there_is_no_slurm(program):
    assert slurm.job_records() is None
