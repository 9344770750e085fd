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
#: The table is read by threads of Arrow that are just starting.
FAILING = """
import io, sys
import pyarrow as pa, pyarrow.parquet as pq
from variability.errors import UserError
from variability.job_log import log_job
file = io.BytesIO()
pq.write_table(pa.table({"a": [1], "b": ["x"]}), file)
with log_job(sys.argv[1]):
    pq.read_table(file)
    raise UserError("no such image")
"""


def ended(job: str, log: Path) -> subprocess.CompletedProcess:
    command, environment = [sys.executable, "-c", job, log], os.environ | {"PYTHONPATH": str(LIBRARY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_job_that_succeeded_ends_its_process_with_its_output_and_what_libraries_registered(tmp_path):
    job = ended(JOB, tmp_path / "job.log")
    assert (job.stdout, job.returncode) == ("the last lineregistered\n", 0)


def test_a_job_that_fails_just_after_it_read_a_table_ends_with_its_status(tmp_path):
    jobs = [ended(FAILING, tmp_path / "job.log") for _ in range(3)]
    assert {job.returncode for job in jobs} == {1}
    assert all("error: no such image" in job.stderr and "terminate" not in job.stderr for job in jobs)


def test_a_job_that_fails_is_not_taken_apart(tmp_path):
    """Objects of modules are deleted by an ordinary end only."""
    kept = "class Kept:\n    def __del__(self):\n        print('taken apart')\nkept = Kept()\n"
    assert "taken apart" in ended(kept, tmp_path / "job.log").stdout
    assert ended(kept + FAILING, tmp_path / "job.log").stdout == ""
