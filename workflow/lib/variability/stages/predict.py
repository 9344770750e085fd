"""Predictions of a block of runs before and after fine-tuning, example by example."""

import functools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import advice, provenance
from variability.errors import UserError
from variability.io import files
from variability.stages import _blocks
from variability.training.cpu_kernels import switch
from variability.training.frameworks import Framework
from variability.training.input_files import Sources

_log = logging.getLogger(__name__)

SPLITS = ("validation", "test")
METADATA = b"variability"


def predict(
    spec: dict[str, Any],
    sources: Sources,
    finetune_folder: Path,
    manifest_in: Path,
    code: str,
    folder: Path,
    manifest: Path | None,
    workplace: _blocks.Workplace,
) -> None:
    """Writes ``<seed>.parquet`` for every run of a manifest, and the manifest of the block if one is asked for.

    spec: {model, task: {name, kind}, method}, as for ``finetune``. sources: with ``features``, from where what the
    method trains starts, or, where it trains all, the head: they give the predictions before training.
    finetune_folder: where the runs lie. manifest_in: which of them, and their checksums. Columns: model, task, method,
    seed, kind, phase (before, after), split (validation, test), example_id, group (where the task has groups), y_true,
    y_pred and, in classification, probabilities (one float32 per class). A diverged run has no rows of phase ``after``.
    Inference is in fp32 whatever the precision of training was; stored activations are of their own.

    Raises UserError naming the seeds that failed, after all others are done.
    """
    fitted = {run["seed"]: run for run in files.read_json(manifest_in)["runs"]}
    common = sources.content(spec["model"]) | {"code": code, "threads": workplace.threads} | switch.fingerprint()
    prepared = functools.cache(lambda place: workplace.framework(spec["model"], spec["method"], sources, place))

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
        checkpoint = finetune_folder / str(seed) / _blocks.CHECKPOINT
        if _blocks.read_record(checkpoint.parent / "run.json").get(_blocks.DROPPED):
            raise UserError(
                f"{checkpoint} was dropped, as the config's `checkpoints` asked, and has to be there to predict anew; "
                f"{advice.rerun('finetune', checkpoint.parent)}, with checkpoints: all"
            )
        if not _blocks.intact(checkpoint.parent, {checkpoint.name: fitted[seed]["sha256"]["checkpoint"]}):
            raise UserError(f"{checkpoint} is gone or is not the file that finetune wrote; {advice.rerun('finetune')}")
        keys = {name: spec[name]["name"] for name in ("model", "task", "method")} | {"seed": seed}
        completed = fitted[seed]["status"] == "completed"
        table = _predict(prepared(place), keys, checkpoint if completed else None)
        about = {"fingerprint": fingerprint(seed), "status": fitted[seed]["status"]}
        table = table.replace_schema_metadata({METADATA: json.dumps(about, sort_keys=True)})
        with files.replacing(folder / f"{seed}.parquet") as aside:
            pq.write_table(table, aside, compression="zstd")
        return entry(seed)

    def lock(seed: int) -> Path:
        return folder / f".{seed}.lock"

    _blocks.run_block(list(fitted), lock, find, make, manifest, workplace, f"{_blocks.label(spec)}, predictions")


def predict_ahead(
    spec: dict[str, Any], sources: Sources, manifest_in: Path, folder: Path, workplace: _blocks.Workplace
) -> None:
    """Predicts what ``finetune`` has just trained, in the same process: loading the frameworks again takes longer.

    ``predict`` takes the files as its own if they are what it would write. What fails here fails there, and is said
    there.
    """
    code = provenance.code_digest("predict", *provenance.plugins_of_cell(spec["model"], spec["task"], spec["method"]))
    try:
        predict(spec, sources, manifest_in.parent, manifest_in, code, folder, None, workplace)
    except Exception as error:
        _log.info("not predicted yet: %s: %s", type(error).__name__, error)


def _metadata(path: Path) -> dict[str, Any]:
    """What was written into a file of predictions about it; empty where there is no such file or it is damaged."""
    try:
        return json.loads((pq.read_schema(path).metadata or {}).get(METADATA, b"{}"))
    except (OSError, pa.ArrowException):
        return {}


def _predict(framework: Framework, keys: dict[str, Any], checkpoint: Path | None) -> pa.Table:
    """The predictions of one run, as a table; without a checkpoint those before training alone."""
    task, seed = framework.task, keys["seed"]
    rows = {split: found for split in SPLITS if len(found := task.rows(split, seed))}
    parts = []
    for phase, split, said in framework.predictions(seed, checkpoint, rows):
        ids = {"example_id": task.example_ids[rows[split]]}
        if task.groups is not None:
            ids["group"] = task.groups[rows[split]]
        columns = task.kind.columns(said, task.labels[rows[split]])
        parts.append(_table(keys | {"kind": task.kind_name, "phase": phase, "split": split}, ids, columns))
    return pa.concat_tables(parts).unify_dictionaries()


def _table(constants: dict[str, Any], ids: dict[str, np.ndarray], columns: dict[str, pa.Array]) -> pa.Table:
    count = len(ids["example_id"])
    repeated = {
        name: pa.array(np.full(count, value, dtype=np.int64))
        if isinstance(value, int)
        else pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), [value])
        for name, value in constants.items()
    }
    return pa.table(repeated | {name: pa.array(each.astype(np.int64)) for name, each in ids.items()} | columns)
