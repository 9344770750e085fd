import logging
import warnings

import pytest

from variability.errors import UserError
from variability.job_log import log_job


def test_log_lines_and_warnings_go_to_the_file_and_to_standard_error(tmp_path, capsys):
    with warnings.catch_warnings(), log_job(tmp_path / "job.log"):
        warnings.simplefilter("always")
        logging.getLogger("variability.training.torch_fit").info("an epoch")
        warnings.warn("not deterministic", UserWarning, stacklevel=1)
    for text in ((tmp_path / "job.log").read_text(), capsys.readouterr().err):
        assert "an epoch" in text and "not deterministic" in text


def test_a_user_error_ends_the_job_with_its_message_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, log_job(tmp_path / "job.log"):
        raise UserError("no such image")
    assert ended.value.code == 1
    assert "error: no such image" in capsys.readouterr().err
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    with pytest.raises(SystemExit), log_job(tmp_path / "job.log"):
        {}["missing"]
    assert "KeyError: 'missing'" in (tmp_path / "job.log").read_text()


def test_the_handlers_are_removed_after_the_block(tmp_path):
    with log_job(tmp_path / "job.log"):
        pass
    logging.getLogger("variability").warning("later")
    assert "later" not in (tmp_path / "job.log").read_text()


def test_an_interrupted_job_says_that_nothing_is_lost(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, log_job(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    output = capsys.readouterr().err
    assert "run the same command again" in output and "Traceback" not in output
