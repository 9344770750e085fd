import io
import logging

import pytest

from variability.terminal import follower as module
from variability.terminal.durations import Durations
from variability.terminal.follower import RUNNING, STREAM, SUBMITTED, Follower
from variability.terminal.tracker import Job, Tracker

STATISTICS = {"prepare": 2, "plot": 1, "total": 3}


class Snakemake:
    """A logger with the handler and the events of Snakemake. clock: seconds, which only the test moves."""

    def __init__(self, follower: Follower):
        self.logger = logging.Logger("snakemake", logging.INFO)
        self.stream = logging.StreamHandler(io.StringIO())
        self.stream.name = STREAM
        self.stream.setFormatter(logging.Formatter("%(message)s"))
        vars(self.stream.formatter)["show_failed_logs"] = True
        self.logger.addHandler(self.stream)
        self.follower = follower
        follower.attach(self.logger)

    def log(self, message: str, event: str | None = None, level: int = logging.INFO, **facts: object) -> None:
        self.logger.log(level, message, extra=facts | ({"event": event} if event else {}))

    def follow(self, *jobs: Job, verb: str = RUNNING) -> None:
        self.follower.follow(Tracker(jobs, 0, {}, (), Durations(), lambda path: None), verb)

    def run(self, number: int, done: int, total: int) -> None:
        self.log("rule", "job_info", jobid=number)
        self.log(f"Finished {number}", "job_finished", job_id=number)
        self.log("", "progress", done=done, total=total)

    @property
    def printed(self) -> list[str]:
        return self.stream.stream.getvalue().splitlines()


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    for name in ("monotonic", "time"):
        monkeypatch.setattr(module.time, name, lambda: now[0])
    return now


@pytest.fixture
def follower(request):
    dry_run, quiet = getattr(request, "param", (False, False))
    with_handler = Follower(dry_run, quiet)
    yield with_handler
    with_handler.close()


DRY_RUN, QUIET = (True, False), (False, True)


@pytest.mark.parametrize("follower", [DRY_RUN], indirect=True)
def test_a_dry_run_ends_with_its_table_which_replaces_the_second_statistics(follower):
    snakemake = Snakemake(follower)
    follower.ending = lambda: f"table of {list(follower.planned)}"
    snakemake.log("statistics", "run_info", stats=STATISTICS)
    snakemake.log("rule prepare")
    snakemake.log("statistics", "run_info", stats=STATISTICS)
    snakemake.log("This was a dry-run")
    follower.close()
    follower.close()  # by Python's logging, at exit
    assert snakemake.printed == ["statistics", "rule prepare", "This was a dry-run", "table of ['prepare', 'plot']"]


@pytest.mark.parametrize("follower", [DRY_RUN], indirect=True)
def test_nothing_is_planned_where_planning_failed(follower):
    snakemake = Snakemake(follower)
    snakemake.log("statistics", "run_info", stats=STATISTICS)
    snakemake.log("no such file", level=logging.ERROR)
    assert follower.planned == {}


def test_an_ending_that_fails_is_reported_and_does_not_raise(follower):
    snakemake = Snakemake(follower)
    follower.ending = lambda: {}["table"]
    follower.close()
    assert snakemake.printed == ["The end of this output could not be made: KeyError: 'table'"]


def test_plain_lines_take_the_place_of_counts_of_steps_and_are_not_more_often_than_every_few_seconds(
    follower, clock, capsys
):
    snakemake = Snakemake(follower)
    snakemake.follow(*(Job(number, "plot") for number in range(1, 5)))
    for number, time in [(1, 6), (2, 8), (3, 12), (4, 12)]:
        clock[0] = time
        snakemake.run(number, done=number, total=4)
    assert capsys.readouterr().err.splitlines() == [
        "1 of 4 steps (25%) done | ETA 0 s",
        "3 of 4 steps (75%) done | ETA 0 s",
        "4 of 4 steps (100%) done",
    ]
    assert [line for line in snakemake.printed if line.startswith("Finished")] == [f"Finished {n}" for n in range(1, 5)]
    assert "" not in snakemake.printed


@pytest.mark.parametrize("follower", [QUIET], indirect=True)
def test_who_wants_no_progress_gets_none(follower, clock, capsys):
    snakemake = Snakemake(follower)
    snakemake.follow(Job(1, "plot"))
    clock[0] = 100
    snakemake.run(1, done=1, total=1)
    assert capsys.readouterr().err == "" and follower.tracker is None


def test_the_output_of_a_plug_in_is_left_alone(follower, capsys):
    logger = logging.Logger("snakemake")
    follower.attach(logger)
    follower.follow(Tracker([], 0, {}, (), Durations(), lambda path: None), RUNNING)
    assert follower.tracker is None and logger.handlers == [follower]


@pytest.mark.parametrize(("verb", "printed_again"), [(RUNNING, False), (SUBMITTED, True)])
def test_logs_that_jobs_of_this_machine_have_printed_are_not_printed_again(follower, verb, printed_again):
    snakemake = Snakemake(follower)
    snakemake.follow(Job(1, "plot"), verb=verb)
    assert vars(snakemake.stream.formatter)["show_failed_logs"] is printed_again


@pytest.mark.parametrize(("value", "colors"), [("1", False), ("", True)])
def test_no_color_is_respected(follower, monkeypatch, value, colors):
    monkeypatch.setenv("NO_COLOR", value)
    assert vars(Snakemake(follower).stream).get("nocolor", False) is not colors


def test_after_an_interruption_errors_of_ended_jobs_are_left_out_and_others_shown(follower, clock):
    snakemake = Snakemake(follower)
    snakemake.follow(Job(1, "plot"))
    snakemake.log("before", "error", level=logging.ERROR, exception="WorkflowError")
    assert not follower.interrupted
    follower.interrupt()
    assert follower.interrupted
    snakemake.log("Error in rule plot", "job_error", jobid=1, level=logging.ERROR)
    snakemake.log("exit status 130", "error", level=logging.ERROR, exception="RuleException")
    snakemake.log("Exiting because a job execution failed.", level=logging.ERROR)
    snakemake.log("no space left", "error", level=logging.ERROR, exception="OSError")
    snakemake.log("Will exit after finishing currently running jobs (scheduler).")
    snakemake.log("Shutting down")
    assert snakemake.printed == ["before", "no space left", "Shutting down"]


def test_a_job_that_alone_was_asked_to_end_makes_an_interruption(follower, clock, tmp_path):
    log = tmp_path / "plot.log"
    log.write_text("12:00:00 interrupted by SIGTERM; run the same command again to continue\n")
    snakemake = Snakemake(follower)
    snakemake.follow(Job(1, "plot", log=log))
    snakemake.log("rule", "job_info", jobid=1)
    snakemake.log("Error", "job_error", jobid=1, level=logging.ERROR)
    assert follower.interrupted and not follower.tracker.failed()


def test_failed_and_restarted_jobs_are_noted(follower, clock):
    snakemake = Snakemake(follower)
    snakemake.follow(Job(1, "plot", ("a",)), Job(2, "plot", ("b",)))
    for number in (1, 2):
        snakemake.log("rule", "job_info", jobid=number)
        snakemake.log("Error", "job_error", jobid=number, level=logging.ERROR)
    snakemake.log("rule", "job_info", jobid=2)
    assert [job.name for job in follower.tracker.failed()] == ["plot a"]
