"""Logs of inspect (UK AI Security Institute): .json, and .eval, which is a ZIP archive of the same documents."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import UserError
from variability.io.files import shallow
from variability.io.limits import Limits
from variability.io.table_readers import Table
from variability.results.predictions import SCORES
from variability.results.readers import WrittenReader, table_of

#: Values that scorers write for correct, incorrect, partially correct, and without an answer.
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
#: Scorers of inspect itself, of all of which more is better.
_BETTER = (
    *("match", "includes", "pattern", "answer", "exact", "f1", "choice", "math"),
    *("model_graded_qa", "model_graded_fact"),
)
#: Method of compression in a ZIP archive, and length of a member's header.
_ZSTD, _LOCAL_HEADER = 93, 30
_EXPECTED = "`format: inspect` reads logs with eval and samples, as `inspect eval` writes them (.json, .eval)"


class Inspect(WrittenReader):
    """One row per sample and scorer; the epochs of a sample are seeds, counted from 1.

    A scorer of several values has a metric for each, ``scorer/value``. Values C, I, P and N (correct, incorrect,
    partial, no answer) are 1, 0, 0.5 and 0. A sample without a score, because its run ended by an error, has an empty
    one. Fields of its metadata are columns ``metadata.<field>``, which may be groups.
    """

    EXAMPLES = SCORES
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{role: (role,) for role in ("model", "task", "seed", "example_id", "metric", "score")},
    }
    CONSTANTS: ClassVar[Mapping[str, str]] = {"method": "evaluated"}
    PATTERNS = ("*.eval", "*.json")

    def table(self, path: Path) -> Table:
        header, samples = self._log(path)
        entry = header.get("eval") if isinstance(header, dict) else None
        if not isinstance(entry, dict) or "task" not in entry or "model" not in entry:
            raise UserError(f"{path} is not a log of an evaluation; {_EXPECTED}")
        run = {"model": str(entry["model"]), "task": str(entry["task"]).rpartition("/")[2]}
        run |= {"run_id": entry.get("run_id"), "created": entry.get("created"), "status": header.get("status")}
        rows, numbers = [], []
        for number, sample in enumerate(samples, 1):
            for row in _rows(sample, f"{path}, sample {number}"):
                rows.append(run | row)
                numbers.append(number)
        if not rows:
            raise UserError(f"{path} has no samples with scores; {_EXPECTED}, without `--no-log-samples`")
        return table_of(path, rows, numbers, "sample")

    def facts(self, paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
        return {name: {"label": name, "higher_is_better": True} for name in _BETTER}

    def _log(self, path: Path) -> tuple[Any, list[Any]]:
        """Return the header and the samples of a log."""
        if not zipfile.is_zipfile(path):
            with shallow():
                document = json.loads(path.read_text(encoding="utf-8"))
            return document, (document.get("samples") or []) if isinstance(document, dict) else []
        try:
            with zipfile.ZipFile(path) as opened, shallow():
                members = {member.filename: member for member in opened.infolist()}
                size = sum(member.file_size for member in members.values())
                if trap := Limits.of(self.spec).expansion_problem(size, path.stat().st_size):
                    raise ValueError(trap)
                start = next((name for name in ("header.json", "_journal/start.json") if name in members), None)
                header = json.loads(_content(opened, members[start])) if start else None
                names = sorted(name for name in members if name.startswith("samples/") and name.endswith(".json"))
                return header, [json.loads(_content(opened, members[name])) for name in names]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"it is damaged ({error}); copy it again") from error


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member, which recent versions of inspect compress by zstd."""
    if member.compress_type != _ZSTD:
        return opened.read(member)
    import pyarrow as pa

    assert opened.fp is not None
    opened.fp.seek(member.header_offset)
    header = opened.fp.read(_LOCAL_HEADER)
    # Lengths of the name and of the extra field, which are between header and content.
    skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    opened.fp.seek(member.header_offset + _LOCAL_HEADER + skipped)
    packed = opened.fp.read(member.compress_size)
    return pa.decompress(packed, member.file_size, codec="zstd", asbytes=True)


def _rows(sample: Any, position: str) -> Iterator[dict[str, str | None]]:
    if not isinstance(sample, dict) or "id" not in sample:
        raise UserError(f"{position}: no id; {_EXPECTED}")
    row = {"example_id": str(sample["id"]), "seed": str(sample.get("epoch", 1))}
    metadata = sample.get("metadata") or {}
    row |= {f"metadata.{name}": _text(value) for name, value in metadata.items() if not isinstance(value, dict | list)}
    for scorer, score in (sample.get("scores") or {}).items():
        value = score.get("value") if isinstance(score, dict) else score
        several = isinstance(value, dict)
        parts = {f"{scorer}/{name}": part for name, part in value.items()} if several else {scorer: value}
        for metric, part in parts.items():
            yield row | {"metric": metric, "score": _score(part, f"{position}, {metric}")}


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _score(value: Any, position: str) -> str | None:
    if value is None or isinstance(value, bool | int | float):
        return None if value is None else repr(float(value))
    if isinstance(value, str):
        if value in _LETTERS:
            return repr(_LETTERS[value])
        return value
    raise UserError(f"{position}: the value {str(value)[:60]} is not one number; `where_not` leaves out a metric")
