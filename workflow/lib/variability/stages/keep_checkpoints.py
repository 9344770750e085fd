"""Deletes the checkpoints that a study does not retain, after everything has been read from them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from variability.io.artefacts import FITTED, read_record, require_listed, write_record
from variability.io.files import write_json
from variability.results import base_tables
from variability.results.columns import CELL, RUN
from variability.results.metrics import scalars
from variability.results.runs_table import TRAINED_HERE
from variability.stages._records import CHECKPOINT, DROPPED, RECORD, read_run

_log = logging.getLogger(__name__)


def keep_checkpoints(keep: str, runs: Path, manifests: Sequence[Path], output: Path) -> None:
    """Delete checkpoints and write a list of those that are left: {kept: [[model, task, method, seed], ...]}.

    keep: ``none``, or ``best`` for the seed of each cell with the best primary metric on validation. runs: the runs
    table. manifests: of ``finetune``, next to its runs. A run's record says that its checkpoint was dropped, so that
    the run is not mistaken for a damaged one and trained again.
    """
    table = base_tables.read(require_listed(runs))
    retained = set() if keep == "none" else best_runs(table[table["source"] == TRAINED_HERE])
    cells = {tuple(cell) for *cell, _ in retained}
    freed, left = 0, []
    # All of them first: nothing is deleted if one is damaged.
    records = {path: [read_run(path, run) for run in read_record(path, FITTED)["runs"]] for path in manifests}
    for manifest in manifests:
        cell = manifest.parent.parts[-3:]
        if keep == "best" and cell not in cells:
            _log.warning("%s: no run has a score on validation, so all of its checkpoints are kept", "/".join(cell))
            continue
        for run in records[manifest]:
            folder = manifest.parent / str(run["seed"])
            if (*cell, run["seed"]) not in retained:
                freed += _drop(folder, run)
            elif (folder / CHECKPOINT).is_file():
                left.append([*cell, run["seed"]])
            else:
                _log.warning("%s, the best of its cell, was dropped earlier and cannot be kept", folder / CHECKPOINT)
    write_json(output, {"kept": sorted(left)})
    _log.info("checkpoints: %d kept, %.1f MB freed", len(left), freed / 1e6)


def best_runs(runs: pd.DataFrame) -> set[tuple]:
    """Return (model, task, method, seed) of the best run of each cell, by its primary metric on validation.

    Of equally good runs it is the one with the lowest seed. A cell without a completed run has none.
    """
    on_validation = (runs["phase"] == "after") & (runs["split"] == "validation")
    scored = runs[runs["primary"] & on_validation & runs["value"].notna()].sort_values("seed")
    signs = {name: 1.0 if plugin.HIGHER_IS_BETTER else -1.0 for name, plugin in scalars().items()}
    goodness = scored["value"] * scored["metric"].map(signs).astype(float)
    ranked = scored.assign(_goodness=goodness).sort_values("_goodness", ascending=False, kind="stable")
    return set(ranked.drop_duplicates(CELL)[RUN].itertuples(index=False, name=None))


def _drop(folder: Path, record: Mapping[str, Any]) -> int:
    """Delete the checkpoint of a run and return its size in bytes."""
    checkpoint = folder / CHECKPOINT
    if not record.get(DROPPED):
        # Before the deletion: a record of a missing checkpoint would cause the run to be trained again.
        write_record(folder / RECORD, {**record, DROPPED: True})
    size = checkpoint.stat().st_size if checkpoint.is_file() else 0
    checkpoint.unlink(missing_ok=True)
    return size
