"""The table of the predictions of imported runs: one row per run, phase, split and example, cell after cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from variability import advice
from variability.errors import UserError
from variability.results.columns import CELL, RUN
from variability.results.predictions import Cell, RunPredictions, Scored, matrix_of, select_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

FILE = "imported_predictions.parquet"
#: ``source`` is the example's name in the imported file, ``label`` and ``answer`` are the names of the true and the
#: predicted class. ``metric`` and ``higher_is_better`` are those of scores.
COLUMNS = (
    *(*RUN, "kind", "phase", "split", "example_id", "source", "group", "y_true", "y_pred", "probabilities"),
    *("metric", "higher_is_better", "classes", "label", "answer"),
)
#: Columns that people read, and computations do not.
WORDS = ("source", "label", "answer")


def schema() -> pa.Schema:
    """Return the schema of the table."""
    import pyarrow as pa

    types = {name: pa.string() for name in COLUMNS}
    types |= dict.fromkeys(("seed", "example_id", "group", "classes"), pa.int64())
    types |= dict.fromkeys(("y_true", "y_pred"), pa.float64())
    types |= {"probabilities": pa.list_(pa.float32()), "higher_is_better": pa.bool_()}
    return pa.schema([(name, types[name]) for name in COLUMNS])


def write(examples: pd.DataFrame | None, path: Path) -> None:
    """Write the table, one row group for each cell, so that a cell is read without the others.

    examples: COLUMNS; None for a table without rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if examples is None:
        pq.write_table(schema().empty_table(), path)
        return
    order = examples.sort_values([*RUN, "phase", "split", "example_id"], kind="stable")
    with pq.ParquetWriter(path, schema()) as writer:
        for _, part in order.groupby(CELL, sort=False):
            writer.write_table(pa.Table.from_pandas(part[[*COLUMNS]], schema(), preserve_index=False))


def readers(path: Path) -> dict[Cell, Callable[[str, str, bool], Iterator[RunPredictions]]]:
    """Return, for every cell of the table, a function that reads its runs, see ``Predictions``."""
    with _opened(path) as file:
        if not file.metadata.num_rows:
            return {}
        cells = [file.read_row_group(group, columns=CELL).slice(0, 1).to_pylist()[0] for group in _groups(file)]
    return {
        (cell["model"], cell["task"], cell["method"]): partial(_read_runs, path, group)
        for group, cell in enumerate(cells)
    }


class Names(NamedTuple):
    """Names of a task's imported examples by example_id, and of its classes by index."""

    sources: dict[int, str]
    classes: dict[int, str]


def names(path: Path) -> dict[str, Names]:
    """Return the names of examples and classes of every task of the table."""
    import pyarrow.parquet as pq

    of_tasks: dict[str, Names] = {}
    with pq.ParquetFile(path) as file:
        for group in _groups(file) if file.metadata.num_rows else ():
            part = file.read_row_group(group, columns=["task", "example_id", *WORDS, "y_true", "y_pred"]).to_pandas()
            of_task = of_tasks.setdefault(part["task"].iloc[0], Names({}, {}))
            examples = part.drop_duplicates("example_id")
            of_task.sources.update(zip(examples["example_id"].tolist(), examples["source"], strict=True))
            for value, word in (("y_true", "label"), ("y_pred", "answer")):
                classes = part.dropna(subset=word).drop_duplicates(value)
                of_task.classes.update(zip(classes[value].astype(int).tolist(), classes[word], strict=True))
    return of_tasks


def _groups(file) -> range:
    return range(file.metadata.num_row_groups)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Yield an open table. Raises UserError, with the command that makes it again, if it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise UserError(advice.unreadable(path, error, "aggregate")) from error


def _read_runs(path: Path, group: int, phase: str, split: str, probabilities: bool) -> Iterator[RunPredictions]:
    unread = [*WORDS, *(["probabilities"] if not probabilities else [])]
    columns = [name for name in COLUMNS if name not in unread]
    with _opened(path) as file:
        table = select_rows(file.read_row_group(group, columns=columns), phase, split)
    # The rows of a run are next to each other.
    _, starts, counts = np.unique(table["seed"].to_numpy(), return_index=True, return_counts=True)
    for start, count in zip(starts, counts, strict=True):
        yield _run(table.slice(start, count), probabilities)


def _run(table: pa.Table, probabilities: bool) -> RunPredictions:
    kind, metric = table["kind"][0].as_py(), table["metric"][0].as_py()
    number = np.int64 if kind == "classification" else np.float64
    groups = table["group"].to_numpy() if not table["group"].null_count else None
    return RunPredictions(
        table["seed"][0].as_py(),
        table["example_id"].to_numpy(),
        table["y_true"].to_numpy().astype(number),
        table["y_pred"].to_numpy().astype(number),
        matrix_of(table["probabilities"]) if probabilities else None,
        groups,
        kind,
        Scored(metric, table["higher_is_better"][0].as_py()) if metric else None,
        table["classes"][0].as_py(),
    )
