import logging
import warnings

import pytest

from variability.errors import UserError
from variability.job_log import journal


def test_the_log_holds_what_was_said_and_warned(tmp_path, capsys):
    with warnings.catch_warnings(), journal(tmp_path / "job.log"):
        warnings.simplefilter("always")
        logging.getLogger("variability.training.torch_fit").info("an epoch")
        warnings.warn("not deterministic", UserWarning, stacklevel=1)
    for text in ((tmp_path / "job.log").read_text(), capsys.readouterr().err):
        assert "an epoch" in text and "not deterministic" in text


def test_a_users_mistake_ends_the_job_with_its_message_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, journal(tmp_path / "job.log"):
        raise UserError("no such image")
    assert ended.value.code == 1
    assert "error: no such image" in capsys.readouterr().err
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    with pytest.raises(SystemExit), journal(tmp_path / "job.log"):
        {}["missing"]
    assert "KeyError: 'missing'" in (tmp_path / "job.log").read_text()


def test_nothing_of_a_journal_outlives_it(tmp_path):
    with journal(tmp_path / "job.log"):
        pass
    logging.getLogger("variability").warning("later")
    assert "later" not in (tmp_path / "job.log").read_text()


def test_an_interrupted_job_says_that_nothing_is_lost(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, journal(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    said = capsys.readouterr().err
    assert "goes on from there" in said and "Traceback" not in said
