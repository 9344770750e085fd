"""From a cell's predictions to metric values. Needs no accelerator: a new metric never trains anything."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry, remedies
from variability.errors import UserError
from variability.files import read_json, replacing
from variability.metrics import Metric

KEYS = ("model", "task", "method", "seed")
PHASES = ("before", "after")
SCHEMA = pa.schema(
    [(key, pa.string()) for key in KEYS[:3]]
    + [("seed", pa.int64())]
    + [(name, pa.string()) for name in ("phase", "split", "metric", "class", "predicted")]
    + [("value", pa.float64()), ("n_test", pa.int64()), ("majority", pa.float64())]
)


def score(predictions: Sequence[Path], task_json: Path, metrics: Sequence[str], target: Path) -> None:
    """Writes one table (SCHEMA) with all metrics of all runs of a cell.

    predictions: the manifests of its blocks; the parquet files that ``predict`` wrote, one per run, lie beside them.
    task_json: of the task (kind, class_names). metrics: names of plug-ins. A run that diverged has predictions of
    before fine-tuning only: its rows after it are written with value NaN and n_test 0, so that it is counted. ``majority`` is
    the share of the examples' most frequent class, below which nothing was learnt; missing in regression. Raises
    UserError naming the file for predictions that are gone, cannot be read or do not fit the task.
    """
    task = read_json(task_json)
    plugins = [registry.find("metrics", name)() for name in metrics]
    runs = [(manifest.parent, run["seed"]) for manifest in predictions for run in read_json(manifest)["runs"]]
    files = [folder / f"{seed}.parquet" for folder, seed in runs]
    rows = [row for path in files for row in _run_rows(path, task["class_names"], task["kind"], plugins)]
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    with replacing(target) as aside:
        pq.write_table(pa.table(arrays, schema=SCHEMA), aside)


def _run_rows(path: Path, class_names: Sequence[str], kind: str, plugins: list[Metric]) -> Iterator[tuple]:
    table = _read(path)
    if not table.num_rows:
        raise UserError(f"{path} holds no predictions, not even from before fine-tuning; {_again(path)}")
    run = tuple(table[key][0].as_py() for key in KEYS)
    phase, split = (np.asarray(table[name].to_pylist()) for name in ("phase", "split"))
    y_true, y_pred = table["y_true"].to_numpy(), table["y_pred"].to_numpy()
    probabilities = _probabilities(table, len(class_names), path) if kind == "classification" else None
    for each_phase in PHASES:
        for each_split in dict.fromkeys(split.tolist()):
            chosen = (phase == each_phase) & (split == each_split)
            place = (*run, each_phase, each_split)
            if not chosen.any():
                yield from ((*place, name, None, None, np.nan, 0, None) for plugin in plugins for name in plugin.NAMES)
                continue
            arrays = (y_true[chosen], y_pred[chosen], None if probabilities is None else probabilities[chosen])
            majority = np.bincount(arrays[0]).max() / chosen.sum() if kind == "classification" else None
            about = (int(chosen.sum()), majority)
            yield from ((*place, *row, *about) for row in values(plugins, class_names, *arrays))


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone; {remedies.again('predict')}") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error}); {_again(path)}") from error


def _again(path: Path) -> str:
    return remedies.again("predict", path)


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


def _probabilities(table: pa.Table, classes: int, path: Path) -> np.ndarray:
    column = table["probabilities"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    if len(flat) != table.num_rows * classes:
        raise UserError(f"{path}: probabilities are not those of {classes} classes; {_again(path)}")
    probabilities = flat.reshape(table.num_rows, classes)
    sums = probabilities.sum(axis=1, keepdims=True)
    if not np.allclose(sums, 1, atol=1e-2):
        raise UserError(f"{path}: probabilities do not sum to 1; {_again(path)}")
    return probabilities / sums
