"""Small files that tell which jobs are out of date: what a job should be made from, and what it was made from.

The spec of a job holds all that its result depends on except its inputs: its params, among them the seeds, and the
checksums of its code. It is a small file among the inputs of its rule, written only when its content changes. When the
job ends, it records the checksums of this file and of its inputs.

Snakemake keeps what it knows about earlier runs in the folder ``.snakemake``. Where that is lost, as on another
machine, it compares only times, and a copy of a study may have any times. So before jobs are planned, specs and records
are compared: a job whose record is right gets outputs that are not older than its inputs, and a job whose record
differs a spec that is newer than its outputs. No content is changed by this, and nothing where all times are in order.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from variability import advice
from variability.errors import UserError
from variability.io import bundles
from variability.io.artefacts import Kind, checksum_of, is_intact, read_cached, read_record, write_record
from variability.io.files import replacing

#: Folders of specs and of records, in that of a study, or in that of the downloads of all studies.
SPECS, RECORDS = Path("jobs", "specs"), Path("jobs", "made")
#: Inputs that are compared by content. All others are large, and listed with their checksums in one of these.
_COMPARED = frozenset({".json", ".txt", ".csv", ".rst", ".md", ".html", ".svg", ".png", ".css", ".js", ".j2"})
#: Inputs that the spec represents already, and the code of ``predict``, on which no result of ``finetune`` depends.
_IN_SPEC = frozenset({"spec", "code", "imports", "predict_code"})
#: Outputs that only carry files to other machines, or are this record.
_FOR_STORAGE = ("bundle", "tensors", "made")
_SHAPE = {"spec": str, "inputs": {str: str}, "outputs": [str]}


class Made(NamedTuple):
    """A job that has run.

    rule: its rule. spec: its params as they are now. inputs: checksums of those of its inputs that are compared by
    content, as the job read them. current: whether its params and its code are still those of the time.
    """

    rule: str
    spec: dict[str, Any]
    inputs: dict[str, str]
    current: bool


def spec_text(spec: Mapping[str, Any], code: Iterable[Path]) -> str:
    """Return the content of the spec of a job. spec: its params, plain values. code: listings of its code."""
    content = {"spec": spec, "code": {Path(path).name: _listing_checksum(str(path)) for path in code}}
    # Without an indent, which the json module writes in Python, six times slower.
    return json.dumps(content, sort_keys=True) + "\n"


@contextmanager
def recorded(job: Any) -> Iterator[None]:
    """Record, when the block ends without an error, what a job was made from.

    job: the ``snakemake`` object of a script, with ``params.spec``, ``input.spec`` and ``input.code``. Where files are
    kept in a storage, ``input.bundles`` are unpacked before the block, ``output.bundle`` and ``output.tensors`` are
    packed after it.
    """
    for bundle in _listed(job.input.get("bundles", [])):
        bundles.unpack(Path(bundle))
    in_spec = {str(path) for name, paths in job.input.items() if name in _IN_SPEC for path in _listed(paths)}
    inputs = [path for path in map(str, job.input) if path not in in_spec and Path(path).suffix in _COMPARED]
    for_storage = {path for name in _FOR_STORAGE for path in _listed(job.output.get(name, []))}
    made_from = {
        "spec": _checksum(spec_text(job.params.spec, _listed(job.input.code))),
        "inputs": {bundles.in_checkout(path): checksum_of(Path(path)) for path in inputs},
        "outputs": [bundles.in_checkout(path) for path in job.output if path not in for_storage],
    }
    yield
    if job.output.get("bundle"):
        _pack(job.output)
    write_record(_record_path(Path(job.input.spec)), made_from)


def _pack(output: Any) -> None:
    """Pack the files that the record among a job's outputs lists, trained tensors apart where they have a bundle."""
    files = bundles.members(next(Path(path) for path in output if Path(path).suffix == ".json"))
    for bundle in _listed(output.get("tensors", [])):
        bundles.pack(Path(bundle), [path for path in files if path.suffix == bundles.TENSORS])
        files = [path for path in files if path.suffix != bundles.TENSORS]
    for bundle in _listed(output.bundle):
        bundles.pack(Path(bundle), files)


def update(jobs: Iterable[tuple[Path, str]]) -> None:
    """Write the specs of jobs that changed, and correct times by which Snakemake would plan other jobs than necessary.

    jobs: path and content of each spec, every job after those that make its inputs.
    """
    checksums: dict[str, str | None] = {}
    for path, text in jobs:
        if _read(path) != text:
            # Not durable: a spec that was lost is written again.
            with replacing(path, durable=False) as temporary:
                temporary.write_text(text, encoding="utf-8")
        record = read_cached(_record_path(path), _SHAPE)
        outputs = [_time(output) for output in record.get("outputs", [])]
        # Snakemake makes missing outputs, and treats jobs without a record by the times of their files.
        if not outputs or None in outputs:
            continue
        for file in record["inputs"]:
            if file not in checksums:
                checksums[file] = _checksum_or_none(file)
        same_inputs = all(checksums[file] == checksum for file, checksum in record["inputs"].items())
        if same_inputs and record["spec"] == _checksum(text):
            _make_newer(record["outputs"], [path, *record["inputs"]])
        elif (_time(path) or 0) <= min(time for time in outputs if time is not None):
            with suppress(OSError):
                os.utime(path)


def made(spec: Path) -> Made | None:
    """Return what is recorded of the job with this spec; None if there is no record, as of a job that has not run.

    Raises UserError for a damaged record or spec.
    """
    path, text = _record_path(spec), _read(spec)
    if text is None or not path.exists():
        return None
    rule = path.as_posix().rsplit(f"{RECORDS.as_posix()}/", 1)[1].removesuffix(".json").partition("/")[0]
    record = read_record(path, Kind(rule, _SHAPE))
    try:
        params = json.loads(text)["spec"]
    except (ValueError, KeyError) as error:
        raise UserError(advice.unreadable(spec, error, rule)) from error
    return Made(rule, params, record["inputs"], record["spec"] == _checksum(text))


def replaced_inputs(jobs: Iterable[Made], folder: Path) -> Iterator[str]:
    """Yield a sentence for each file below a folder that is not the one that jobs read."""
    readers: dict[str, set[str]] = {}
    for job in jobs:
        for file, checksum in job.inputs.items():
            if Path(file).is_relative_to(folder) and not is_intact(Path(file), checksum):
                readers.setdefault(file, set()).add(job.rule)
    for file, rules in readers.items():
        names = advice.listed(sorted(rules), last=" and ")
        yield (
            f"{file} is not the file that {names} read: the study is not finished, or the file was replaced together "
            f"with its checksums; restore it, or delete the folder {Path(file).parent}, and run the study"
        )


def _make_newer(outputs: Iterable[str], inputs: Iterable[str | Path]) -> None:
    """Set the times of the outputs of a job that are older than one of its inputs to that of the newest input."""
    newest = max(time for file in inputs if (time := _time(file)) is not None)
    for file in [*outputs, *_benchmarks(outputs)]:
        time = _time(file)
        if time is not None and time < newest:
            with suppress(OSError):
                os.utime(file, ns=(newest, newest))


def _benchmarks(outputs: Iterable[str]) -> list[str]:
    """Return the files to which Snakemake writes measurements of a job, whose times count as those of outputs."""
    first = next(iter(outputs))
    return [f"{os.path.dirname(first)}/benchmark.tsv", f"{os.path.splitext(first)[0]}.tsv"]


def _record_path(spec: Path) -> Path:
    """Return the path of the record of a job from that of its spec: <folder>/jobs/specs/<stage>[/<wildcards>].json."""
    before, after = spec.as_posix().rsplit(f"{SPECS.as_posix()}/", 1)
    return Path(before) / RECORDS / after


def _listed(paths: Any) -> list[Any]:
    return [paths] if isinstance(paths, str) else list(paths)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _listing_checksum(path: str) -> str:
    return checksum_of(Path(path))


def _checksum_or_none(path: str) -> str | None:
    try:
        return checksum_of(Path(path))
    except OSError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _time(path: str | Path) -> int | None:
    """Return the time of the last change of a file in nanoseconds; None if it is missing."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
