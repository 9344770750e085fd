"""From a task's predictions to metric values. Needs no accelerator: a new metric never trains anything."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import advice, registry
from variability.data import kinds
from variability.data.kinds import Kind
from variability.errors import UserError
from variability.io.files import digest, read_json, replacing, sha256, write_json
from variability.results.columns import CELL, RUN
from variability.results.metrics import Metric

PHASES = ("before", "after")
METADATA = b"variability"
SCHEMA = pa.schema(
    [(key, pa.string()) for key in CELL]
    + [("seed", pa.int64())]
    + [(name, pa.string()) for name in ("phase", "split", "metric", "class", "predicted")]
    + [("value", pa.float64()), ("n_test", pa.int64()), ("majority", pa.float64())]
)


def score(
    predictions: Sequence[Path], task_json: Path, metrics: Sequence[str], code: str, folder: Path, manifest: Path
) -> None:
    """Writes a table (SCHEMA) for each cell of a task, with all metrics of its runs, and the manifest of the tables.

    predictions: the manifests of ``predict``, in folders named <model>/<task>/<method>; the parquet files, one per run,
    lie beside them. task_json: of the task (kind, class_names). metrics: names of plug-ins. code: digest of the code
    that the result depends on. folder: gets <model>/<method>.parquet; a table that is there with the fingerprint it
    would get is taken as it is. The manifest says {tables: {path relative to folder: sha256}}.

    A run that diverged has predictions of before fine-tuning only: its rows after it are written with value NaN and
    n_test 0, so that it is counted. ``majority`` is the share of the examples' most frequent class, below which nothing
    was learnt; missing where there are no classes. Raises UserError naming the file for predictions that are gone,
    cannot be read or do not fit the task.
    """
    task = read_json(task_json)
    kind = kinds.find(task["kind"])
    cells: dict[Path, list[dict]] = {}
    for block in predictions:
        cells.setdefault(block.parent, []).extend(read_json(block)["runs"])
    tables = {}
    for cell, runs in cells.items():
        name = f"{cell.parts[-3]}/{cell.name}.parquet"
        said = [run["sha256"]["predictions"] for run in runs]
        fingerprint = digest({"predictions": said, "classes": task["class_names"], "metrics": metrics, "code": code})
        if _fingerprint(folder / name) != fingerprint:
            plugins = [registry.find("metrics", metric)() for metric in metrics]
            files = [cell / f"{run['seed']}.parquet" for run in runs]
            rows = [row for path in files for row in _run_rows(path, task["class_names"], kind, plugins)]
            _write(rows, fingerprint, folder / name)
        tables[name] = sha256(folder / name)
    write_json(manifest, {"tables": tables})


def _fingerprint(table: Path) -> str | None:
    try:
        return json.loads((pq.read_schema(table).metadata or {}).get(METADATA, b"null"))
    except (OSError, pa.ArrowException):
        return None


def _write(rows: Sequence[tuple], fingerprint: str, target: Path) -> None:
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    table = pa.table(arrays, schema=SCHEMA).replace_schema_metadata({METADATA: json.dumps(fingerprint)})
    with replacing(target) as aside:
        pq.write_table(table, aside)


def _run_rows(path: Path, class_names: Sequence[str], kind: Kind, plugins: list[Metric]) -> Iterator[tuple]:
    table = _read(path)
    if not table.num_rows:
        raise UserError(f"{path} holds no predictions, not even from before fine-tuning; {_again(path)}")
    run = tuple(table[key][0].as_py() for key in RUN)
    phase, split = (np.asarray(table[name].to_pylist()) for name in ("phase", "split"))
    y_true, y_pred = table["y_true"].to_numpy(), table["y_pred"].to_numpy()
    try:
        probabilities = kind.probabilities(table, len(class_names))
    except ValueError as error:
        raise UserError(f"{path}: {error}; {_again(path)}") from error
    for each_phase in PHASES:
        for each_split in dict.fromkeys(split.tolist()):
            chosen = (phase == each_phase) & (split == each_split)
            place = (*run, each_phase, each_split)
            if not chosen.any():
                yield from ((*place, name, None, None, np.nan, 0, None) for plugin in plugins for name in plugin.NAMES)
                continue
            arrays = (y_true[chosen], y_pred[chosen], None if probabilities is None else probabilities[chosen])
            about = (int(chosen.sum()), kind.majority(arrays[0]))
            yield from ((*place, *row, *about) for row in values(plugins, class_names, *arrays))


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone; {advice.rerun('predict')}") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error}); {_again(path)}") from error


def _again(path: Path) -> str:
    return advice.rerun("predict", path)


def values(
    plugins: Sequence[Metric],
    class_names: Sequence[str],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    probabilities: np.ndarray | None,
) -> Iterator[tuple[str, str | None, str | None, float]]:
    """Metric, class, predicted class and value of everything the plug-ins compute from one set of predictions."""
    for plugin in plugins:
        for name, value in plugin.compute(y_true, y_pred, probabilities).items():
            yield name, None, None, value
        breakdown = registry.name_of(type(plugin))
        for place, value in plugin.per_class(y_true, y_pred, probabilities).items():
            names = [class_names[at] for at in place] + [None]
            yield breakdown, names[0], names[1], value
