"""Signals to a process of its own, and what it does with them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from variability import interruption
from variability.errors import Interrupted
from variability.interruption import Interruption

LIBRARY = Path(interruption.__file__).parents[1]

#: A job that prints a line when it has begun, and then works without end; or until it is asked to stop, if postponed.
JOB = """
    import signal, sys, time
    from variability.errors import Interrupted
    from variability.job_log import log_job
    with log_job(sys.argv[1]) as interruption:
        interruption.end_with_snakemake()
        def work(until):
            print("begun", flush=True)
            while not until():
                time.sleep(0.01)
        {body}
"""
AT_ONCE = "work(lambda: False)"
POSTPONED = """
        with interruption.postponed():
            work(interruption.should_stop)
            print("saved", flush=True)
            raise Interrupted("at step 3; state saved")
"""
STUBBORN = """
        with interruption.postponed():
            work(lambda: False)
"""


def start(folder, body, prefix=(), **environ):
    script = folder / "job.py"
    script.write_text(textwrap.dedent(JOB).format(body=body.strip()))
    command = [*prefix, sys.executable, str(script), str(folder / "job.log")]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(LIBRARY)} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n", process.communicate()
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize(
    ("body", "printed", "line"),
    [
        (AT_ONCE, "", "interrupted by {}; finished work is kept; run the same command again to continue"),
        (POSTPONED, "saved\n", "interrupted by {} at step 3; state saved; run the same command again to continue"),
    ],
)
def test_a_signal_ends_a_job_with_one_line_after_its_state_is_saved(tmp_path, name, body, printed, line):
    process = start(tmp_path, body)
    process.send_signal(getattr(signal, name))
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (130, printed)
    assert stderr.count("\n") == 1 and stderr.endswith(f"{line.format(name)}\n")


def test_only_a_second_sigint_ends_a_job_that_has_yet_to_save(tmp_path):
    process = start(tmp_path, STUBBORN)
    for name in ("SIGTERM", "SIGTERM", "SIGUSR1"):
        process.send_signal(getattr(signal, name))
        time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr.endswith("interrupted by SIGTERM; finished work is kept; run the same command again to continue\n")


def test_a_signal_that_the_process_was_started_to_ignore_is_ignored(tmp_path):
    process = start(tmp_path, AT_ONCE, prefix=["nohup"])
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 130


#: Stands for Snakemake: starts a job, below a shell, and waits for ever.
PARENT = """
    import os, subprocess, sys, time
    os.environ["VARIABILITY_SNAKEMAKE"] = str(os.getpid())
    job = f"{sys.executable} {sys.argv[1]} {sys.argv[2]}"
    subprocess.run(["bash", "-c", f"trap : TERM; {job}"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the end of a process that is not a child")
@pytest.mark.parametrize("victim", ["snakemake", "shell"])
def test_a_job_ends_when_snakemake_or_the_shell_in_between_is_killed(tmp_path, victim):
    (tmp_path / "parent.py").write_text(textwrap.dedent(PARENT))
    (tmp_path / "job.py").write_text(textwrap.dedent(JOB).format(body=AT_ONCE))
    command = [sys.executable, *(str(tmp_path / name) for name in ("parent.py", "job.py", "job.log"))]
    parent = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(LIBRARY)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout.readline() == b"begun\n"
    if victim == "snakemake":
        parent.kill()
    else:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
    # The pipe is closed when all processes have ended.
    assert parent.communicate(timeout=20) == (b"", None)
    assert "interrupted by the end of Snakemake; finished work is kept" in (tmp_path / "job.log").read_text()


def test_processes_are_watched_only_up_to_snakemake_and_only_if_it_is_an_ancestor():
    assert interruption.starters(None) == interruption.starters("1") == []
    assert interruption.starters("not a number") == interruption.starters(str(os.getpid())) == []
    if sys.platform == "linux":
        (watched,) = interruption.starters(str(os.getppid()))
        os.close(watched)


def test_a_block_ends_without_a_word_if_nobody_asked_the_process_to_stop():
    before = signal.getsignal(signal.SIGTERM)
    with Interruption().handled() as asked, asked.postponed():
        assert signal.getsignal(signal.SIGTERM) is not before
        asked.stop_if_requested()
    assert signal.getsignal(signal.SIGTERM) is before and not asked.should_stop()


def test_a_request_in_a_block_that_ended_by_itself_is_raised_when_asked_for():
    with Interruption().handled() as asked:
        with asked.postponed():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            asked.stop_if_requested()


def test_a_forked_process_ends_at_once():
    with Interruption().handled():
        ready, begin = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(begin, b".")
            time.sleep(60)
            os._exit(0)
        # A signal to a process that is just being forked is lost.
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        os.close(ready)
        os.close(begin)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
