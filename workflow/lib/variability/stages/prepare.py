"""The rule ``prepare``: a task's splits drawn and its images decoded, once."""

import logging
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from variability import images, registry, splits
from variability.datasets import FETCH_AGAIN, Examples
from variability.errors import UserError
from variability.files import read_json, replacing, sha256, write_json
from variability.tasks import FILES

_log = logging.getLogger(__name__)

_BLOCK = 256


def prepare(task: dict[str, Any], folder: Path | None, target: Path, threads: int = 4) -> None:
    """Writes images.npy, examples.parquet and task.json to ``target``.

    task: ``{name, dataset, options, kind, image: {size, color}, split}``. folder: what ``download`` filled, beside its
    manifest, or None. threads: images decoded at a time; they do not change the result. Raises UserError where a
    downloaded file is gone, the split cannot be drawn or an image does not decode; task.json, written last, is then
    not there.
    """
    started = time.perf_counter()
    (target / "task.json").unlink(missing_ok=True)
    if folder is not None:
        _require_downloaded(task["name"], folder)
    examples = registry.find("datasets", task["dataset"])(task["options"]).load(folder)
    drawn = splits.draw(examples.labels, examples.partition, task["split"], examples.class_names)
    kept = splits.stored(drawn, examples.partition, task["split"])
    rows = np.flatnonzero(kept != "")
    _write_images(target / "images.npy", examples, rows, task, threads)
    _write_examples(target / "examples.parquet", examples, rows, kept)
    counts = Counter(drawn.tolist())
    write_json(
        target / "task.json",
        {
            "kind": task["kind"],
            "class_names": list(examples.class_names),
            "channels": 1 if task["image"]["color"] == "grey" else 3,
            "image_size": task["image"]["size"],
            "counts": {split: counts[split] for split in ("train", "validation", "test")},
            "split": task["split"],
            "sha256": {name: sha256(target / file) for name, file in FILES.items()},
        },
    )
    shown = ", ".join(f"{counts[split]} {split}" for split in ("train", "validation", "test"))
    seconds = time.perf_counter() - started
    _log.info("%s: %s, %d classes, %.1f s", task["name"], shown, len(examples.class_names), seconds)


def _require_downloaded(name: str, folder: Path) -> None:
    """Raises UserError naming the first file that ``download`` left and that is there no longer."""
    for file in read_json(folder.parent / "manifest.json")["files"]:
        if not (folder / file).is_file():
            raise UserError(f"{name}: {folder / file} is gone; {FETCH_AGAIN}")


def _write_images(path: Path, examples: Examples, rows: np.ndarray, task: dict[str, Any], threads: int) -> None:
    size, color = task["image"]["size"], task["image"]["color"]
    shape = (len(rows), 1 if color == "grey" else 3, size, size)
    with replacing(path) as aside:
        stored = np.lib.format.open_memmap(aside, mode="w+", dtype=np.uint8, shape=shape)

        def write(start: int) -> int:
            block = rows[start : start + _BLOCK]
            for place, row in enumerate(block, start):
                stored[place] = images.fit(examples.read(int(row)), size, color)
            return len(block)

        interval = 0.2 if sys.stderr.isatty() else 30.0
        with (
            ThreadPoolExecutor(threads) as pool,
            tqdm(
                desc=task["name"], total=len(rows), unit="image", file=sys.stderr, mininterval=interval, delay=2
            ) as bar,
        ):
            futures = [pool.submit(write, start) for start in range(0, len(rows), _BLOCK)]
            try:
                for future in futures:
                    bar.update(future.result())
            finally:
                pool.shutdown(cancel_futures=True)
        stored.flush()


def _write_examples(path: Path, examples: Examples, rows: np.ndarray, kept: np.ndarray) -> None:
    table = pa.table(
        {
            "example_id": pa.array(rows.astype(np.int64)),
            "label": pa.array(examples.labels[rows].astype(np.int64)),
            "split": pa.array(kept[rows].tolist(), pa.string()),
            "partition": pa.array(examples.partition[rows].tolist(), pa.string()),
        }
    )
    with replacing(path) as aside:
        pq.write_table(table, aside)
