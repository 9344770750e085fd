from types import SimpleNamespace

import pytest

from variability.terminal.closing import LINES, MOST_OF_ERROR, closing, closing_of_failure, closing_of_interruption

SHARES = "Of the differences between the 120 results on 2 tasks, 12 % are due to the model and 41 % to the task."
COUNTS = "120 runs: 119 completed, 1 failed."


def answer(*paragraphs: str) -> str:
    return "\n\n".join(["# my study", *paragraphs]) + "\n"


def test_a_short_answer_is_shown_whole():
    text = closing(answer(SHARES, COUNTS), "results/my study/report/index.html")
    assert text.splitlines() == [
        *["", "# my study", SHARES[:96], SHARES[97:], "", COUNTS],
        "Report: results/my study/report/index.html",
    ]


def test_eleven_tasks_fit_and_the_number_of_runs_stays():
    tasks = " ".join(
        f"On task-{number}, resnet-{number} (full) is ahead of the other seven candidates, and the nearest of them is "
        f"vit-{number} (probe), whose mean is 0.0{number} lower."
        for number in range(11)
    )
    lines = closing(answer(SHARES, tasks, COUNTS), "results/s/report/index.html").splitlines()
    assert len(lines) <= LINES
    assert any(line.startswith("On task-0, resnet-0 (full) is ahead") for line in lines)
    assert COUNTS in lines and "[more in the report]" in " ".join(lines)
    assert "task-10" not in " ".join(lines)


@pytest.mark.parametrize("columns", [20, 33, 60, 80, 100, 300])
@pytest.mark.parametrize("paragraphs", [(SHARES, COUNTS), (SHARES * 9, COUNTS), ("word " * 400,), (), ("x" * 900,) * 9])
def test_no_answer_takes_more_lines_than_allowed_in_any_terminal(columns, paragraphs):
    report = "results/a-study/report/index.html"
    lines = closing(answer(*paragraphs), report, columns).splitlines()
    assert len(lines) <= LINES and max(map(len, lines)) <= max(columns, 20)
    assert "".join(lines).replace(" ", "").endswith(f"Report:{report}")


def test_failed_jobs_are_listed_with_their_logs():
    status = SimpleNamespace(runs=6, runs_done=5, runs_failed=1)
    assert closing_of_failure(status, [("finetune a/b/full/0", "results/s/block-0.log")]).splitlines() == [
        "",
        "1 job failed; 5 of 6 runs finished, 1 failed. Logs:",
        "finetune a/b/full/0: results/s/block-0.log",
        "Run the same command again to continue; what is finished is used again.",
    ]
    many = closing_of_failure(status, [(f"finetune {number}", "log") for number in range(30)]).splitlines()
    assert len(many) <= LINES and "and 20 more" in many
    assert closing_of_failure(status, []) == ""


@pytest.mark.parametrize(("runs", "counted"), [(6, " (5 of 6 runs finished)"), (0, "")])
def test_an_interruption_ends_with_what_is_kept(runs, counted):
    assert closing_of_interruption(SimpleNamespace(runs=runs, runs_done=5)).splitlines() == [
        "",
        f"Interrupted; finished work and saved states are kept{counted}.",
        "Run the same command again to continue.",
    ]


def test_the_first_error_is_repeated_below_the_logs():
    status = SimpleNamespace(runs=0, runs_done=0, runs_failed=0)
    failed = [("prepare photos", "results/s/prepare/photos/prepare.log")]
    lines = closing_of_failure(status, failed, "photos/a.png cannot be read; replace it").splitlines()
    assert lines[2:4] == [f"{failed[0][0]}: {failed[0][1]}", "First error: photos/a.png cannot be read; replace it"]
    long = closing_of_failure(status, failed * 30, "word " * 500, columns=60).splitlines()
    assert len(long) <= LINES and sum("word" in line for line in long) == MOST_OF_ERROR
    assert max(map(len, long)) <= 79, "the last line has a length of its own"
