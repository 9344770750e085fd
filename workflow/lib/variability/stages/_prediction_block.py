"""Tables of predictions of the runs of a seed chunk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import advice
from variability.errors import UserError
from variability.io import artefacts, files
from variability.stages._blocks import RunBlock, cell_label
from variability.stages._records import CHECKPOINT, DROPPED, RECORD
from variability.training import prediction_files
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

SPLITS = ("validation", "test")


class PredictBlock(RunBlock):
    """Predictions of the runs of a seed chunk. Parameters as of ``stages.predict.predict``."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        input_files: InputFiles,
        finetuned: Path,
        code: str,
        folder: Path,
        workplace: Workplace,
    ):
        self.runs = {run["seed"]: run for run in artefacts.read_record(finetuned, artefacts.FITTED)["runs"]}
        super().__init__(spec, input_files, list(self.runs), workplace, f"{cell_label(spec)}, predictions")
        self.finetune_folder = finetuned.parent
        self.folder = folder
        self._fingerprint_parts = prediction_files.fingerprint_parts(
            spec["model"], input_files, code, workplace.threads
        )

    def lock(self, seed: int) -> Path:
        return self.folder / f".{seed}.lock"

    def find(self, seed: int) -> dict[str, Any] | None:
        checksum = artefacts.stamped(self._table_path(seed), self._fingerprint(seed))
        return self._manifest_entry(seed, checksum) if checksum else None

    def damage(self, seed: int) -> str | None:
        return artefacts.damage_of_stamped(self._table_path(seed), self._fingerprint(seed))

    def make(self, seed: int, device: str) -> dict[str, Any]:
        """Predict with a run's checkpoint, write the table, and return its entry in the manifest."""
        checkpoint = self._checkpoint(seed)
        keys = {name: self.spec[name]["name"] for name in ("model", "task", "method")} | {"seed": seed}
        status = self.runs[seed]["status"]
        table = _predictions(self.framework(), keys, checkpoint if status == "completed" else None)
        metadata = {"fingerprint": self._fingerprint(seed), "status": status}
        table = table.replace_schema_metadata({prediction_files.METADATA: json.dumps(metadata, sort_keys=True)})
        with files.replacing(self._table_path(seed)) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return self._manifest_entry(seed, artefacts.write_stamp(self._table_path(seed), self._fingerprint(seed)))

    def _checkpoint(self, seed: int) -> Path:
        """Return a run's checkpoint. Raises UserError if it is missing or is not the one that the manifest lists."""
        path = self.finetune_folder / str(seed) / CHECKPOINT
        if artefacts.read_intact(path.parent / RECORD, artefacts.RUN_RECORD).get(DROPPED):
            raise UserError(
                f"{path} was removed, as the config's `checkpoints` says, and predicting again needs it; "
                f"{advice.rerun('finetune', path.parent)}, with checkpoints: all"
            )
        return artefacts.require(path, self.runs[seed]["sha256"]["checkpoint"], "finetune")

    def _table_path(self, seed: int) -> Path:
        return prediction_files.table_path(self.folder, seed)

    def _fingerprint(self, seed: int) -> str:
        return prediction_files.fingerprint(self._fingerprint_parts, self.runs[seed])

    def _manifest_entry(self, seed: int, checksum: str) -> dict[str, Any]:
        return prediction_files.manifest_entry(self.runs[seed], self._fingerprint(seed), checksum)


def _predictions(framework: Framework, keys: Mapping[str, Any], checkpoint: Path | None) -> pa.Table:
    """Return the predictions of a run: before training and, if there is a checkpoint, after it.

    keys: constant columns that identify the run.
    """
    task, seed = framework.task, keys["seed"]
    rows = {split: task.rows(split, seed) for split in SPLITS}
    rows = {split: indices for split, indices in rows.items() if len(indices)}
    parts = []
    for phase, split, outputs in framework.predictions(seed, checkpoint, rows):
        ids = {"example_id": task.example_ids[rows[split]]}
        if task.groups is not None:
            ids["group"] = task.groups[rows[split]]
        columns = {"source": task.sources.take(pa.array(rows[split])).dictionary_encode()}
        columns |= task.kind.columns(outputs, task.labels[rows[split]])
        constants = {**keys, "kind": task.kind_name, "phase": phase, "split": split}
        parts.append(_table(constants, ids, columns))
    return pa.concat_tables(parts).unify_dictionaries()


def _table(constants: Mapping[str, Any], ids: Mapping[str, np.ndarray], columns: Mapping[str, pa.Array]) -> pa.Table:
    """Return a table with a column per constant, then the ids (n,), then the other columns (n,)."""
    count = len(ids["example_id"])
    repeated = {
        name: pa.array(np.full(count, value, dtype=np.int64))
        if isinstance(value, int)
        else pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), [value])
        for name, value in constants.items()
    }
    return pa.table(
        {**repeated, **{name: pa.array(values.astype(np.int64)) for name, values in ids.items()}, **columns}
    )
