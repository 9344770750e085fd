"""Facts about an installed library that are known only after importing it, which takes seconds.

The config check needs them at every start. So the library is imported once per installed version, in a process of its
own, and the facts are stored as JSON in the user's cache folder.
"""

import importlib.metadata
import importlib.util
import inspect
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from variability.errors import UserError
from variability.io import files, locks
from variability.io.artefacts import CHECKSUM, read_cached

_log = logging.getLogger(__name__)

#: The program of the process that imports the library. Arguments: folder of this package, file and name of the
#: collecting function, file to write.
_PROGRAM = """
import json, runpy, sys
package, source, function, target = sys.argv[1:]
sys.path.insert(0, package)
facts = runpy.run_path(source)[function]()
with open(target, "w", encoding="utf-8") as handle:
    json.dump(facts, handle)
"""
_TIMEOUT_SECONDS = 600


@cache
def library_facts(library: str, collect: Callable[[], Any]) -> Any:
    """Return what ``collect`` returns, from the cache where possible; None if the library is not installed.

    library: name of the package, which is also that of its distribution. collect: a function at the top of its module
    that imports the library and returns plain values as JSON has them. The answer is stored per version and location
    of the library and per content of this module and that of ``collect``. Raises UserError if ``collect`` fails.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        return None
    path = _cache_file(library, Path(spec.origin), Path(inspect.getfile(collect)))
    if (facts := _read(path)) is not None:
        return facts
    try:
        with locks.held(path.with_suffix(".lock"), f"waiting for another process that imports {library}"):
            if (facts := _read(path)) is None:
                facts = _collected(library, collect)
                # In the library's order, as the first answer has it.
                record = {"facts": facts, CHECKSUM: files.digest({"facts": facts})}
                files.write_text(path, json.dumps(record))
            return facts
    except OSError as error:
        _log.warning("%s cannot be written (%s), so %s is imported at every start", path, error, library)
    return _collected(library, collect) if facts is None else facts


def cache_folder() -> Path:
    """Return the user's folder for facts about installed libraries."""
    return platformdirs.user_cache_path("finetune-variability", appauthor=False) / "library-facts"


def _cache_file(library: str, origin: Path, source: Path) -> Path:
    try:
        version = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        # A source tree on PYTHONPATH.
        version = str(origin.stat().st_mtime_ns)
    # Files of other versions of this module may have another form.
    code = [files.sha256(module) for module in (source, Path(__file__))]
    key = files.digest([library, version, str(origin.resolve()), *code])
    return cache_folder() / f"{library}-{version}-{key[:16]}.json"


def _read(path: Path) -> Any:
    """Return the stored facts; None if there are none, or the file was changed."""
    return read_cached(path).get("facts")


def _collected(library: str, collect: Callable[[], Any]) -> Any:
    # Not next to the cached answer: the error of a full disk would be the library's.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "facts.json"
        _run(library, collect, target)
        return files.read_json(target)


def _run(library: str, collect: Callable[[], Any], target: Path) -> None:
    _log.warning("Importing %s to list what it offers; once per installed version, takes some seconds", library)
    package = Path(__file__).parents[2]
    # -P: no module in the working directory replaces an installed one.
    command = [sys.executable, "-P", "-c", _PROGRAM, package, inspect.getfile(collect), collect.__name__, target]
    without_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    try:
        subprocess.run(
            command, check=True, env=without_gpu, timeout=_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UserError(f"importing {library} took more than {_TIMEOUT_SECONDS} s; is its disk reachable?") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise UserError(
            f"{library} is installed, but cannot be imported or lists other things than expected ({lines[-1]}); "
            "install the environment again (envs/)"
        ) from error
