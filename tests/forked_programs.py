"""Python programs in forks of a process that has imported their libraries: importing takes longer than most of them.

    python -P tests/forked_programs.py SOCKET MODULE...

serves requests at a socket until its standard input ends. A program has its own arguments, working directory,
environment, standard streams and session, and it imports the modules of its checkout, as if Python had been started
for it. Two things differ: all forks have the same seed of ``hash``, and an import that a program forgot goes unnoticed.
So the study of the fixture ``finished``, of all stages, starts each of its processes.
"""

import atexit
import contextlib
import functools
import gc
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: A path of scripts that Snakemake has written for its jobs.
JOB_SCRIPTS = ".snakemake/scripts/"
#: Modules that Snakemake imports to plan and to start jobs.
SNAKEMAKE = (
    *("snakemake.cli", "snakemake.report", "snakemake.report.html_reporter", "smart_open", "nbformat", "numpy"),
    *("PIL.ImageDraw", "pandas", "filelock", "platformdirs", "snakemake.benchmark"),
)
#: Modules that jobs import, without those of TensorFlow, which does not support forks.
JOBS = (
    *("snakemake.script", "torch", "torchvision", "torchvision.transforms.v2"),
    *("safetensors.torch", "safetensors.numpy", "peft", "rocrate.rocrate"),
    *("transformers.models.bert.modeling_bert", "transformers.models.gpt2.modeling_gpt2"),
    *("pandas", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "filelock", "platformdirs", "PIL.Image"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("scipy.stats", "scipy.optimize"),
)
#: Python for Snakemake's jobs: it passes on a script, and is the real one for all else.
_PYTHON = """#!{python} -IS
import os, sys
if len(sys.argv) != 2 or {scripts!r} not in sys.argv[1]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
sys.path.append({folder!r})
import forked_programs
code = forked_programs.run({socket!r}, sys.argv[1:])
sys.exit(code if code >= 0 else 128 - code)
"""
_LONGEST = 1 << 20


def run(
    path: str,
    arguments: Sequence[str],
    folder: str | None = None,
    environment: Mapping[str, str] = os.environ,
    streams: Sequence[int] = (0, 1, 2),
    python: str | None = None,
    timeout: float | None = None,
) -> int:
    """Run a program at the server of a socket; return its exit status, or minus the signal that ended it.

    arguments: those of Python, which begin with the path of a script or with -m. folder: its working directory; by
    default that of this process. streams: standard input, output and error. python: its ``sys.executable``, if another.
    Raises TimeoutError after ``timeout`` seconds. The program does not outlive this process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        connection.settimeout(timeout)
        request = [list(arguments), folder or os.getcwd(), dict(environment), python]
        socket.send_fds(connection, [json.dumps(request).encode()], streams)
        return int(connection.recv(100))


def captured(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], python: str | None, timeout: float
) -> subprocess.CompletedProcess:
    """Run a program that uses Snakemake as ``subprocess.run`` does, and return its output as text."""
    with open(os.devnull) as nothing, tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        streams = [stream.fileno() for stream in (nothing, output, errors)]
        code = run(start(*SNAKEMAKE), arguments, str(folder), environment, streams, python, timeout)
        texts = [stream.read() for stream in (output, errors) if not stream.seek(0)]
    return subprocess.CompletedProcess(arguments, code, *texts)


@functools.cache
def start(*modules: str) -> str:
    """Start a server that has imported modules, unless this process has one; return its socket."""
    folder = tempfile.TemporaryDirectory(prefix="forks-")
    path = os.path.join(folder.name, "socket")
    command = [sys.executable, "-P", __file__, path, *modules]
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VARIABILITY_MIRROR")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline(), "the server of forked programs did not start"
    atexit.register(folder.cleanup)
    atexit.register(server.wait, timeout=60)
    atexit.register(server.stdin.close)
    return path


@functools.cache
def python_of_jobs() -> str:
    """Return the path of a program that runs Snakemake's scripts in forks, and is otherwise Python."""
    path = start(*JOBS)
    program = os.path.join(os.path.dirname(path), "python")
    names = {"python": sys.executable, "scripts": JOB_SCRIPTS, "folder": os.path.dirname(__file__), "socket": path}
    with open(program, "w") as file:
        file.write(_PYTHON.format(**names))
    os.chmod(program, 0o700)
    return program


def _serve(path: str) -> list | None:
    """Fork for each request, and return it in the fork; return None when standard input ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                return _forked(connection)
            connection.close()
            _reap(os.WNOHANG)
    _reap(0)
    return None


def _reap(options: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _forked(connection: socket.socket) -> list:
    """Return the request in a further fork, for which this one waits: it reports how that ended, and then ends."""
    message, streams, _, _ = socket.recv_fds(connection, _LONGEST, 3)
    os.setsid()
    program = os.fork()
    if program:
        for stream in streams:
            os.close(stream)
        ended = os.pidfd_open(program)
        if ended not in select.select([connection, ended], [], [])[0]:
            # Nobody waits for it any more.
            os.killpg(0, signal.SIGKILL)
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])).encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return json.loads(message)


def _execute(arguments: list[str], folder: str, environment: dict[str, str], python: str | None) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = python or sys.executable
    others = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    # Their state is that of the server, and two programs would draw the same numbers.
    for module, function in (("torch", "seed"), ("numpy.random", "seed")):
        if module in sys.modules:
            getattr(sys.modules[module], function)()
    if arguments[0] == "-m":
        sys.path[:0], sys.argv = [folder, *others], arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[:0], sys.argv = [os.path.dirname(arguments[0]), *others], arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _import(names: Sequence[str]) -> None:
    """Import modules, those of optional libraries where they are installed."""
    library = os.path.join(os.path.dirname(os.path.dirname(__file__)), "workflow", "lib")
    sys.path.insert(0, library)
    for name in names:
        if name == "torchvision":
            # As jobs do, without torch's compiler.
            importlib.import_module("variability.without_compiler").import_torchvision()
        elif importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    # Each program imports those of its own checkout.
    sys.path.remove(library)
    for name in [name for name in sys.modules if name.partition(".")[0] == "variability"]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _import(sys.argv[2:])
    request = _serve(sys.argv[1])
    if request:
        _execute(*request)
