"""Reference probes: a regularised linear model of the frozen features of each network, for each task."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from variability import registry
from variability.advice import plural
from variability.data.prepared_task import PreparedTask, open_task
from variability.io.artefacts import TASK, damage_of_stamped, read_record, stamped, write_record
from variability.io.files import digest, sha256
from variability.results import probe_table
from variability.stages.score import compute_values
from variability.stats.linear_models import FITS, LinearModel
from variability.training.pooled_features import PooledFeatures

_log = logging.getLogger(__name__)

#: Strengths of the penalty, from the strongest; see ``linear_models``.
STRENGTHS = tuple(float(10.0**power) for power in np.arange(3, -6.5, -0.5))
#: Strengths after the best one so far after which the rest of the path, which overfits more, is not fitted.
PATIENCE = 4
#: Folds of the training examples that choose the strength if there are no validation examples.
FOLDS = 5
#: More than WORK (examples x features x outputs) would take minutes: then this many training examples are used, evenly
#: spaced in the order of the labels, but at least MIN_EXAMPLES.
WORK = 5 * 10**8
MIN_EXAMPLES = 2000


def reference_probe(
    spec: Mapping[str, Any], tasks: Mapping[str, Path], features: Sequence[Path], code: str, manifest: Path
) -> None:
    """Write a table for each model on each task, next to the manifest, and the manifest {tables: {path: sha256}}.

    spec: {pairs: [{model, task, features, reason, seeds}], metrics: {task: plug-ins}}, see ``config.probe_plan``.
    tasks: {name: task.json}. features: manifests of the activations of those pairs that have some, in their order.
    code: digest of the code that the result depends on. A table with the right fingerprint is reused unchanged.

    The linear model is fitted on the training examples alone. Its strength is the one with the lowest loss on the
    validation examples; it is not fitted again with them. The test examples only evaluate it.
    """
    folder, tables, stored = manifest.parent, {}, iter(features)
    for pair in spec["pairs"]:
        path = folder / pair["model"] / f"{pair['task']}.parquet"
        source = PooledFeatures(next(stored)) if pair["features"] else None
        task_json, metrics = tasks[pair["task"]], spec["metrics"][pair["task"]]
        content = {key: read_record(task_json, TASK)[key] for key in ("sha256", "split", "target", "class_names")}
        inputs = {"pair": pair, "metrics": metrics, "task": content, "features": source and source.sha256, "code": code}
        if not stamped(path, digest(inputs)):
            if damage := damage_of_stamped(path, digest(inputs)):
                _log.warning("%s; it is made again", damage)
            keys = {"model": pair["model"], "task": pair["task"]}
            rows = [keys | row for row in _rows(pair, source, task_json, metrics)]
            probe_table.write(rows, path, digest(inputs))
        tables[path.relative_to(folder).as_posix()] = sha256(path)
    write_record(manifest, {"tables": tables})


def _rows(
    pair: Mapping[str, Any], source: PooledFeatures | None, task_json: Path, metrics: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a model on a task."""
    if source is None or source.reason:
        yield {"note": source.reason if source else pair["reason"]}
        return
    task = open_task(task_json)
    plugins = [registry.find("metrics", name)() for name in metrics]
    for seed in pair["seeds"] or [None]:
        yield from ({"seed": seed} | row for row in _fitted(task, source, seed, plugins))


def _fitted(task: PreparedTask, source: PooledFeatures, seed: int | None, plugins: list) -> Iterator[dict[str, Any]]:
    """Yield the values of the probe of one split."""
    started = time.perf_counter()
    splits = {name: task.rows(name, seed or 0) for name in ("train", "validation", "test")}
    every = np.concatenate(list(splits.values()))
    ends = np.cumsum([len(rows) for rows in splits.values()])
    vectors = dict(zip(splits, np.split(source.rows(every), ends[:-1]), strict=True))
    train = _sample(task.labels[splits["train"]], vectors["train"].shape[1] * task.outputs)
    features, labels = vectors["train"][train], task.labels[splits["train"]][train]
    if len(splits["validation"]):
        strength, model = _best(task, features, labels, vectors["validation"], task.labels[splits["validation"]])
    else:
        strength = _strength_by_folds(task, features, labels)
        model = list(_path(task, features, labels, STRENGTHS[: STRENGTHS.index(strength) + 1]))[-1]
    facts = {
        "estimator": task.kind.PROBE,
        "strength": strength,
        "n_train": len(labels),
        "n_validation": len(splits["validation"]),
        "n_features": features.shape[1],
    }
    if len(labels) < len(splits["train"]):
        facts["note"] = f"fitted on {len(labels)} of {plural(len(splits['train']), 'training example')}"
    if not len(splits["validation"]):
        facts["note"] = "; ".join([*filter(None, [facts.get("note")]), f"strength chosen in {FOLDS} folds of training"])
    rows = []
    for split in ("validation", "test"):
        if len(splits[split]):
            outputs, truth = model.outputs(vectors[split]), task.labels[splits[split]]
            values = _values(task, plugins, outputs, truth)
            rows += [
                {"split": split, "metric": name, "value": value, "n_examples": len(truth)} for name, value in values
            ]
    facts["seconds"] = time.perf_counter() - started
    of_seed = "" if seed is None else f", split of seed {seed}"
    in_digits = np.format_float_positional(strength, precision=2, fractional=False, trim="-")
    _log.info("%s, reference probe%s: strength %s, %.1f s", task.name, of_seed, in_digits, facts["seconds"])
    yield from (row | facts for row in rows)


def _path(task: PreparedTask, features: np.ndarray, labels: np.ndarray, strengths: Sequence[float]):
    assert task.kind.PROBE, "the config plans probes only for kinds that have one"
    fit, targets = FITS[task.kind.PROBE], task.kind.target_array(labels)
    return fit(features, targets if targets.dtype.kind == "i" else targets.astype(np.float64), task.outputs, strengths)


def _best(
    task: PreparedTask, features: np.ndarray, labels: np.ndarray, held_out: np.ndarray, held_out_labels: np.ndarray
) -> tuple[float, LinearModel]:
    """Return the strength of the lowest loss on held-out examples, the stronger one on ties, and its model."""
    best, waited = None, 0
    for strength, model in zip(STRENGTHS, _path(task, features, labels, STRENGTHS), strict=True):
        loss, _ = task.kind.evaluate(model.outputs(held_out), held_out_labels)
        waited += 1
        if best is None or loss < best[0]:
            best, waited = (loss, strength, model), 0
        if waited == PATIENCE:
            break
    assert best is not None, "there is at least one strength"
    return best[1], best[2]


def _strength_by_folds(task: PreparedTask, features: np.ndarray, labels: np.ndarray) -> float:
    """Return the strength of the lowest loss over folds of the training examples, in each of which labels are alike."""
    folds = np.empty(len(labels), np.int64)
    folds[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % min(FOLDS, len(labels))
    losses = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        for index, model in enumerate(_path(task, features[outside], labels[outside], STRENGTHS)):
            losses[index] += inside.sum() * task.kind.evaluate(model.outputs(features[inside]), labels[inside])[0]
    return STRENGTHS[int(losses.argmin())]


def _sample(labels: np.ndarray, work: int) -> np.ndarray:
    """Return the training examples to use, ascending: all, or as many as WORK permits. work: of one example."""
    count = max(WORK // work, MIN_EXAMPLES)
    if len(labels) <= count:
        return np.arange(len(labels))
    return np.sort(np.argsort(labels, kind="stable")[np.arange(count) * len(labels) // count])


def _values(task: PreparedTask, plugins: list, outputs: np.ndarray, labels: np.ndarray) -> list[tuple[str, float]]:
    """Return (metric, value) of all scalars of the plug-ins."""
    import pyarrow as pa

    columns = pa.table(task.kind.columns(outputs, labels))
    probabilities = task.kind.probabilities(columns, len(task.class_names))
    y_true, y_pred = columns["y_true"].to_numpy(), columns["y_pred"].to_numpy()
    every = compute_values(plugins, task.class_names, y_true, y_pred, probabilities)
    return [(name, value) for name, cls, _, value in every if cls is None]
