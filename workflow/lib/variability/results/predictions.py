"""The predictions table: what every run said about every example, read cell by cell."""

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
from variability.io.files import read_json
from variability.results.metrics import scalars

if TYPE_CHECKING:
    import pyarrow as pa

Cell = tuple[str, str, str]


class RunPredictions(NamedTuple):
    """One run on one split: example_ids, y_true and y_pred (examples,), probabilities (examples, classes) or None.

    groups: (examples,) which of them are not independent of each other; None where all are. kind: what y is.
    """

    seed: int
    example_ids: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    probabilities: np.ndarray | None
    groups: np.ndarray | None = None
    kind: str = "classification"

    @property
    def clusters(self) -> np.ndarray | None:
        """See ``Cube.clusters``."""
        return _clusters(self.groups)


@dataclass(frozen=True)
class Cube:
    """The completed runs of a cell crossed with the examples they all saw.

    seeds: (runs,); example_ids, y_true: (examples,); y_pred: (runs, examples). y is what the kind of the task makes it:
    a class index, or a float in regression. groups: (examples,) or None, see ``RunPredictions``.
    """

    cell: Cell
    seeds: np.ndarray
    example_ids: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    groups: np.ndarray | None = None
    kind: str = "classification"

    @property
    def discrete(self) -> bool:
        """Whether predictions agree or do not, as classes do."""
        return kinds.find(self.kind).DISCRETE

    @cached_property
    def losses(self) -> np.ndarray:
        """(runs, examples): what each prediction costs, see ``kinds.Kind.losses``."""
        return kinds.find(self.kind).losses(self.y_true, self.y_pred)

    @cached_property
    def clusters(self) -> np.ndarray | None:
        """(examples,): the number of each one's group, from 0; None where every example is a group of its own."""
        return _clusters(self.groups)

    @property
    def metric(self) -> str:
        """The metric that the mean of the losses gives."""
        return kinds.find(self.kind).LOSS_METRIC

    @property
    def higher_is_better(self) -> bool:
        """Whether that metric is 1 less the mean of the losses; else it is the mean."""
        return scalars()[self.metric].HIGHER_IS_BETTER


class Predictions:
    """The predictions of all runs, by cell; nothing is read before it is asked for, and nothing is kept.

    sources: for every cell, what reads its runs' (phase, split, probabilities?), see ``runs``.
    """

    def __init__(self, sources: Mapping[Cell, Callable[[str, str, bool], Iterator[RunPredictions]]]):
        self._sources = dict(sources)

    @classmethod
    def of(cls, manifests: Sequence[Path]) -> Predictions:
        """Of the manifests of ``predict``, whose folders are named <model>/<task>/<method>."""
        files: dict[Cell, list[Path]] = {}
        for manifest in map(Path, manifests):
            runs = [manifest.parent / f"{run['seed']}.parquet" for run in read_json(manifest)["runs"]]
            files.setdefault(manifest.parent.parts[-3:], []).extend(runs)
        return cls({cell: partial(_runs, paths) for cell, paths in files.items()})

    @property
    def cells(self) -> list[Cell]:
        """(model, task, method) of all cells, in the order of the study."""
        return list(self._sources)

    def cells_of(self, task: str) -> list[Cell]:
        return [cell for cell in self._sources if cell[1] == task]

    def only(self, cells: Collection[Cell]) -> Predictions:
        """The predictions of some cells, in the order they are in here."""
        return Predictions({cell: source for cell, source in self._sources.items() if cell in cells})

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for _, task, _ in self._sources))

    def runs(
        self, cell: Cell, phase: str = "after", split: str = "test", probabilities: bool = True
    ) -> Iterator[RunPredictions]:
        """The runs of a cell, one after another; a diverged run has none after fine-tuning and is left out.

        probabilities: whether they are read; they are most of a file. Raises UserError for a file that is gone or
        cannot be read.
        """
        return self._sources[cell](phase, split, probabilities)

    def cube(self, cell: Cell, phase: str = "after", split: str = "test") -> Cube | None:
        """The completed runs of a cell on the examples of a split; None where no run completed.

        Raises ValueError if the runs did not see the same examples: then seeds and examples are not crossed.
        """
        runs = list(self.runs(cell, phase, split, probabilities=False))
        if not runs:
            return None
        first = runs[0]
        for run in runs[1:]:
            if not (np.array_equal(run.example_ids, first.example_ids) and np.array_equal(run.y_true, first.y_true)):
                raise ValueError(f"the runs of {'/'.join(cell)} did not see the same {split} examples")
        seeds = np.array([run.seed for run in runs])
        said = np.stack([run.y_pred for run in runs])
        return Cube(cell, seeds, first.example_ids, first.y_true, said, first.groups, first.kind)


def _clusters(groups: np.ndarray | None) -> np.ndarray | None:
    if groups is None:
        return None
    found, numbers = np.unique(groups, return_inverse=True)
    return numbers if len(found) < len(numbers) else None


def _runs(paths: Sequence[Path], phase: str, split: str, probabilities: bool) -> Iterator[RunPredictions]:
    columns = ["seed", "kind", "phase", "split", "example_id", "y_true", "y_pred"]
    for path in paths:
        grouped = ["group"] * ("group" in _names(path))
        table = _rows(_read(path, columns + grouped + ["probabilities"] * probabilities), phase, split)
        if table.num_rows:
            ids, y_true, y_pred = (table[name].to_numpy() for name in ("example_id", "y_true", "y_pred"))
            shares = _matrix(table["probabilities"]) if probabilities else None
            groups = table["group"].to_numpy() if grouped else None
            kind = table["kind"][0].as_py()
            yield RunPredictions(table["seed"][0].as_py(), ids, y_true, y_pred, shares, groups, kind)


def _names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return _reading(path, pq.read_schema).names


def _read(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    return _reading(path, partial(pq.read_table, columns=columns))


def _reading(path: Path, reader: Callable[[Path], Any]) -> Any:
    import pyarrow as pa

    try:
        return reader(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone; {advice.rerun('predict')}") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error}); {advice.rerun('predict', path)}") from error


def _rows(table: pa.Table, phase: str, split: str) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.and_(pc.equal(table["phase"], phase), pc.equal(table["split"], split)))


def _matrix(column: pa.ChunkedArray) -> np.ndarray | None:
    """(examples, classes) of a column of lists; None in regression, which has no probabilities."""
    if column.null_count:
        return None
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)
