"""The rule ``prepare``: a task's splits drawn and its examples decoded, once."""

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
    """Writes inputs.npy, examples.parquet and task.json to ``target``.

    task: ``{name, dataset, options, kind, modality, input, split}``. folder: what ``download`` filled, beside its
    manifest, or None. threads: examples read at a time; they do not change the result. Raises UserError where a
    downloaded file is gone, the split cannot be drawn or an example cannot be read; task.json, written last, is then
    not there.
    """
    started = time.perf_counter()
    (target / "task.json").unlink(missing_ok=True)
    if folder is not None:
        _require_downloaded(task["name"], folder)
    kind, modality = registry.find("kinds", task["kind"]), modalities.find(task["modality"], task["input"])
    examples = registry.find("datasets", task["dataset"])(task["options"]).load(folder)
    strata = kind().strata(examples.labels, examples.class_names)
    try:
        drawn = splits.draw(strata[0], examples.partition, task["split"], strata[1], examples.groups)
    except UserError as error:
        raise UserError(f"tasks.{task['name']}.{error}") from error
    kept = splits.stored(drawn, examples.partition, task["split"])
    rows = np.flatnonzero(kept != "")
    facts = modality.write(target / FILES["inputs"], examples, rows, task["name"], threads)
    _write_examples(target / FILES["examples"], examples, rows, kept, kind.LABEL_TYPE)
    counts = Counter(drawn.tolist())
    write_json(
        target / "task.json",
        {
            "kind": task["kind"],
            "modality": task["modality"],
            "class_names": list(examples.class_names),
            "facts": facts,
            "target": kind.facts(examples.labels[np.isin(kept, ("train", splits.POOL))]),
            "counts": {split: counts[split] for split in ("train", "validation", "test")},
            "split": task["split"],
            "sha256": {name: sha256(target / file) for name, file in FILES.items()},
        },
    )
    shown = [f"{counts[split]} {split}" for split in ("train", "validation", "test")]
    shown += [f"{len(examples.class_names)} classes"] if examples.class_names else []
    _log.info("%s: %s, %.1f s", task["name"], ", ".join(shown), time.perf_counter() - started)


def _require_downloaded(name: str, folder: Path) -> None:
    """Raises UserError naming the first file that ``download`` left and that is there no longer."""
    for file in read_json(folder.parent / "manifest.json")["files"]:
        if not (folder / file).is_file():
            raise UserError(f"{name}: {folder / file} is gone; {RERUN_DOWNLOAD}")


def _write_examples(path: Path, examples: Examples, rows: np.ndarray, kept: np.ndarray, labels: type) -> None:
    columns = {
        "example_id": pa.array(rows.astype(np.int64)),
        "label": pa.array(examples.labels[rows].astype(labels)),
        "split": pa.array(kept[rows].tolist(), pa.string()),
        "partition": pa.array(examples.partition[rows].tolist(), pa.string()),
    }
    if examples.groups is not None:
        columns["group"] = pa.array(examples.groups[rows].astype(np.int64))
    with replacing(path) as aside:
        pq.write_table(pa.table(columns), aside)
