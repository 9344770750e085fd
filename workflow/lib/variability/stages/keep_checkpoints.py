"""Drops the checkpoints that a study does not keep, once everything has been read from them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from variability.io.files import read_json, write_json
from variability.results.columns import CELL, RUN
from variability.results.metrics import scalars
from variability.results.runs_table import HERE
from variability.stages._records import CHECKPOINT, DROPPED

_log = logging.getLogger(__name__)


def keep_checkpoints(keep: str, runs: Path, manifests: Sequence[Path], kept: Path) -> None:
    """Removes checkpoints and writes what is left: {kept: [[model, task, method, seed], ...]}.

    keep: none, or best for the one seed of each cell with the best primary metric on validation. runs: the runs table.
    manifests: of ``finetune``; the runs lie beside them. A run's record says that its checkpoint was dropped, so that
    the run is not taken for damaged and trained again.
    """
    table = pd.read_parquet(runs)
    chosen = set() if keep == "none" else best(table[table["source"] == HERE])
    told = {tuple(cell) for *cell, _ in chosen}
    freed, left = 0, []
    for manifest in manifests:
        cell = manifest.parent.parts[-3:]
        if keep == "best" and cell not in told:
            _log.warning("%s: no run has a score on validation, so all of its checkpoints stay", "/".join(cell))
            continue
        for run in read_json(manifest)["runs"]:
            folder = manifest.parent / str(run["seed"])
            if (*cell, run["seed"]) not in chosen:
                freed += _drop(folder)
            elif (folder / CHECKPOINT).is_file():
                left.append([*cell, run["seed"]])
            else:
                _log.warning("%s, the best of its cell, was dropped before and is gone", folder / CHECKPOINT)
    write_json(kept, {"kept": sorted(left)})
    _log.info("checkpoints: %d kept, %.1f MB freed", len(left), freed / 1e6)


def best(runs: pd.DataFrame) -> set[tuple]:
    """(model, task, method, seed) of the best run of each cell, by its primary metric on validation.

    The lowest seed of equally good ones; of a cell without a completed run, none.
    """
    here = runs["primary"] & (runs["phase"] == "after") & (runs["split"] == "validation") & runs["value"].notna()
    told = runs[here].sort_values("seed")
    signs = {name: 1.0 if plugin.HIGHER_IS_BETTER else -1.0 for name, plugin in scalars().items()}
    first = told.assign(_good=told["value"] * told["metric"].map(signs).astype(float)).sort_values(
        "_good", ascending=False, kind="stable"
    )
    return set(first.drop_duplicates(CELL)[RUN].itertuples(index=False, name=None))


def _drop(folder: Path) -> int:
    checkpoint, record = folder / CHECKPOINT, read_json(folder / "run.json")
    if not record.get(DROPPED):
        # Said first: a record of a checkpoint that is gone would have the run trained again.
        write_json(folder / "run.json", record | {DROPPED: True})
    size = checkpoint.stat().st_size if checkpoint.is_file() else 0
    checkpoint.unlink(missing_ok=True)
    return size
