from dataclasses import replace

import pytest

from variability.terminal.durations import TimeLeft
from variability.terminal.status_words import duration, live_line, plain_line
from variability.terminal.tracker import Status

STATUS = Status(
    runs=120,
    runs_done=37,
    runs_running=2,
    runs_failed=1,
    steps=41,
    steps_done=15,
    steps_failed=1,
    jobs_running=3,
    stages=["finetune", "score"],
    left=TimeLeft(840.0),
)


def test_the_line_has_runs_time_steps_and_stages():
    line = "37/120 runs done, 2 running, 1 failed | ETA 14 min | step 15/41 | finetune, score"
    assert live_line(STATUS, 100) == line
    assert live_line(STATUS, 100, "submitted").startswith("37/120 runs done, 2 submitted, 1 failed |")


@pytest.mark.parametrize("width", [*range(1, 90), 200])
def test_the_line_fits_into_every_terminal_and_leaves_its_last_column_free(width):
    line = live_line(STATUS, width)
    assert len(line) <= max(width - 1, 1) and line.isascii() and line.isprintable()


def test_what_matters_least_is_left_out_first():
    assert live_line(STATUS, 75) == "37/120 runs done, 2 running, 1 failed | ETA 14 min | finetune, score"
    assert live_line(STATUS, 60) == "37/120 runs done, 2 running, 1 failed | ETA 14 min"
    assert live_line(STATUS, 45) == "37/120 runs done, 2 running, 1 failed"


def test_a_study_without_runs_counts_its_steps():
    imported = replace(STATUS, runs=0, runs_done=0, runs_running=0, runs_failed=0, steps=9, steps_done=3)
    assert live_line(imported, 100) == "3/9 steps done, 3 running, 1 failed | ETA 14 min | finetune, score"
    assert plain_line(imported) == "3 of 9 steps (33%) done | ETA 14 min"


def test_a_failed_step_without_runs_is_not_hidden():
    failed = replace(STATUS, runs_failed=0)
    assert "0 failed, steps failed: 1 |" in live_line(failed, 100)


def test_plain_lines_begin_as_those_of_snakemake():
    assert plain_line(STATUS) == ("15 of 41 steps (36%) done | 37/120 runs done, 2 running, 1 failed | ETA 14 min")
    ended = replace(STATUS, steps_done=41, runs_done=119, runs_running=0)
    assert plain_line(ended) == "41 of 41 steps (100%) done | 119/120 runs done, 0 running, 1 failed"


def test_the_time_is_unknown_or_a_limit_where_it_is():
    assert "ETA unknown" in live_line(replace(STATUS, left=TimeLeft(None, complete=False)), 100)
    assert "ETA over 14 min" in live_line(replace(STATUS, left=TimeLeft(840.0, complete=False)), 100)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (9.1, "10 s"),
        (11, "15 s"),
        (59, "60 s"),
        (89, "1 min"),
        (3599, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (86_399, "1 d 0 h"),
        (3 * 86_400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations_are_as_exact_as_estimates_can_be(seconds, words):
    assert duration(seconds) == words


def test_the_time_is_left_out_where_it_is_0_or_unknown_after_the_last_run():
    last = replace(STATUS, runs_done=119, runs_running=0, left=TimeLeft(None, complete=False))
    counts = "119/120 runs done, 0 running, 1 failed"
    assert live_line(last, 100) == f"{counts} | step 15/41 | finetune, score"
    assert live_line(replace(last, left=TimeLeft(9.0)), 100).startswith(f"{counts} | ETA 9 s |")
    assert "ETA unknown" in live_line(replace(last, runs_done=118), 100)
    ended = replace(STATUS, steps_done=41, stages=[])
    assert "ETA" not in live_line(ended, 100)
