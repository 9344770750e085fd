"""Run every job of a small study with a fault at each of its file operations, continue it, and compare all files.

    python tests/fault_sweep.py FOLDER [--study NAME] [--kinds kill ENOSPC EIO disk] [--every N] [--offset N]
        [--rules NAME ...]

FOLDER must not exist. Jobs are those that Snakemake plans for a study of swept_studies.py; each runs in a fork of this
process, where its libraries are loaded already. After a fault the job runs again as Snakemake would start it: without
its declared outputs. Its files must then be those of a run without faults, bit for bit. The kind ``disk`` needs
permission to mount: it runs each job on disks that become full after a part of what the job writes, which also reaches
libraries that write in C.

Prints JSON for each kind of fault: {tried, survived, lost: {operation: problems}, killed, failed, tolerated,
operations: {name: count}, messages: {text: count}}.
"""

import argparse
import contextlib
import importlib
import json
import os
import re
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_points import KINDS, FaultPoints
from small_disk import SmallDisk
from swept_jobs import Job, plan, run
from swept_studies import STUDIES

#: Loaded once, for all forks: for every job, and for those that train or predict.
LIBRARIES = (
    *("pandas", "pyarrow.parquet", "pyarrow.csv", "filelock", "scipy.stats", "scipy.optimize", "PIL.Image"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
)
TRAINING = ("torch", "torchvision.models", "safetensors.torch", "torch.fx", "torchvision.transforms.v2")
NEED_TORCH = {"pretrain", "features", "finetune", "predict"}
TEXTS = ("torch", "transformers", "tokenizers", "safetensors.torch", "requests")
NEED_TEXTS = {"download_assets", "download_weights", "tokenize"}
CRATES = ("rocrate.rocrate",)
#: The kind of fault of real full disks.
DISK = "disk"
#: Names of the temporary files of ``replacing``.
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}-\d+-\w{8}(\.\w+)?$")
#: Parts of what a job writes after which its disk is full.
PARTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95)


def forked(function: Callable[[], Any], output: Path) -> int:
    """Call a function in a fork of this process, with its output in a file; return the exit code, or minus a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        with open(output, "w") as handle:
            os.dup2(handle.fileno(), 1)
            os.dup2(handle.fileno(), 2)
        function()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Sweep:
    """A study, run once without faults, and the state of its files before and after each job."""

    def __init__(self, folder: Path, config: Path, rules: list[str]):
        self.folder, self.checkout = folder, config.parent
        self.blobs, self.output = folder / "blobs", folder / "output.txt"
        self.blobs.mkdir()
        facts = folder / "plan.json"
        self._must(lambda: facts.write_text(json.dumps(plan(config))))
        jobs = [Job(facts) for facts in json.loads(facts.read_text())]
        last = max(index for index, job in enumerate(jobs) if job.rule in (rules or [job.rule]))
        self.jobs = jobs[: last + 1]
        sys.path.insert(0, str(self.checkout / "workflow" / "lib"))
        _load(LIBRARIES)
        names = {job.rule for job in self.jobs}
        for libraries, need in ((TRAINING, NEED_TORCH), (TEXTS, NEED_TEXTS), (CRATES, {"record"})):
            if need & names:
                _load(libraries)
        self.states = [self._state(self.checkout)]
        for job in self.jobs:
            self._must(lambda job=job: run(job, self.checkout))
            self.states.append(self._state(self.checkout))

    def _must(self, function: Callable[[], Any]) -> None:
        if forked(function, self.output):
            raise AssertionError(self.output.read_text())

    def _state(self, folder: Path) -> dict[str, str]:
        """Return the hash of each file below ``results``, and keep a copy of it. Logs and hidden files do not count."""
        from variability.io.files import sha256

        state = {}
        for path in sorted((folder / "results").rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and path.suffix != ".log" and not _is_temporary(name):
                state[str(name)] = sha256(path)
                if not (self.blobs / state[str(name)]).exists():
                    shutil.copy2(path, self.blobs / state[str(name)])
        return state

    def _restore(self, state: dict[str, str]) -> Path:
        """Return a folder with the files of a state."""
        folder = self.folder / "attempt"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
        # Inputs of the report.
        (folder / "workflow").symlink_to(self.checkout / "workflow")
        for name, checksum in state.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.blobs / checksum, folder / name)
        return folder

    def points(self, job: int) -> list[str]:
        """Return the operations of a job."""
        folder, listed = self._restore(self.states[job]), self.folder / "operations.json"

        def count() -> None:
            points = FaultPoints(folder)
            run(self.jobs[job], folder, points)
            listed.write_text(json.dumps(points.operations))

        self._must(count)
        return json.loads(listed.read_text())

    def attempt(self, job: int, kind: str, at: int) -> tuple[str, str, list[str]]:
        """Run a job with a fault, then again without; return how the first run ended, its output, and what is wrong."""
        folder = self._restore(self.states[job])
        code = forked(lambda: run(self.jobs[job], folder, FaultPoints(folder, kind, at)), self.output)
        return self._compare(job, folder, code, self.output.read_text(errors="replace"))

    def fill(self, job: int, part: float) -> tuple[str, str, list[str]]:
        """Run a job on a disk with room for a part of what it writes, then with all; return as ``attempt``."""
        with SmallDisk(self.folder / "attempt") as disk:
            self._restore(self.states[job])
            before = disk.used()
            self._must(lambda: run(self.jobs[job], disk.folder))
            size = max(disk.used() - before, 0)
            self._restore(self.states[job])
            disk.resize(disk.used() + int(part * size))
            code = forked(lambda: run(self.jobs[job], disk.folder), self.output)
            output = self.output.read_text(errors="replace")
            disk.resize(None)
            return self._compare(job, disk.folder, code, output)

    def _compare(self, job: int, folder: Path, code: int, output: str) -> tuple[str, str, list[str]]:
        ending, wrong = {-9: "killed", 0: "tolerated", 1: "failed"}.get(code, f"exit code {code}"), []
        declared = {os.path.normpath(path) for path in self.jobs[job].output}
        before, after, now = self.states[job], self.states[job + 1], self._state(folder)
        for name, checksum in now.items():
            if (
                name not in declared
                and not _may_be_incomplete(name)
                and checksum not in (before.get(name), after.get(name))
            ):
                wrong.append(f"{name} is incomplete")
        if code := forked(lambda: run(self.jobs[job], folder), self.output):
            wrong.append(f"the second run ended with {code}: {self.output.read_text()[-2000:]}")
        final = self._state(folder)
        names = sorted(after.keys() | final.keys())
        wrong += [f"{name} differs" for name in names if after.get(name) != final.get(name)]
        wrong += [f"{path.name} is left" for path in (folder / "results").rglob(".*") if TEMPORARY.match(path.name)]
        return ending, output, wrong


def _is_temporary(name: Path) -> bool:
    """Return whether a file, or a folder that it is in, is hidden; name: its path in a checkout."""
    return any(part.startswith(".") for part in name.parts)


def _may_be_incomplete(name: str) -> bool:
    """Return whether a file is part of a download, with its record, from which it is resumed."""
    return name.endswith((".part", ".part.json"))


def _load(libraries: tuple[str, ...]) -> None:
    for name in libraries:
        importlib.import_module(name)


def sentence(output: str) -> str | None:
    """Return the message of a job that failed, without the parts that differ between runs; None for a traceback."""
    if "Traceback" in output or "error:" not in output:
        return None
    message = output[output.rindex("error:") :].strip()
    return re.sub(r"[\d.]+ [kMGT]?B\b", "N B", re.sub(r"\S*/\S*", "PATH", message))


def sweep(
    folder: Path, name: str, kinds: list[str], every: int, offset: int, rules: list[str]
) -> dict[str, dict[str, Any]]:
    """Try every n-th operation of the jobs of some rules, all if there are none, with each kind of fault.

    name: of the study.
    """
    with STUDIES[name](folder / "checkout") as config:
        study = Sweep(folder, config, rules)
        chosen = [index for index, job in enumerate(study.jobs) if job.rule in (rules or [job.rule])]
        points = [(index, at, name) for index in chosen for at, name in enumerate(study.points(index), 1)]
        disks = [(index, part, f"disk full after {part:.0%}") for index in chosen for part in PARTS]
        return {
            kind: _tried(study, kind, disks[offset::every], study.fill)
            if kind == DISK
            else _tried(study, kind, points[offset::every], None)
            for kind in kinds
        }


def _tried(study: Sweep, kind: str, points: list[tuple[int, Any, str]], attempt: Callable | None) -> dict[str, Any]:
    counts, messages, lost = Counter(), Counter(), {}
    for job, at, operation in points:
        ending, output, wrong = attempt(job, at) if attempt else study.attempt(job, kind, at)
        counts[ending] += 1
        if ending == "failed":
            message = sentence(output)
            wrong += [] if message else [f"no sentence, but {output[-1500:]}"]
            messages[message] += 1
        elif ending not in ("killed", "tolerated"):
            wrong.append(f"{ending}: {output[-1500:]}")
        label = f"{study.jobs[job].rule}, {kind} at operation {at}, {operation}"
        if wrong:
            lost[label] = wrong
        print(label, ending, wrong, file=sys.stderr, flush=True)
    return {
        "tried": len(points),
        "survived": len(points) - len(lost),
        "lost": lost,
        **counts,
        "operations": Counter(operation.split()[0] for _, _, operation in points),
        "messages": messages,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--study", choices=list(STUDIES), default="tiny")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, DISK], default=list(KINDS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--rules", nargs="*", default=[])
    options = parser.parse_args()
    options.folder.mkdir()
    every, offset = options.every, options.offset
    results = sweep(options.folder.resolve(), options.study, options.kinds, every, offset, options.rules)
    print(json.dumps(results, indent=1))
