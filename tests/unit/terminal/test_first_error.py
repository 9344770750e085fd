"""Tests of the error that the end of a failed execution repeats, on logs as jobs write them."""

import logging

import pytest

from variability.errors import UserError
from variability.job_log import log_job
from variability.terminal.first_error import first_error


def job(path, failure):
    """Run a job that fails, and return its log."""
    with pytest.raises(SystemExit), log_job(path, end_process=False):
        logging.getLogger("variability").info("reading an error: none so far")
        failure()
    return path.read_text(encoding="utf-8")


def test_an_error_of_the_user_is_found_whole(tmp_path):
    def failure():
        raise UserError("photos/a.png cannot be read;\nreplace it")

    assert first_error(job(tmp_path / "log", failure)) == "photos/a.png cannot be read; replace it"


def test_a_traceback_ends_in_the_error(tmp_path):
    def failure():
        raise ValueError("shapes (3,) and (4,)")

    assert first_error(job(tmp_path / "log", failure)) == "ValueError: shapes (3,) and (4,)"


def test_the_reason_of_the_first_failed_seed_comes_before_their_number(tmp_path):
    def failure():
        log = logging.getLogger("variability")
        log.error("%s: seed %d failed:\n%s", "cnn / digits / full", 3, "Traceback (most recent call last):\n  x\nE: no")
        log.error("%s: seed %d failed:\n%s", "cnn / digits / full", 4, "the loss is not a number")
        raise UserError("2 of 6 seeds failed")

    assert first_error(job(tmp_path / "log", failure)) == "E: no"


@pytest.mark.parametrize("log", ["", "Killed\n", "10:00:00 interrupted; run again\n", "10:00:00 error: \n"])
def test_a_log_without_an_error_has_none(log):
    assert first_error(log) == ""
