"""Sentences about jobs that SLURM ended, from lines of Snakemake's log and of squeue."""

import pytest

from variability.config import slurm_failures
from variability.config.slurm_failures import State

LOG = """SLURM run ID: f58c619c-dc76-49be-8b97-72060fcee350
Job 5 has been submitted with SLURM jobid 13 (log: /w/.snakemake/slurm_logs/rule_finetune/resnet_digits_full_0/13.log).
Error in rule finetune:
Trying to restart job 5.
Job 5 has been submitted with SLURM jobid 15 (log: /w/.snakemake/slurm_logs/rule_finetune/resnet_digits_full_0/15.log).
Job 7e25b2ca-e0c2 has been submitted with SLURM jobid 16 (log: /w/.snakemake/slurm_logs/group_train/16.log).
Job 9 has been submitted with SLURM jobid 17 (log: /w/.snakemake/slurm_logs/rule_prepare/digits/17.log).
"""


def explained(listed):
    states = slurm_failures.parse_states(listed)
    return slurm_failures.explain(slurm_failures.last_submissions(LOG), states)


def test_the_run_is_known_by_its_name_in_slurm():
    assert slurm_failures.run_id(LOG) == "f58c619c-dc76-49be-8b97-72060fcee350"
    assert slurm_failures.run_id("Finished jobid: 3\n") is None


def test_the_last_attempt_of_each_job_counts():
    submissions = slurm_failures.last_submissions(LOG)
    assert [(job.id, job.name) for job in submissions] == [
        ("15", "finetune resnet_digits_full_0"),
        ("16", "train"),
        ("17", "prepare digits"),
    ]


def test_timeout_names_the_limit_and_the_key_to_raise():
    text = explained("13|TIMEOUT|4:00:00|4000M|3:00\n15|TIMEOUT|8:00:00|8000M|8:00:05\n17|COMPLETED|30:00|4000M|3:00\n")
    sentence, last = text.splitlines()
    assert sentence.startswith("SLURM job 15 (finetune resnet_digits_full_0) reached its time limit, 8:00:00,")
    assert "`compute: runtime`" in sentence and "TIMEOUT" in sentence
    assert "same command again" in last


def test_memory_names_the_request_and_the_key_to_raise():
    text = explained("16|OUT_OF_MEMORY|4:00:00|4000M|3:00\n")
    assert "SLURM job 16 (train) needed more memory than it requested, 4000M," in text
    assert "`compute: mem_mb`" in text and "OUT_OF_MEMORY" in text


def test_states_of_accounting_have_more_words():
    assert slurm_failures.parse_states("16|CANCELLED by 1000|04:00:00|4000M|00:03:00") == {
        "16": State("CANCELLED", "04:00:00", "4000M", "00:03:00")
    }
    assert "(train) was cancelled" in explained("16|CANCELLED by 1000|04:00:00|4000M|00:03:00")


def test_a_failure_of_the_job_itself_is_explained_by_its_own_log():
    assert explained("15|FAILED|4:00:00|4000M|3:00\n16|COMPLETED|4:00:00|4000M|3:00\n") == ""
    assert explained("squeue: error: nothing\n") == ""


def test_a_job_that_fails_just_before_its_limit_was_warned_of_it():
    assert "reached its time limit, 1-02:00:00," in explained("15|FAILED|1-02:00:00|4000M|1-01:58:10\n")
    assert "reached its time limit, 10:00," in explained("15|FAILED|10:00|4000M|8:10\n")
    assert explained("15|FAILED|1-02:00:00|4000M|1-01:56:00\n") == ""
    assert explained("15|FAILED|2:00|4000M|0:10\n") == ""
    assert explained("15|FAILED|UNLIMITED|4000M|9:10\n") == ""


@pytest.mark.parametrize(
    ("line", "memory"),
    [
        ("slurmstepd-vm: error: StepId=50.batch exceeded memory limit (160215040 > 104857600), being killed", True),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=50.0. Some of the step tasks have been OOM Killed.",
            True,
        ),
        ("srun: error: node3: task 0: Out Of Memory", True),
        ("slurmstepd: error: *** JOB 50 ON vm CANCELLED AT 2026-11-28T18:47:01 ***", False),
        ("torch.OutOfMemoryError: CUDA out of memory", False),
    ],
)
def test_memory_of_a_step_is_reported_in_the_log_of_the_job(tmp_path, line, memory):
    log = tmp_path / "50.log"
    log.write_text(f"first line\n{line}\nlast line\n")
    job = slurm_failures.Submission("50", "pretrain", str(log))
    text = slurm_failures.explain([job], {"50": State("FAILED", "4:00:00", "100M", "0:05")})
    assert ("needed more memory than it requested, 100M" in text) is memory


@pytest.mark.parametrize(("state", "limit"), [("FAILED", True), ("CANCELLED", False), ("PREEMPTED", False)])
def test_a_job_that_saved_its_state_and_failed_was_at_its_limit(tmp_path, state, limit):
    log = tmp_path / "50.log"
    log.write_text("18:58:23 interrupted by SIGUSR1 in pretraining small on letters before epoch 1; state saved; ...\n")
    job = slurm_failures.Submission("50", "pretrain", str(log))
    text = slurm_failures.explain([job], {"50": State(state, "1:00", "100M", "0:26")})
    assert ("reached its time limit, 1:00," in text) is limit
