import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from variability import job_log
from variability.errors import UserError
from variability.job_log import log_job

LIBRARY = Path(job_log.__file__).parents[1]


def test_log_lines_and_warnings_go_to_the_file_and_to_standard_error(tmp_path, capsys):
    with warnings.catch_warnings(), log_job(tmp_path / "job.log", end_process=False):
        warnings.simplefilter("always")
        logging.getLogger("variability.training.torch_fit").info("an epoch")
        warnings.warn("not deterministic", UserWarning, stacklevel=1)
    for text in ((tmp_path / "job.log").read_text(), capsys.readouterr().err):
        assert "an epoch" in text and "not deterministic" in text


def test_a_user_error_ends_the_job_with_its_message_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, log_job(tmp_path / "job.log", end_process=False):
        raise UserError("no such image")
    assert ended.value.code == 1
    assert "error: no such image" in capsys.readouterr().err
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    with pytest.raises(SystemExit), log_job(tmp_path / "job.log", end_process=False):
        {}["missing"]
    assert "KeyError: 'missing'" in (tmp_path / "job.log").read_text()


def test_the_handlers_are_removed_after_the_block(tmp_path):
    with log_job(tmp_path / "job.log", end_process=False):
        pass
    logging.getLogger("variability").warning("later")
    assert "later" not in (tmp_path / "job.log").read_text()


def test_an_interrupted_job_says_that_nothing_is_lost(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, log_job(tmp_path / "job.log", end_process=False):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    output = capsys.readouterr().err
    assert "run the same command again" in output and "Traceback" not in output


JOB = """
import atexit, sys
from variability.job_log import log_job
atexit.register(print, "registered")
with log_job(sys.argv[1]):
    print("the last line", end="")
print("after the block")
"""


def test_a_job_that_succeeded_ends_its_process_with_its_output_and_what_libraries_registered(tmp_path):
    command, environment = [sys.executable, "-c", JOB, tmp_path / "job.log"], os.environ | {"PYTHONPATH": str(LIBRARY)}
    job = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert job.stdout == "the last lineregistered\n"
