"""Predictions of a block of runs before and after fine-tuning, example by example."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import files, provenance, registry, remedies, runs
from variability.errors import UserError

SPLITS = ("validation", "test")
METADATA = b"variability"


def predict(
    spec: dict[str, Any],
    task_json: Path,
    weights: Path | None,
    finetune_folder: Path,
    manifest_in: Path,
    code: list[Path],
    folder: Path,
    manifest: Path,
    threads: int = 1,
) -> None:
    """Writes ``<seed>.parquet`` for every run of a manifest, and the manifest of the block.

    spec: {model, task: {name, kind}, method}, as for ``finetune``. finetune_folder: where the runs lie. manifest_in:
    which of them, and their checksums. Columns: model, task, method, seed, phase (before, after), split (validation,
    test), example_id, y_true, y_pred and, in classification, probabilities (one float32 per class). A diverged run
    has no rows of phase ``after``. Inference is in fp32 whatever the precision of training was.

    Raises UserError naming the seeds that failed, after all others are done.
    """
    task = files.read_json(task_json)
    fitted = {run["seed"]: run for run in files.read_json(manifest_in)["runs"]}
    common = {"data": task["sha256"], "code": provenance.code_digest(code), "threads": threads}
    opened = functools.cache(functools.partial(runs.open_task, task_json))

    def fingerprint(seed: int) -> str:
        run = fitted[seed]
        return files.digest(common | {"run": run["fingerprint"], "checkpoint": run["sha256"]["checkpoint"]})

    def entry(seed: int) -> dict[str, Any]:
        checksum = files.sha256(folder / f"{seed}.parquet")
        about = {"seed": seed, "fingerprint": fingerprint(seed), "status": fitted[seed]["status"]}
        return about | {"sha256": {"predictions": checksum}}

    def find(seed: int) -> dict[str, Any] | None:
        there = _metadata(folder / f"{seed}.parquet").get("fingerprint") == fingerprint(seed)
        return entry(seed) if there else None

    def make(seed: int, place: str) -> dict[str, Any]:
        checkpoint = finetune_folder / str(seed) / runs.CHECKPOINT
        if not runs.intact(checkpoint.parent, {checkpoint.name: fitted[seed]["sha256"]["checkpoint"]}):
            raise UserError(
                f"{checkpoint} is gone or is not the file that finetune wrote; {remedies.again('finetune')}"
            )
        table = _predict(spec, opened(), weights, checkpoint, fitted[seed]["status"], seed, place)
        about = {"fingerprint": fingerprint(seed), "status": fitted[seed]["status"]}
        table = table.replace_schema_metadata({METADATA: json.dumps(about, sort_keys=True)})
        with files.replacing(folder / f"{seed}.parquet") as aside:
            pq.write_table(table, aside, compression="zstd")
        return entry(seed)

    runs.run_block(list(fitted), lambda seed: folder / f".{seed}.lock", find, make, manifest, threads)


def _metadata(path: Path) -> dict[str, Any]:
    """What was written into a file of predictions about it; empty where there is no such file or it is damaged."""
    try:
        return json.loads((pq.read_schema(path).metadata or {}).get(METADATA, b"{}"))
    except (OSError, pa.ArrowException):
        return {}


def _predict(
    spec: dict[str, Any],
    task,
    weights: Path | None,
    checkpoint: Path,
    status: str,
    seed: int,
    place: str,
) -> pa.Table:
    """The predictions of one run, as a table."""
    # Here, because a job whose files are all there is to end without having loaded torch.
    from variability import checkpoints, inference
    from variability.preprocessing import Preprocess

    provider = registry.find("providers", spec["model"]["provider"])(spec["model"])
    preprocess = Preprocess.from_dict(provider.preprocess(task.image_size))
    network, trainable = runs.build(spec["model"], spec["method"], task, weights, seed)
    network.module.to(place)
    keys = {
        "model": spec["model"]["name"],
        "task": spec["task"]["name"],
        "method": spec["method"]["name"],
        "seed": seed,
    }
    parts = []
    for phase in ("before", "after") if status == "completed" else ("before",):
        if phase == "after":
            checkpoints.load_checkpoint(checkpoint, network, trainable)
        for split in SPLITS:
            rows = task.rows(split, seed)
            if not len(rows):
                continue
            said = inference.outputs(network, task.images, rows, preprocess, place)
            columns = _columns(task.kind, said, task.labels[rows])
            parts.append(_table(keys | {"phase": phase, "split": split}, task.example_ids[rows], columns))
    return pa.concat_tables(parts).unify_dictionaries()


def _columns(kind: str, outputs, labels: np.ndarray) -> dict[str, pa.Array]:
    """y_true, y_pred and probabilities of (n, outputs) of a network."""
    if kind == "classification":
        probabilities = outputs.softmax(1).numpy()
        offsets = np.arange(len(labels) + 1, dtype=np.int32) * probabilities.shape[1]
        return {
            "y_true": pa.array(labels.astype(np.int64)),
            "y_pred": pa.array(outputs.argmax(1).numpy()),
            "probabilities": pa.ListArray.from_arrays(offsets, probabilities.reshape(-1)),
        }
    return {
        "y_true": pa.array(labels.astype(np.float64)),
        "y_pred": pa.array(outputs.squeeze(1).double().numpy()),
        "probabilities": pa.nulls(len(labels), pa.list_(pa.float32())),
    }


def _table(constants: dict[str, Any], example_ids: np.ndarray, columns: dict[str, pa.Array]) -> pa.Table:
    count = len(example_ids)
    repeated = {
        name: pa.array(np.full(count, value, dtype=np.int64))
        if isinstance(value, int)
        else pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), [value])
        for name, value in constants.items()
    }
    return pa.table(repeated | {"example_id": pa.array(example_ids.astype(np.int64))} | columns)
