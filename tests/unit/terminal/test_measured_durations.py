import pytest

from variability.terminal.durations import Durations, TimeLeft, Work, job_seconds, run_seconds, time_left


def durations(*runs: tuple[str, float, int]) -> Durations:
    result = Durations()
    for cell, seconds, n in runs:
        model, task, method = cell.split("/")
        result.add_runs((model, task, method), seconds, n)
    return result


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("a/x/full", 2),  # measured: 10 s for 5 runs
        ("a/y/full", 2),  # another task of the same model and method
        ("b/x/full", 4),  # the same method: 10 + 30 s for 10 runs
        ("b/x/probe", 4.5),  # all runs: 45 s for 10
    ],
)
def test_a_run_takes_as_long_as_the_most_similar_runs(cell, seconds):
    measured = {
        "b/x/probe": durations(("a/x/full", 10, 5), ("c/x/full", 35, 5)),
    }.get(cell, durations(("a/x/full", 10, 5), ("c/x/full", 30, 5)))
    assert run_seconds(tuple(cell.split("/")), [measured]) == seconds


def test_an_equal_cell_of_an_earlier_execution_comes_before_another_cell_of_this_one():
    this, earlier = durations(("a/x/full", 1, 1)), durations(("a/y/full", 7, 1))
    assert run_seconds(("a", "y", "full"), [this, earlier]) == 7
    assert run_seconds(("a", "x", "full"), [this, earlier]) == 1


def test_nothing_is_expected_without_a_measurement():
    assert run_seconds(("a", "x", "full"), [Durations()]) is None
    jobs = Durations()
    jobs.add_job("plot", 3)
    jobs.add_job("plot", 5)
    assert job_seconds("plot", [Durations(), jobs]) == 4 and job_seconds("page", [jobs]) is None


def test_jobs_share_the_slots_and_the_longest_is_the_least_that_they_take():
    assert time_left([Work(100, 10, 4)]) == TimeLeft(25)
    assert time_left([Work(100, 60, 4), Work(5, 5)]) == TimeLeft(65)


def test_what_is_unknown_makes_the_rest_a_limit_and_alone_is_unknown():
    assert time_left([Work(100, 10, 4), Work(None)]) == TimeLeft(25, complete=False)
    assert time_left([Work(0.0), Work(None)]) == TimeLeft(None, complete=False)
    assert time_left([]) == TimeLeft(0)
