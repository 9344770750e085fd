"""Outputs that one job makes separately, in several processes; those that would not change are restored.

Starting Python and importing pandas or matplotlib takes longer than most tables and figures, so that one job makes all
of them. Snakemake deletes its outputs before it runs again. A copy of each is in a hidden folder next to them, under a
fingerprint of all that it depends on: after an edit, or after a job was killed, only what is missing there is made.
"""

import importlib
import logging
import multiprocessing
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from variability.advice import listed
from variability.errors import UserError
from variability.io import storage
from variability.io.artefacts import stamp_path, stamped, write_stamp
from variability.io.files import replacing

_log = logging.getLogger(__name__)

#: Largest number of outputs that the log names.
MOST = 50

#: Make an output: its name, and the files to write.
Produce = Callable[[str, tuple[Path, ...]], None]


@dataclass(frozen=True)
class Output:
    """Files that are made together. fingerprint: digest of all that their content depends on."""

    fingerprint: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Failure:
    """A failed output: the message of a UserError, or a traceback."""

    message: str
    is_users: bool


def make(outputs: Mapping[str, Output], produce: Produce, store: Path, threads: int, imports: Sequence[str]) -> None:
    """Write the files of all outputs, {name: output}.

    store: folder of the copies; those that no output has any more are removed. threads: number of processes. imports:
    modules that are imported once for all processes. An output that fails keeps no other from being made; then raises
    UserError if all failures are of this sort, otherwise RuntimeError with the tracebacks.
    """
    stored = {name: tuple(_stored(store, output, file) for file in output.files) for name, output in outputs.items()}
    missing = {name: files for name, files in stored.items() if not _complete(files, outputs[name].fingerprint)}
    failures: dict[str, _Failure] = {}
    if missing:
        for module in imports:
            importlib.import_module(module)
        failures = _produced(missing, produce, threads)
        for name in missing.keys() - failures.keys():
            for file in missing[name]:
                write_stamp(file, outputs[name].fingerprint)
    for name, output in outputs.items():
        if name not in failures:
            for copy, file in zip(stored[name], output.files, strict=True):
                with replacing(file, durable=False) as partial:
                    shutil.copyfile(copy, partial)
    unchanged = sorted(set(outputs) - set(missing))
    _log.info("made: %s; unchanged: %s", listed(sorted(missing), MOST) or "none", listed(unchanged, MOST) or "none")
    if failures:
        messages = "\n".join(f"{name}: {failure.message}" for name, failure in failures.items())
        raise UserError(messages) if all(failure.is_users for failure in failures.values()) else RuntimeError(messages)
    current = [file for files in stored.values() for file in files]
    _remove_others(store, {*current, *map(stamp_path, current)})


def _stored(store: Path, output: Output, file: Path) -> Path:
    return store / f"{output.fingerprint[:32]}-{file.name}"


def _complete(files: tuple[Path, ...], fingerprint: str) -> bool:
    """Return whether all files of an output are stored, as they were made."""
    return all(stamped(file, fingerprint) for file in files)


def _remove_others(store: Path, current: set[Path]) -> None:
    for path in store.glob("*"):
        if path not in current:
            path.unlink()


def _produced(missing: Mapping[str, tuple[Path, ...]], produce: Produce, threads: int) -> dict[str, _Failure]:
    """Make outputs, each in a process of its own if there are several; return those that failed."""
    if threads < 2 or len(missing) < 2:
        attempts = {name: _attempt(produce, name, files) for name, files in missing.items()}
        return {name: failure for name, failure in attempts.items() if failure}
    # Forked processes share what is imported. macOS cannot fork a process that has used its frameworks.
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("fork") if linux else multiprocessing.get_context("spawn")
    waiting, failures = list(missing.items()), {}
    running: dict[Any, tuple[str, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < threads:
                name, files = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_send_attempt, args=(sender, produce, name, files))
                process.start()
                sender.close()
                running[receiver] = (name, process)
            for receiver in wait(list(running)):
                name, process = running.pop(receiver)
                if failure := _received(receiver, process):
                    failures[name] = failure
    finally:
        for _, process in running.values():
            process.terminate()
    return failures


def _send_attempt(sender: Connection, produce: Produce, name: str, files: tuple[Path, ...]) -> None:
    sender.send(_attempt(produce, name, files))


def _received(receiver: Any, process: BaseProcess) -> _Failure | None:
    try:
        failure = receiver.recv()
    except EOFError:
        process.join()
        return _Failure(f"its process ended with exit code {process.exitcode}; was it out of memory?", is_users=False)
    process.join()
    return failure


def _attempt(produce: Produce, name: str, files: tuple[Path, ...]) -> _Failure | None:
    try:
        produce(name, files)
    except UserError as error:
        return _Failure(str(error), is_users=True)
    except Exception as error:
        problem = storage.explain(error)
        return _Failure(str(problem or traceback.format_exc()), is_users=problem is not None)
    return None
