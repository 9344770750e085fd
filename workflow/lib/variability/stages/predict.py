"""Predictions of a block of runs before and after fine-tuning, example by example."""

import functools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import files, methods, provenance, registry, remedies, runs
from variability.errors import UserError

_log = logging.getLogger(__name__)

SPLITS = ("validation", "test")
METADATA = b"variability"


def predict(
    spec: dict[str, Any],
    task_json: Path,
    weights: Path | None,
    features: Path | None,
    finetune_folder: Path,
    manifest_in: Path,
    code: str,
    folder: Path,
    manifest: Path | None,
    workplace: runs.Workplace,
) -> None:
    """Writes ``<seed>.parquet`` for every run of a manifest, and the manifest of the block if one is asked for.

    spec: {model, task: {name, kind}, method}, as for ``finetune``. features: manifest of the activations that what the
    method trains starts from, or, where it trains all, that the head starts from: they give the predictions before
    training. finetune_folder: where the runs lie. manifest_in: which of them, and their checksums. Columns: model,
    task, method, seed, phase (before, after), split (validation, test), example_id, y_true, y_pred and, in
    classification, probabilities (one float32 per class). A diverged run has no rows of phase ``after``. Inference is
    in fp32 whatever the precision of training was; stored activations are of their own.

    Raises UserError naming the seeds that failed, after all others are done.
    """
    task = files.read_json(task_json)
    fitted = {run["seed"]: run for run in files.read_json(manifest_in)["runs"]}
    common = {"data": task["sha256"], "split": task["split"], "code": code, "threads": workplace.threads}
    common |= {"features": runs.activations_sha256(features)}
    prepared = functools.cache(lambda place: _Cell(spec, task_json, weights, features, place))

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
        if runs.read_record(checkpoint.parent / "run.json").get(runs.DROPPED):
            raise UserError(
                f"{checkpoint} was dropped, as the config's `checkpoints` asked, and has to be there to predict anew; "
                f"{remedies.again('finetune', checkpoint.parent)}, with checkpoints: all"
            )
        if not runs.intact(checkpoint.parent, {checkpoint.name: fitted[seed]["sha256"]["checkpoint"]}):
            raise UserError(
                f"{checkpoint} is gone or is not the file that finetune wrote; {remedies.again('finetune')}"
            )
        table = prepared(place).predict(seed, checkpoint, fitted[seed]["status"])
        about = {"fingerprint": fingerprint(seed), "status": fitted[seed]["status"]}
        table = table.replace_schema_metadata({METADATA: json.dumps(about, sort_keys=True)})
        with files.replacing(folder / f"{seed}.parquet") as aside:
            pq.write_table(table, aside, compression="zstd")
        return entry(seed)

    runs.run_block(list(fitted), lambda seed: folder / f".{seed}.lock", find, make, manifest, workplace)


def predict_ahead(
    spec: dict[str, Any],
    task_json: Path,
    weights: Path | None,
    features: Path | None,
    manifest_in: Path,
    folder: Path,
    workplace: runs.Workplace,
) -> None:
    """Predicts what ``finetune`` has just trained, in the same process: loading the frameworks again takes longer.

    ``predict`` takes the files as its own if they are what it would write. What fails here fails there, and is said
    there.
    """
    plugins = registry.module_name("providers", spec["model"]["provider"]), methods.module(spec["method"])
    code = provenance.code_digest("predict", *plugins)
    try:
        predict(spec, task_json, weights, features, manifest_in.parent, manifest_in, code, folder, None, workplace)
    except Exception as error:
        _log.info("not predicted yet: %s: %s", type(error).__name__, error)


def _metadata(path: Path) -> dict[str, Any]:
    """What was written into a file of predictions about it; empty where there is no such file or it is damaged."""
    try:
        return json.loads((pq.read_schema(path).metadata or {}).get(METADATA, b"{}"))
    except (OSError, pa.ArrowException):
        return {}


class _Cell:
    """What the runs of a block have in common, set up once."""

    def __init__(
        self, spec: dict[str, Any], task_json: Path, weights: Path | None, features_manifest: Path | None, place: str
    ):
        # Here, because a job whose files are all there is to end without having loaded torch.
        from variability import features, recipe
        from variability.inputs import Images, resident
        from variability.untrained import Untrained

        self.task = runs.open_task(task_json)
        self.untrained = Untrained(spec["model"], spec["method"], self.task, weights, place)
        self.stored = features.opened(features_manifest, self.task.may_train, place) if features_manifest else None
        pixels, plain = resident(self.task.images, place), recipe.DEFAULTS["augmentation"]
        self.images = Images(pixels, self.untrained.preprocess, place, plain)
        self.keys = {name: spec[name]["name"] for name in ("model", "task", "method")}

    def predict(self, seed: int, checkpoint: Path, status: str) -> pa.Table:
        """The predictions of one run, as a table."""
        from variability import checkpoints, inference

        task = self.task
        network, trainable = self.untrained.network(seed), self.untrained.trainable
        network.module.eval()
        rows = {split: found for split in SPLITS if len(found := task.rows(split, seed))}
        feeds = self._feeds(np.sort(np.concatenate(list(rows.values()))))
        parts = []
        for phase in ("before", "after") if status == "completed" else ("before",):
            if phase == "after":
                checkpoints.load_checkpoint(checkpoint, network, trainable, self.untrained.frozen_sha256)
            for split, chosen in rows.items():
                said = inference.outputs(feeds[phase].module, feeds[phase].inputs, chosen)
                columns = _columns(task.kind, said, task.labels[chosen])
                keys = self.keys | {"seed": seed, "phase": phase, "split": split}
                parts.append(_table(keys, task.example_ids[chosen], columns))
        return pa.concat_tables(parts).unify_dictionaries()

    def _feeds(self, rows: np.ndarray) -> dict[str, Any]:
        """What to compute before and after training, and from what."""
        from variability import features
        from variability.inputs import Feed

        if self.stored is not None and self.untrained.cut is None:
            before = Feed(self.untrained.head_cut.suffix, self.stored)
            return {"before": before, "after": Feed(self.untrained.module, self.images)}
        both = features.feed(self.untrained, self.images, self.stored, rows, "fp32")
        return {"before": both, "after": both}


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
