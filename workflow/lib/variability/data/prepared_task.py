"""Prepared tasks: stored examples, labels, and the split of each example."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability.advice import RERUN_PREPARE
from variability.data import kinds, modalities, splits
from variability.errors import UserError
from variability.io.artefacts import TASK, read_record, require

#: The files in the folder of task.json, by the names of their checksums.
FILES = {"inputs": "inputs.npy", "examples": "examples.parquet"}


@dataclass(frozen=True)
class PreparedTask:
    """A task whose examples stay on disk until they are indexed.

    path: its task.json. kind_name, modality_name: names of the plug-ins. class_names: in label order. facts: properties
    of the stored examples that reading them needs, as ``Modality.write`` returned them. label_facts: properties of the
    labels, as ``Kind.facts`` returned them. split: the config's ``split``. counts: examples per split (of the task's
    own split, if runs resample). sha256: checksums of FILES. label_names: see ``datasets.Examples``; empty if labels
    are their own names.
    """

    path: Path
    kind_name: str
    modality_name: str
    class_names: list[str]
    facts: dict[str, Any]
    label_facts: dict[str, Any]
    split: dict[str, Any]
    counts: dict[str, int]
    sha256: dict[str, str]
    label_names: list[str]

    @classmethod
    def open(cls, task_json: Path) -> "PreparedTask":
        """Open a task by its task.json, whose folder holds the data.

        Raises UserError naming the first missing file.
        """
        for path in (Path(task_json), *(Path(task_json).parent / file for file in FILES.values())):
            if not path.is_file():
                raise UserError(f"{path} is missing; {RERUN_PREPARE}")
        stored = read_record(task_json, TASK)
        return cls(
            path=Path(task_json),
            kind_name=stored["kind"],
            modality_name=stored["modality"],
            class_names=stored["class_names"],
            facts=stored["facts"],
            label_facts=stored["target"],
            split=stored["split"],
            counts=stored["counts"],
            sha256=stored["sha256"],
            label_names=stored.get("label_names", []),
        )

    @property
    def name(self) -> str:
        """The task's name in the config."""
        return self.path.parent.name

    @property
    def inputs(self) -> np.ndarray:
        """The examples as the modality stored them, (n, ...), a read-only memory map."""
        return self._inputs

    @cached_property
    def _inputs(self) -> np.ndarray:
        return np.load(self.path.parent / FILES["inputs"], mmap_mode="r", allow_pickle=False)

    @property
    def labels(self) -> np.ndarray:
        """(n,): int64 classes, or float64 numbers."""
        return self._columns["label"]

    @property
    def groups(self) -> np.ndarray | None:
        """int64 (n,): examples with the same number depend on each other; None if all are independent."""
        return self._columns.get("group")

    @cached_property
    def kind(self) -> kinds.Kind:
        """The plug-in that defines labels, loss and predictions."""
        return kinds.find(self.kind_name, self.label_facts)

    @cached_property
    def modality(self) -> modalities.Modality:
        """The plug-in that stores and reads the examples."""
        return modalities.find(self.modality_name)

    @property
    def contents(self) -> np.ndarray:
        """int64 (n,): id of the first example with the same content."""
        return self._columns.get("content", self.example_ids)

    @property
    def sources(self) -> pa.StringArray:
        """(n,) origin of each example in the data set: a file, or a file and a line."""
        return self._sources

    @cached_property
    def _sources(self) -> pa.StringArray:
        return pq.read_table(self.path.parent / FILES["examples"], columns=["source"])["source"].combine_chunks()

    @property
    def example_ids(self) -> np.ndarray:
        """int64 (n,): positions in the data set as shipped."""
        return self._columns["example_id"]

    def rows(self, split: str, seed: int) -> np.ndarray:
        """Return the row numbers of a split, ascending int64.

        split: train, validation or test. seed: the run's, which determines training and validation if the task
        resamples; otherwise they are the same for every run.
        """
        if split not in ("train", "validation", "test"):
            raise ValueError(f"unknown split {split!r}")
        names = self._columns["split"]
        if self.split["resample"] and split != "test":
            strata, strata_names = self.kind.strata(self.labels, self.class_names)
            partition = self._columns["partition"]
            options = (self.split, strata_names, self.contents, seed, self.groups)
            names = splits.resample(strata, partition, names, *options)
        return np.flatnonzero(names == split)

    def previews(self, rows: Sequence[int]) -> list[dict[str, str]]:
        """Return what people look at for the examples of some rows, see ``Modality.previews``."""
        return self.modality.previews(self, rows)

    @property
    def outputs(self) -> int:
        """Number of units of the head."""
        return self.kind.outputs(self.class_names, self.facts)

    @property
    def may_train(self) -> np.ndarray:
        """(n,) bool: rows on which some run trains."""
        return ~np.isin(self._columns["split"], ("validation", "test"))

    def verify(self) -> None:
        """Compare the files with their checksums; raise UserError naming the first that differs."""
        for name, file in FILES.items():
            require(self.path.parent / file, self.sha256[name], "prepare")

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        path = self.path.parent / FILES["examples"]
        table = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name != "source"])
        return {name: table[name].to_numpy() for name in table.column_names}


def open_task(task_json: Path) -> PreparedTask:
    """Open a task and verify the checksums of its files, which fingerprints are computed from."""
    task = PreparedTask.open(task_json)
    task.verify()
    return task
