"""Programs in forks have all that a program gets from whoever starts it."""

import json
import os
import signal
import subprocess
import sys
import time

import forked_programs
import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems start Python instead")


def run(folder, text, *arguments, timeout=60.0, **environ):
    """Run a script in a folder; return its exit status and its output."""
    path = folder / "program.py"
    path.write_text(text)
    with open(os.devnull) as nothing, open(folder / "output", "w+") as output:
        streams = [stream.fileno() for stream in (nothing, output, output)]
        command = [str(path), *arguments]
        code = forked_programs.run(forked_programs.start(), command, str(folder), environ, streams, None, timeout)
    return code, (folder / "output").read_text()


def test_arguments_folder_environment_streams_and_path_are_its_own(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library/variability.py").write_text("NAME = 'of the checkout'")
    text = """
import json, os, sys, variability
facts = [sys.argv[1:], os.getcwd(), dict(os.environ), sys.path[:2], variability.NAME, __name__, sys.stdin.read()]
print(json.dumps(facts))
"""
    environ = {"PYTHONPATH": str(tmp_path / "library"), "ONLY": "this"}
    code, output = run(tmp_path, text, "a b", "c", **environ)
    assert code == 0, output
    path = [str(tmp_path), environ["PYTHONPATH"]]
    assert json.loads(output) == [["a b", "c"], str(tmp_path), environ, path, "of the checkout", "__main__", ""]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("", 0),
        ("sys.exit(7)", 7),
        ("sys.exit('problem')", 1),
        ("1 / 0", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_its_exit_status_is_returned(statement, expected, tmp_path):
    code, output = run(tmp_path, f"import os, signal, sys\n{statement}")
    assert code == expected, output


def test_it_ends_with_all_that_it_started_when_nobody_waits_for_it(tmp_path):
    (tmp_path / "program.py").write_text("""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
""")
    code = "import sys, forked_programs as programs; programs.run(sys.argv[1], sys.argv[2:])"
    command = [sys.executable, "-c", code, forked_programs.start(), str(tmp_path / "program.py")]
    environ = os.environ | {"PYTHONPATH": os.path.dirname(forked_programs.__file__)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as waiting:
        processes = [psutil.Process(int(word)) for word in waiting.stdout.readline().split()]
        waiting.kill()
    assert len(processes) == 2
    deadline = time.monotonic() + 20
    while not all(map(ended, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
