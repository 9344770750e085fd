"""Stage ``prepare``: sample the splits of a task and decode its examples, once."""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry
from variability.advice import RERUN_DOWNLOAD
from variability.data import modalities, splits
from variability.data.datasets import Examples
from variability.data.prepared_task import FILES
from variability.errors import UserError
from variability.io.files import read_json, replacing, sha256, write_json

_log = logging.getLogger(__name__)


def prepare(task: dict[str, Any], folder: Path | None, target: Path, threads: int = 1) -> None:
    """Write inputs.npy, examples.parquet and task.json to ``target``.

    task: ``{name, dataset, options, kind, modality, input, split}``. folder: the one that ``download`` filled, next to
    its manifest, or None. threads: number of examples to read at a time; it does not change the result. Raises
    UserError if a downloaded file is missing, the split cannot be sampled or an example cannot be read. task.json is
    written last, and does not exist after an error.
    """
    started = time.perf_counter()
    (target / "task.json").unlink(missing_ok=True)
    if folder is not None:
        _require_downloaded(task["name"], folder)
    kind, modality = registry.find("kinds", task["kind"]), modalities.find(task["modality"], task["input"])
    examples = registry.find("datasets", task["dataset"])(task["options"]).load(folder)
    strata, strata_names = kind().strata(examples.labels, examples.class_names)
    try:
        split_names = splits.sample(strata, examples.partition, task["split"], strata_names, examples.groups)
    except UserError as error:
        raise UserError(f"tasks.{task['name']}.{error}") from error
    stored_names = splits.stored(split_names, examples.partition, task["split"])
    rows = np.flatnonzero(stored_names != "")
    facts = modality.write(target / FILES["inputs"], examples, rows, task["name"], threads)
    _write_examples(target / FILES["examples"], examples, rows, stored_names, kind.LABEL_TYPE)
    counts = Counter(split_names.tolist())
    write_json(
        target / "task.json",
        {
            "kind": task["kind"],
            "modality": task["modality"],
            "class_names": list(examples.class_names),
            "facts": facts,
            "target": kind.facts(examples.labels[np.isin(stored_names, ("train", splits.POOL))]),
            "counts": {split: counts[split] for split in ("train", "validation", "test")},
            "split": task["split"],
            "sha256": {name: sha256(target / file) for name, file in FILES.items()},
        },
    )
    summary = [f"{counts[split]} {split}" for split in ("train", "validation", "test")]
    summary += [f"{len(examples.class_names)} classes"] if examples.class_names else []
    _log.info("%s: %s, %.1f s", task["name"], ", ".join(summary), time.perf_counter() - started)


def _require_downloaded(name: str, folder: Path) -> None:
    """Raise UserError naming the first missing file of those that ``download`` wrote."""
    for file in read_json(folder.parent / "manifest.json")["files"]:
        if not (folder / file).is_file():
            raise UserError(f"{name}: {folder / file} is missing; {RERUN_DOWNLOAD}")


def _write_examples(
    path: Path, examples: Examples, rows: np.ndarray, split_names: np.ndarray, label_type: type
) -> None:
    """Write one row per stored example. split_names: those of all examples."""
    columns = {
        "example_id": pa.array(rows.astype(np.int64)),
        "label": pa.array(examples.labels[rows].astype(label_type)),
        "split": pa.array(split_names[rows].tolist(), pa.string()),
        "partition": pa.array(examples.partition[rows].tolist(), pa.string()),
    }
    if examples.groups is not None:
        columns["group"] = pa.array(examples.groups[rows].astype(np.int64))
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
