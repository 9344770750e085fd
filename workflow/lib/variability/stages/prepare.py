"""Stage ``prepare``: sample the splits of a task and decode its examples, once."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry
from variability.advice import plural
from variability.data import duplicates, kinds, modalities, splits
from variability.data.datasets import Examples, UnreadableExamples
from variability.data.prepared_task import FILES
from variability.errors import UserError
from variability.io.artefacts import DATASET, require_folder, write_record
from variability.io.files import replacing, sha256

_log = logging.getLogger(__name__)

#: Sources that are converted at a time.
_CHUNK = 100_000
#: Times that the splits are sampled again because equal examples turn up. Then all examples are compared.
_ATTEMPTS = 4
#: Reason of examples that are left out because they cannot be read, and number of those that task.json names.
_UNREADABLE, _NAMED = "cannot be read", 100


def prepare(task: dict[str, Any], folder: Path | None, target: Path, threads: int = 1) -> None:
    """Write inputs.npy, examples.parquet and task.json to ``target``.

    task: ``{name, dataset, options, kind, modality, input, split}``. folder: the one that ``download`` filled, next to
    its manifest, or None. threads: number of examples to read at a time; it does not change the result. Raises
    UserError if a downloaded file is missing, the split cannot be sampled, an example cannot be read, or most of the
    held-out examples are also in training. task.json is written last, and does not exist after an error.
    """
    started = time.perf_counter()
    (target / "task.json").unlink(missing_ok=True)
    if folder is not None:
        _require_downloaded(task["name"], folder)
    kind, modality = registry.find("kinds", task["kind"]), modalities.find(task["modality"], task["input"])
    examples = registry.find("datasets", task["dataset"])(task["options"]).load(folder)
    prepared = _Preparation(task, examples, kind(), modality, target / FILES["inputs"], threads)
    prepared.split_and_store()
    names = prepared.stored_names[prepared.rows]
    pool = examples.labels[prepared.rows][np.isin(names, ("train", splits.POOL))]
    if problem := kind.label_problem(pool, examples.class_names):
        raise UserError(f"{task['name']}: {problem}; correct the labels, or use other data")
    source = examples.source or _positions(examples.partition)
    counted = prepared.duplicates(source)
    duplicates.require_separate(
        task["split"].get("duplicates", "group"), counted, Counter(names.tolist()), task["name"]
    )
    remarks = [*examples.remarks, *duplicates.in_words(counted)]
    for remark in remarks:
        _log.warning("%s: %s", task["name"], remark)
    left_out = dict(examples.left_out)
    if prepared.unreadable:
        left_out[_UNREADABLE] = len(prepared.unreadable)
    for reason, count in left_out.items():
        _log.warning("%s: left out: %d, %s", task["name"], count, reason)
    _write_examples(target / FILES["examples"], prepared, _sources(source, prepared.rows), kind.LABEL_TYPE)
    counts = Counter(prepared.split_names.tolist())
    write_record(
        target / "task.json",
        {
            "name": task["name"],
            "kind": task["kind"],
            "modality": task["modality"],
            # With these, other files are read as these were.
            "input": task["input"],
            "value_range": task["options"].get("range"),
            "class_names": list(examples.class_names),
            "label_names": list(examples.label_names),
            "facts": prepared.facts,
            "target": kind.facts(pool),
            "counts": {split: counts[split] for split in ("train", "validation", "test")},
            "split": task["split"],
            "duplicates": counted,
            "remarks": remarks,
            "left_out": left_out,
            "unreadable": prepared.unreadable[:_NAMED],
            "sha256": {name: sha256(target / file) for name, file in FILES.items()},
        },
    )
    summary = [f"{counts[split]} {split}" for split in ("train", "validation", "test")]
    unused = int(np.count_nonzero((prepared.stored_names == "") & (prepared.partition != splits.LEFT_OUT)))
    summary += [f"{unused} in none of these"] if unused else []
    summary += [plural(len(examples.class_names), "class", "classes")] if examples.class_names else []
    _log.info("%s: %s, %.1f s", task["name"], ", ".join(summary), time.perf_counter() - started)


class _Preparation:
    """Sampling of a task's splits and storage of their examples, until no content is in two splits of one pool.

    rows: (m,) stored examples, ascending. split_names, stored_names: (n,) see ``splits``. contents: (n,) number of the
    first stored example with the same content. groups: (n,) those of the data set, joined where they share a content,
    or None. partition: (n,) that of the data set, or LEFT_OUT. unreadable: files and rows that cannot be read, with the
    reasons.
    """

    def __init__(
        self,
        task: dict[str, Any],
        examples: Examples,
        kind: kinds.Kind,
        modality: modalities.Modality,
        path: Path,
        threads: int,
    ):
        self._task, self._examples, self._modality = task, examples, modality
        self._path, self._threads = path, threads
        self._strata = kind.strata(examples.labels, examples.class_names)
        self.contents = np.arange(len(examples))
        self._digests: dict[int, bytes] = {}
        self.groups = examples.groups
        self.partition, self.unreadable = examples.partition, list(examples.unreadable)
        self.rows = np.empty(0, np.int64)
        self.facts: dict[str, Any] = {}

    def split_and_store(self) -> None:
        """Sample and store. Only examples that were stored can be compared, so a sample may have to be corrected."""
        self._sample()
        for _ in range(_ATTEMPTS):
            self._store(np.flatnonzero(self.stored_names != ""))
            before = self.split_names, self.stored_names
            self._sample()
            if all(map(np.array_equal, before, (self.split_names, self.stored_names))):
                return
        self._store(np.arange(len(self._examples)))
        self._sample()
        self._store(np.flatnonzero(self.stored_names != ""))

    def duplicates(self, source: Callable[[int], str]) -> dict[str, Any]:
        """Return the report on equal examples. source: returns the source of an example."""
        known = np.array(sorted(self._digests), np.int64)
        of_known = (self.stored_names[known], self.contents[known], self._examples.labels[known])
        return duplicates.report(*of_known, lambda index: source(int(known[index])))

    def _sample(self) -> None:
        (strata, names), split, partition = self._strata, self._task["split"], self.partition
        contents = None if split.get("duplicates") == "allow" else self.contents
        try:
            self.split_names = splits.sample(strata, partition, split, names, self.groups, contents)
        except UserError as error:
            raise UserError(f"tasks.{self._task['name']}.{error}") from error
        self.stored_names = splits.stored(self.split_names, partition, split, contents)

    def _store(self, rows: np.ndarray) -> None:
        """Write the examples of some rows, and compare their contents with all that were stored before.

        Those that cannot be read are left out if the data set allows it; others then take their part of the splits.
        """
        rows = rows[self.partition[rows] != splits.LEFT_OUT]
        if np.array_equal(rows, self.rows):
            return
        try:
            self.facts = self._modality.write(self._path, self._examples, rows, self._task["name"], self._threads)
        except UnreadableExamples as error:
            if not self._examples.skips_unreadable:
                raise
            self.unreadable += error.reasons.values()
            self.partition = self.partition.astype("<U10")
            self.partition[list(error.reasons)] = splits.LEFT_OUT
            self._store(rows)
            return
        self.rows = rows
        digests = self._modality.digests(np.load(self._path, mmap_mode="r", allow_pickle=False), len(rows))
        if digests is None:
            return
        self._digests.update(zip(rows.tolist(), digests, strict=True))
        known = np.array(sorted(self._digests))
        self.contents[known] = duplicates.number([self._digests[row] for row in known.tolist()], known)
        if self.groups is not None and self._task["split"].get("duplicates") != "allow":
            self.groups = duplicates.join(self.groups, self.contents)


def _sources(source: Callable[[int], str], rows: np.ndarray) -> pa.ChunkedArray:
    """Return the source of each row."""
    chunks = [[source(row) for row in rows[start : start + _CHUNK].tolist()] for start in range(0, len(rows), _CHUNK)]
    return pa.chunked_array(chunks, pa.string())


def _positions(partition: np.ndarray) -> Callable[[int], str]:
    """Return a function that names an example by its position in its partition, such as ``train[17]``."""
    position = np.empty(len(partition), np.int64)
    for name in np.unique(partition):
        members = np.flatnonzero(partition == name)
        position[members] = np.arange(len(members))
    return lambda index: f"{partition[index]}[{position[index]}]"


def _require_downloaded(name: str, folder: Path) -> None:
    """Raise UserError naming the first file that is missing, or is not the one that ``download`` wrote."""
    try:
        require_folder(folder.parent / "manifest.json", DATASET)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def _write_examples(path: Path, prepared: _Preparation, sources: pa.ChunkedArray, label_type: type) -> None:
    """Write one row per stored example."""
    rows, examples = prepared.rows, prepared._examples
    columns = {
        "example_id": pa.array(rows.astype(np.int64)),
        "label": pa.array(examples.labels[rows].astype(label_type)),
        "split": pa.array(prepared.stored_names[rows].tolist(), pa.string()),
        "partition": pa.array(examples.partition[rows].tolist(), pa.string()),
        "source": sources,
    }
    if prepared.groups is not None:
        columns["group"] = pa.array(prepared.groups[rows].astype(np.int64))
    if (prepared.contents[rows] != rows).any():
        columns["content"] = pa.array(prepared.contents[rows].astype(np.int64))
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
