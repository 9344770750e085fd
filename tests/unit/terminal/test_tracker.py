import pytest

from variability.terminal.durations import Durations, TimeLeft
from variability.terminal.tracker import Job, Tracker

CELL = ("resnet", "cifar", "full")


class Files(dict):
    """Times of modification by file; ``finish`` writes the record of a seed."""

    def finish(self, job: Job, seed: int, time: float) -> None:
        self[job.records[seed]] = time


def fitting(folder, number=1, seeds=(0, 1, 2)) -> Job:
    log = folder / f"{number}.log"
    return Job(number, "finetune", (*CELL, "0"), CELL, {seed: folder / f"{number}-{seed}" for seed in seeds}, log)


@pytest.fixture
def files() -> Files:
    return Files()


def tracker(files: Files, *jobs: Job, stored: int = 0, slots: int | None = 2, earlier=None) -> Tracker:
    order = ("prepare", "finetune", "plot", "all")
    stages = {job.stage: slots for job in jobs}
    return Tracker(jobs, stored, stages, order, earlier or Durations(), files.get)


def test_runs_count_when_their_records_are_written_not_when_their_job_ends(files, tmp_path):
    job = fitting(tmp_path)
    followed = tracker(files, job, stored=4)
    followed.start(1, now=100)
    files.finish(job, 0, 110)
    followed.poll()
    status = followed.status(now=112)
    assert (status.runs, status.runs_done, status.runs_running, status.runs_failed) == (7, 5, 1, 0)
    assert (status.steps_done, status.steps, status.stages) == (0, 1, ["finetune"])
    # Two more runs of 10 s, one of which began 2 s ago.
    assert status.left == TimeLeft(18)


def test_records_of_before_are_of_runs_that_are_used_again_or_made_again(files, tmp_path):
    job = fitting(tmp_path)
    files.finish(job, 0, 50)
    followed = tracker(files, job)
    followed.start(1, now=100)
    followed.poll()
    assert followed.status(100).runs_done == 0
    files.finish(job, 1, 110)
    files.finish(job, 2, 120)
    followed.finish(1, now=121)
    status = followed.status(121)
    assert (status.runs_done, status.runs_failed, status.steps_done) == (3, 0, 1)


def test_a_run_counts_once_however_often_its_record_is_looked_at(files, tmp_path):
    job = fitting(tmp_path)
    followed = tracker(files, job)
    followed.start(1, now=100)
    files.finish(job, 0, 110)
    for _ in range(3):
        followed.poll()
    followed.start(1, now=111)  # Snakemake's event of a job that is running already
    followed.poll()
    assert followed.status(111).runs_done == 1


def test_the_log_of_a_failed_job_names_the_seeds_that_failed(files, tmp_path):
    job = fitting(tmp_path)
    followed = tracker(files, job)
    followed.start(1, now=100)
    files.finish(job, 2, 120)
    job.log.write_text("12:00:00 resnet / cifar / full: seed 1 failed:\nno image\n")
    followed.fail(1)
    status = followed.status(121)
    # Seed 0 was finished before.
    assert (status.runs_done, status.runs_failed, status.steps_failed, status.jobs_running) == (2, 1, 1, 0)
    assert [failed.name for failed in followed.failed()] == ["finetune resnet/cifar/full/0"]


def test_without_a_log_all_runs_that_were_not_finished_have_failed_until_the_job_starts_again(files, tmp_path):
    job = fitting(tmp_path)
    followed = tracker(files, job)
    followed.start(1, now=100)
    files.finish(job, 0, 110)
    followed.fail(1)
    followed.fail(1)  # Snakemake reports a job twice
    assert (followed.status(111).runs_done, followed.status(111).runs_failed) == (1, 2)
    followed.start(1, now=120)
    assert followed.status(121).runs_failed == 0 and not followed.failed()


def test_an_interrupted_job_has_not_failed(files, tmp_path):
    job = fitting(tmp_path)
    followed = tracker(files, job)
    followed.start(1, now=100)
    job.log.write_text("12:00:00 interrupted by SIGINT in a run; state saved\n")
    followed.fail(1)
    status = followed.status(101)
    assert (status.runs_failed, status.steps_failed, status.steps_done) == (0, 0, 0)


def test_the_time_left_is_unknown_until_something_was_measured_here_or_earlier(files, tmp_path):
    jobs = [fitting(tmp_path), Job(2, "plot"), Job(3, "all", target=True)]
    assert tracker(files, *jobs).status(0).left == TimeLeft(None, complete=False)
    earlier = Durations()
    earlier.add_runs(CELL, 30, 3)
    assert tracker(files, *jobs, earlier=earlier).status(0).left == TimeLeft(30, complete=False)
    earlier.add_job("plot", 7)
    assert tracker(files, *jobs, earlier=earlier).status(0).left == TimeLeft(37)


def test_stages_are_named_in_the_order_of_the_pipeline(files, tmp_path):
    jobs = [Job(1, "plot"), fitting(tmp_path, 2), Job(3, "prepare")]
    followed = tracker(files, *jobs)
    for job in jobs:
        followed.start(job.id, now=0)
    assert followed.status(0).stages == ["prepare", "finetune", "plot"]


def test_on_a_cluster_as_many_jobs_run_at_a_time_as_do_now(files, tmp_path):
    jobs = [fitting(tmp_path, number) for number in range(1, 7)]
    earlier = Durations()
    earlier.add_runs(CELL, 10, 1)
    followed = tracker(files, *jobs, slots=None, earlier=earlier)
    for number in (1, 2, 3):
        followed.start(number, now=0)
    # 18 runs of 10 s in three jobs at a time.
    assert followed.status(0).left == TimeLeft(60)
