"""Predictions of runs, or scores of their predictions, example by example, read file by file and cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from variability import advice
from variability.data import kinds
from variability.errors import UserError
from variability.io.artefacts import PREDICTED, read_record, require
from variability.results.metrics import scalars

if TYPE_CHECKING:
    import pyarrow as pa

Cell = tuple[str, str, str]
#: Kind of imported examples of which only scores are known: no plug-in of the family ``kinds``, as nothing is trained.
SCORES = "scores"


class Scored(NamedTuple):
    """Metric whose mean over the examples the scores have, and whether more of it is better."""

    metric: str
    higher_is_better: bool


class RunPredictions(NamedTuple):
    """Predictions of one run on one split.

    example_ids, y_true and y_pred: (examples,). probabilities: (examples, classes), or None. groups: (examples,) the
    group of each example, since examples of one group are not independent; None if all are. kind: of the task. If
    ``scored`` is not None, y_pred is the score of each example, kind is SCORES, and y_true is 0. n_classes: number of
    classes of the task, if it is known without the probabilities.
    """

    seed: int
    example_ids: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    probabilities: np.ndarray | None
    groups: np.ndarray | None = None
    kind: str = "classification"
    scored: Scored | None = None
    n_classes: int | None = None

    @property
    def clusters(self) -> np.ndarray | None:
        """See ``Cube.clusters``."""
        return _clusters(self.groups)

    @property
    def classes(self) -> int:
        """Number of classes of the task; 0 if it has none."""
        if self.n_classes is not None:
            return self.n_classes
        return 0 if self.probabilities is None else self.probabilities.shape[1]


@dataclass(frozen=True)
class Cube:
    """Completed runs of a cell, crossed with the examples that all of them predicted.

    seeds: (runs,); example_ids, y_true: (examples,); y_pred: (runs, examples). y_true and y_pred are class indices or
    floats, depending on the kind of the task. groups: (examples,) or None; scored: see ``RunPredictions``.
    """

    cell: Cell
    seeds: np.ndarray
    example_ids: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    groups: np.ndarray | None = None
    kind: str = "classification"
    scored: Scored | None = None

    @property
    def discrete(self) -> bool:
        """See ``is_discrete``."""
        return is_discrete(self.kind)

    @cached_property
    def losses(self) -> np.ndarray:
        """Loss of each prediction (runs, examples): see ``kinds.Kind.losses``, and 1 minus a score or the score."""
        if self.scored is not None:
            return 1 - self.y_pred if self.scored.higher_is_better else self.y_pred
        return kinds.find(self.kind).losses(self.y_true, self.y_pred)

    @cached_property
    def clusters(self) -> np.ndarray | None:
        """Number of each example's group, from 0 (examples,); None if no two examples share a group."""
        return _clusters(self.groups)

    @property
    def metric(self) -> str:
        """Metric that the mean of the losses gives."""
        return self.scored.metric if self.scored is not None else kinds.find(self.kind).LOSS_METRIC

    @property
    def higher_is_better(self) -> bool:
        """True if that metric is 1 minus the mean of the losses; otherwise it is the mean."""
        if self.scored is not None:
            return self.scored.higher_is_better
        return bool(scalars()[self.metric].HIGHER_IS_BETTER)


class Predictions:
    """Predictions of all runs, by cell. Files are read at each call, and their contents are not cached.

    readers: for every cell a function that reads the runs' predictions, called with phase, split and whether to read
    the probabilities, see ``runs``.
    """

    def __init__(self, readers: Mapping[Cell, Callable[[str, str, bool], Iterator[RunPredictions]]]):
        self._readers = dict(readers)

    @classmethod
    def from_manifests(cls, manifests: Sequence[Path]) -> Predictions:
        """Return the predictions that manifests of ``predict`` list, in folders named <model>/<task>/<method>.

        The order of the manifests does not matter: a config in another order reruns nothing.
        """
        files: dict[Cell, list[Path]] = {}
        for manifest in map(Path, manifests):
            runs = [manifest.parent / f"{run['seed']}.parquet" for run in read_record(manifest, PREDICTED)["runs"]]
            model, task, method = manifest.parent.parts[-3:]
            files.setdefault((model, task, method), []).extend(runs)
        return cls({cell: partial(_read_runs, sorted(files[cell], key=_seed)) for cell in sorted(files)})

    def with_others(self, readers: Mapping[Cell, Callable[[str, str, bool], Iterator[RunPredictions]]]) -> Predictions:
        """Return these predictions and those of other runs, perhaps of the same cells. readers: as of the class."""
        both = {
            cell: partial(_chained, self._readers[cell], readers[cell]) for cell in readers if cell in self._readers
        }
        return Predictions(self._readers | dict(readers) | both)

    @property
    def cells(self) -> list[Cell]:
        """All cells (model, task, method)."""
        return list(self._readers)

    def cells_of(self, task: str) -> list[Cell]:
        """Return the cells of a task."""
        return [cell for cell in self._readers if cell[1] == task]

    def only(self, cells: Collection[Cell]) -> Predictions:
        """Return the predictions of some cells alone."""
        return Predictions({cell: reader for cell, reader in self._readers.items() if cell in cells})

    @property
    def tasks(self) -> list[str]:
        """All tasks, in the order of the study."""
        return list(dict.fromkeys(task for _, task, _ in self._readers))

    def runs(
        self, cell: Cell, phase: str = "after", split: str = "test", probabilities: bool = True
    ) -> Iterator[RunPredictions]:
        """Yield the predictions of a cell's runs; a diverged run has none after fine-tuning and is left out.

        probabilities: whether to read them; they are most of a file. Raises UserError for a file that is missing or
        cannot be read.
        """
        return self._readers[cell](phase, split, probabilities)

    def cube(self, cell: Cell, phase: str = "after", split: str = "test") -> Cube | None:
        """Return the completed runs of a cell on the examples of a split; None if no run completed.

        Raises ValueError if the runs predicted different examples: then seeds and examples are not crossed.
        """
        runs = list(self.runs(cell, phase, split, probabilities=False))
        if not runs:
            return None
        first = runs[0]
        for run in runs[1:]:
            if not (np.array_equal(run.example_ids, first.example_ids) and np.array_equal(run.y_true, first.y_true)):
                raise ValueError(f"the runs of {'/'.join(cell)} have different {split} examples")
        seeds = np.array([run.seed for run in runs])
        y_pred = np.stack([run.y_pred for run in runs])
        return Cube(cell, seeds, first.example_ids, first.y_true, y_pred, first.groups, first.kind, first.scored)

    def scored(self, task: str) -> Scored | None:
        """Return the metric of a task of whose examples only scores are known; None for other tasks."""
        first = next((run for cell in self.cells_of(task) for run in self.runs(cell, probabilities=False)), None)
        return None if first is None else first.scored


def is_discrete(kind: str) -> bool:
    """Return whether two predictions of tasks of a kind either agree or disagree, as classes do."""
    return kind != SCORES and bool(kinds.find(kind).DISCRETE)


def unit(kind: str) -> str:
    """Return the unit of the difference between two predictions of tasks of a kind."""
    return "in units of the score" if kind == SCORES else kinds.find(kind).PREDICTION_UNIT


def verify(manifests: Sequence[Path]) -> None:
    """Compare the predictions that manifests of ``predict`` list with their checksums.

    Raises UserError naming the first file that differs.
    """
    for manifest in map(Path, manifests):
        for run in read_record(manifest, PREDICTED)["runs"]:
            require(manifest.parent / f"{run['seed']}.parquet", run["sha256"]["predictions"], PREDICTED.rule)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the predictions of one run, as ``predict`` stored them. columns: those to read; None for all.

    Raises UserError for a file that is missing or cannot be read.
    """
    import pyarrow.parquet as pq

    return _with_advice(path, partial(pq.read_table, columns=columns))


def select_rows(table: pa.Table, phase: str, split: str) -> pa.Table:
    """Return the rows of one phase and split of a run's predictions."""
    import pyarrow.compute as pc

    return table.filter(pc.and_(pc.equal(table["phase"], phase), pc.equal(table["split"], split)))


def _clusters(groups: np.ndarray | None) -> np.ndarray | None:
    if groups is None:
        return None
    names, numbers = np.unique(groups, return_inverse=True)
    return numbers if len(names) < len(numbers) else None


def _seed(path: Path) -> int:
    return int(path.stem)


def _read_runs(paths: Sequence[Path], phase: str, split: str, probabilities: bool) -> Iterator[RunPredictions]:
    columns = ["seed", "kind", "phase", "split", "example_id", "y_true", "y_pred"]
    for path in paths:
        grouped = ["group"] * ("group" in _column_names(path))
        table = select_rows(read_table(path, columns + grouped + ["probabilities"] * probabilities), phase, split)
        if table.num_rows:
            ids, y_true, y_pred = (table[name].to_numpy() for name in ("example_id", "y_true", "y_pred"))
            matrix = matrix_of(table["probabilities"]) if probabilities else None
            groups = table["group"].to_numpy() if grouped else None
            kind = table["kind"][0].as_py()
            yield RunPredictions(table["seed"][0].as_py(), ids, y_true, y_pred, matrix, groups, kind)


def _column_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return _with_advice(path, pq.read_schema).names


def _with_advice(path: Path, reader: Callable[[Path], Any]) -> Any:
    import pyarrow as pa

    try:
        return reader(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(advice.unreadable(path, error, "predict", path)) from error


def _chained(
    first: Callable[[str, str, bool], Iterator[RunPredictions]],
    second: Callable[[str, str, bool], Iterator[RunPredictions]],
    phase: str,
    split: str,
    probabilities: bool,
) -> Iterator[RunPredictions]:
    yield from first(phase, split, probabilities)
    yield from second(phase, split, probabilities)


def matrix_of(column: pa.ChunkedArray) -> np.ndarray | None:
    """Return a column of lists as (examples, classes); None if there are no probabilities, as in regression."""
    if column.null_count:
        return None
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)
