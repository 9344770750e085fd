"""Metric values from a task's predictions. Needs no accelerator: a new metric never retrains anything."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from variability import advice, registry
from variability.data import kinds
from variability.data.kinds import Kind
from variability.errors import UserError
from variability.io.artefacts import LABELS, PREDICTED, damage_of_stamped, read_record, require, stamped, write_record
from variability.io.files import digest, sha256
from variability.results import predictions, score_table
from variability.results.columns import RUN
from variability.results.metrics import Metric

_log = logging.getLogger(__name__)


def score(
    manifests: Sequence[Path], task_json: Path, metrics: Sequence[str], code: str, folder: Path, manifest: Path
) -> None:
    """Write a score table for each cell of a task, with all metrics of its runs, and the manifest of the tables.

    manifests: of ``predict``, in folders named <model>/<task>/<method> that also hold the parquet files, one per run.
    task_json: of the task (kind, class_names). metrics: names of plug-ins. code: digest of the code that the result
    depends on. folder: receives <model>/<method>.parquet; a table that already has the right fingerprint is reused
    unchanged. The manifest is {tables: {path relative to folder: sha256}}.

    A run that diverged has predictions from before fine-tuning only: its rows from after it have the value NaN and
    n_test 0, so that it is counted. ``majority`` is the share of the examples' most frequent class, the accuracy of a
    network that has learnt nothing else; missing if there are no classes. Raises UserError naming the file for
    predictions that are missing, cannot be read or do not fit the task.
    """
    task = read_record(task_json, LABELS)
    kind = kinds.find(task["kind"])
    cells: dict[Path, list[dict]] = {}
    for block in manifests:
        cells.setdefault(block.parent, []).extend(read_record(block, PREDICTED)["runs"])
    tables = {}
    for cell, runs in cells.items():
        if task.get("name", cell.parts[-2]) != cell.parts[-2]:
            raise UserError(f"{task_json} is that of another task, {task['name']!r}; {advice.rerun(LABELS.rule)}")
        name = f"{cell.parts[-3]}/{cell.name}.parquet"
        checksums = [run["sha256"]["predictions"] for run in runs]
        inputs = {"predictions": checksums, "classes": task["class_names"], "metrics": metrics, "code": code}
        fingerprint = digest(inputs)
        if not stamped(folder / name, fingerprint):
            if damage := damage_of_stamped(folder / name, fingerprint):
                _log.warning("%s; it is made again", damage)
            plugins = [registry.find("metrics", metric)() for metric in metrics]
            files = [require(cell / f"{run['seed']}.parquet", run["sha256"]["predictions"], "predict") for run in runs]
            rows = [row for path in files for row in _rows_of_run(path, task["class_names"], kind, plugins)]
            score_table.write(rows, fingerprint, folder / name)
        tables[name] = sha256(folder / name)
    write_record(manifest, {"tables": tables})


def _rows_of_run(path: Path, class_names: Sequence[str], kind: Kind, plugins: Sequence[Metric]) -> Iterator[tuple]:
    """Yield the rows of a score table that belong to one run."""
    table = predictions.read_table(path)
    if not table.num_rows:
        message = f"{path} contains no predictions, not even from before fine-tuning"
        raise UserError(f"{message}; {advice.rerun('predict', path)}")
    run = tuple(table[key][0].as_py() for key in RUN)
    for phase in score_table.PHASES:
        for split in table["split"].unique().to_pylist():
            rows = predictions.select_rows(table, phase, split)
            start = (*run, phase, split)
            if not rows.num_rows:
                yield from ((*start, name, None, None, np.nan, 0, None) for plugin in plugins for name in plugin.NAMES)
                continue
            y_true, y_pred = rows["y_true"].to_numpy(), rows["y_pred"].to_numpy()
            try:
                probabilities = kind.probabilities(rows, len(class_names))
            except ValueError as error:
                raise UserError(f"{path}: {error}; {advice.rerun('predict', path)}") from error
            end = (rows.num_rows, kind.majority(y_true))
            for values in compute_values(plugins, class_names, y_true, y_pred, probabilities):
                yield (*start, *values, *end)


def compute_values(
    plugins: Sequence[Metric],
    class_names: Sequence[str],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    probabilities: np.ndarray | None,
) -> Iterator[tuple[str, str | None, str | None, float]]:
    """Yield (metric, class, predicted class, value) of all that the plug-ins compute from one set of predictions.

    Arguments other than class_names are those of ``Metric.compute``.
    """
    for plugin in plugins:
        for name, value in plugin.compute(y_true, y_pred, probabilities).items():
            yield name, None, None, value
        breakdown = registry.name_of(type(plugin))
        for classes, value in plugin.per_class(y_true, y_pred, probabilities).items():
            names = [class_names[index] for index in classes] + [None]
            yield breakdown, names[0], names[1], value
