"""Files that the stages exchange, and the checks of them where they are read.

A stage writes large files, and a small record of them in JSON that holds their checksums. A record holds a checksum of
its own content, too. So a bit that flipped on a disk, a file that was cut short, and a file of another run are noticed
by whatever reads them, and reported with the command that makes them again.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from variability import advice
from variability.errors import UserError
from variability.io.files import digest, sha256, write_json

#: Key of a record: the SHA-256 of all its other entries.
CHECKSUM = "checksum"
#: Checksums of the tables in a folder.
LISTING = "manifest.json"
#: Seconds after which a change of a file has another time than the one before.
_SETTLED = 2.0
_CHECKSUMS: dict[tuple[str, int, int, int, int], str] = {}


class Kind(NamedTuple):
    """A kind of record. rule: the one that makes it, and the files that it lists.

    shape: the entries that readers rely on: a type, several types, a set of texts, one of which is the value,
    ``[shape]`` for a list, ``{name: shape}`` for a mapping with these names, ``{str: shape}`` for one with any names.
    """

    rule: str
    shape: Any


_TEXTS, _TABLES = {str: str}, {"tables": {str: str}}
_RUN = {"seed": int, "fingerprint": str, "status": str}

DATASET = Kind("download", {"files": _TEXTS})
ASSETS = Kind("download_assets", {"files": _TEXTS, "sha256": str})
WEIGHTS = Kind("download_weights", {"sha256": str})
PRETRAINED = Kind("pretrain", {"sha256": str})
#: What scores need of a prepared task, and all that training needs.
LABELS = Kind("prepare", {"kind": str, "class_names": [str]})
TASK = Kind(
    "prepare",
    {"kind": str, "modality": str, "class_names": [str], "facts": dict, "target": dict, "split": {"resample": bool}}
    | {"counts": {str: int}, "sha256": {"inputs": str, "examples": str}},
)
#: What summaries say of a prepared task.
REMARKS = Kind("prepare", {"remarks": [str], "left_out": {str: int}})
TOKENS = Kind("tokenize", {"sha256": str})
FEATURES = Kind("features", {"stored": bool})
UNSTORED_FEATURES = Kind("features", {"reason": str})
_ACTIVATIONS = {
    "each": frozenset(("example", "token")),
    "form": frozenset(("fp32", "bf16", "fp16")),
    "layout": frozenset(("channels last", "as indexed")),
    "views": int,
}
STORED_FEATURES = Kind("features", {"activations": _ACTIVATIONS, "sha256": str})
#: Next to a file that is reused if its fingerprint is right.
STAMP = Kind("", {"fingerprint": str, "sha256": str})
FITTED = Kind("finetune", {"runs": [_RUN | {"sha256": _TEXTS}]})
RUN_RECORD = Kind("finetune", _RUN | {"model": str, "task": str, "method": str, "sha256": _TEXTS})
PREDICTED = Kind("predict", {"runs": [_RUN | {"sha256": {"predictions": str}}]})
SCORES = Kind("score", _TABLES)
PROBES = Kind("reference_probe", _TABLES)
BASE_TABLES = Kind("aggregate", _TEXTS)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with the checksum of its content. The file is complete or absent."""
    write_json(path, {**record, CHECKSUM: digest(record)})


def read_record(path: Path, kind: Kind) -> dict[str, Any]:
    """Return the content of a record, without its checksum.

    Raises UserError, with the command that makes it again, for a file that is missing, empty, cut short, changed since
    it was written, or not of this kind.
    """
    path = Path(path)
    try:
        record = _parse(path.read_bytes())
        for problem in _problems(record, kind.shape, "it"):
            raise ValueError(problem)
    except (OSError, ValueError) as error:
        raise UserError(advice.unreadable(path, error, kind.rule)) from error
    return record


def read_intact(path: Path, kind: Kind) -> dict[str, Any]:
    """Return the content of a record that may have to be made again; empty if ``read_record`` would refuse it."""
    try:
        return read_record(path, kind)
    except UserError:
        return {}


def read_cached(path: Path, shape: Any = MappingProxyType({})) -> dict[str, Any]:
    """Return the content of a record in a cache; empty if the file is missing, damaged or of another shape.

    shape: the entries that the caller relies on, see ``Kind``.
    """
    return read_intact(path, Kind("", dict(shape)))


def read_features(path: Path) -> dict[str, Any]:
    """Return the content of a manifest of ``features``, which says more if there are stored activations."""
    stored = read_record(path, FEATURES)["stored"]
    return read_record(path, STORED_FEATURES if stored else UNSTORED_FEATURES)


def read_weights(path: Path) -> dict[str, Any]:
    """Return the content of a manifest of pretrained weights."""
    return read_record(path, kind_of_weights(path))


def kind_of_weights(path: Path) -> Kind:
    """Return whether weights are made by the study or fetched, from the path of the file or of its manifest."""
    return PRETRAINED if Path(path).stem == "weights" else WEIGHTS


def write_stamp(path: Path, fingerprint: str) -> str:
    """Record what a finished file was made from, in a file next to it, and return its checksum.

    fingerprint: digest of all that the file's content depends on.
    """
    checksum = sha256(path)
    write_record(stamp_path(path), {"fingerprint": fingerprint, "sha256": checksum})
    return checksum


def stamped(path: Path, fingerprint: str) -> str | None:
    """Return the checksum of a file that was made from this fingerprint; None if there is none, or it was changed."""
    stamp = read_intact(stamp_path(path), STAMP)
    unchanged = stamp.get("fingerprint") == fingerprint and is_intact(path, stamp["sha256"])
    return stamp["sha256"] if unchanged else None


def damage_of_stamped(path: Path, fingerprint: str) -> str | None:
    """Return why a file that ``stamped`` refuses has to be made again, if it was damaged; otherwise None.

    A file that was never made, or was made from something else, is not damaged.
    """
    stamp = stamp_path(path)
    record = read_intact(stamp, STAMP)
    if not record:
        return f"{stamp} is damaged" if stamp.is_file() else None
    return damage(path, record["sha256"]) if record["fingerprint"] == fingerprint else None


def damage(path: Path, checksum: str) -> str | None:
    """Return what happened to a finished file since it was written; None if it is intact."""
    if is_intact(path, checksum):
        return None
    return f"{path} was damaged or replaced" if Path(path).is_file() else f"{path} was removed"


def stamp_path(path: Path) -> Path:
    """Return the file next to a file that ``write_stamp`` writes."""
    return Path(path).with_name(f"{Path(path).name}.json")


def stamps(folder: Path) -> list[Path]:
    """Return the stamps in a folder, except those in hidden folders, sorted."""
    paths = (path for path in Path(folder).rglob("*.*.json") if path.with_suffix("").is_file())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def require(path: Path, checksum: str, rule: str) -> Path:
    """Return a path, after comparing the file with its checksum.

    Raises UserError, with the command that makes the file again, if it is missing or another one.
    """
    try:
        actual = checksum_of(path)
    except OSError as error:
        raise UserError(advice.unreadable(path, error, rule)) from error
    if actual != checksum:
        raise UserError(
            f"{path} is not the file that {rule} wrote: its checksum differs, so it was damaged or replaced; "
            f"{advice.rerun(rule)}"
        )
    return Path(path)


def is_intact(path: Path, checksum: str | None) -> bool:
    """Return whether a file exists and has a checksum."""
    try:
        return checksum_of(path) == checksum
    except OSError:
        return False


def require_folder(manifest: Path, kind: Kind) -> dict[str, Any]:
    """Return the content of the manifest of a folder ``files`` next to it, after comparing all its files.

    Raises UserError as ``require`` does, for the first file that differs.
    """
    record = read_record(manifest, kind)
    paths = [Path(manifest).parent / "files" / name for name in record["files"]]
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda path, checksum: require(path, checksum, kind.rule), paths, record["files"].values()):
            pass
    return record


def write_checksums(manifest: Path, names: Iterable[str]) -> None:
    """Write a manifest of files in its folder: {name: SHA-256}."""
    write_record(manifest, {name: sha256(Path(manifest).parent / name) for name in names})


def require_listed(path: Path) -> Path:
    """Return the path of a table, after comparing it with the listing in its folder, which is named after its rule.

    Tables of another origin have no listing and are not compared. Raises UserError as ``require`` does.
    """
    folder = Path(path).parent
    if (folder / LISTING).is_file():
        checksums = read_record(folder / LISTING, Kind(folder.name, _TEXTS))
        require(path, checksums.get(Path(path).name, ""), folder.name)
    return Path(path)


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file, which a process computes once, unless the file changes.

    A file that changed in the last two seconds is read again: another change may have the same time.
    """
    stat = os.stat(path)
    state = (os.path.abspath(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    if time.time() - max(stat.st_mtime, stat.st_ctime) < _SETTLED:
        return sha256(path)
    if state not in _CHECKSUMS:
        _CHECKSUMS[state] = sha256(path)
    return _CHECKSUMS[state]


def _parse(content: bytes) -> dict[str, Any]:
    """Return the entries of a record without its checksum. Raises ValueError."""
    if not content.strip():
        raise ValueError("it is empty")
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is not valid JSON: its lists are too deep") from error
    except ValueError as error:
        raise ValueError(f"it is not valid JSON, perhaps cut short: {error}") from error
    if not isinstance(record, dict):
        raise ValueError("it is not a mapping")
    # Records of earlier versions have no checksum.
    checksum = record.pop(CHECKSUM, None)
    try:
        unchanged = checksum in (None, digest(record))
    except (ValueError, RecursionError):
        unchanged = False
    if not unchanged:
        raise ValueError("it was changed after it was written: its checksum differs")
    return record


def _problems(value: Any, shape: Any, name: str) -> Iterator[str]:
    """Yield the parts of a value that do not have a shape, see ``Kind``."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{name} is not a mapping"
        elif str in shape:
            for key, item in value.items():
                yield from _problems(item, shape[str], _part(name, key))
        else:
            for key, inner in shape.items():
                if key in value:
                    yield from _problems(value[key], inner, _part(name, key))
                else:
                    yield f"{_part(name, key)} is missing"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{name} is not a list"
        else:
            for index, item in enumerate(value):
                yield from _problems(item, shape[0], f"{name}[{index}]")
    elif isinstance(shape, frozenset):
        if not isinstance(value, str) or value not in shape:
            yield f"{name} is {str(value)[:40]!r}, and not {' or '.join(map(repr, sorted(shape)))}"
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        yield f"{name} is {str(value)[:40]!r}, which is not expected there"


def _part(name: str, key: str) -> str:
    return str(key)[:80] if name == "it" else f"{name}.{str(key)[:80]}"
