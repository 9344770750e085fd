"""Records of finished runs and checks that their files are complete."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability import advice
from variability.errors import UserError
from variability.io import artefacts

#: A run's record in its folder.
RECORD = "run.json"
#: A run's trained tensors in its folder.
CHECKPOINT = "checkpoint.safetensors"
#: Key of a record: entries of the config and paths of files with which its network can be built again.
SETTINGS = "settings"
#: Key of a record: true if the checkpoint was removed on purpose.
DROPPED = "checkpoint_dropped"


def read_run(manifest: Path, run: Mapping[str, Any], required: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the record of a run that a manifest of ``finetune`` lists.

    run: its entry there. required: shape of what it needs in addition to that of all records, see ``artefacts.Kind``.
    Raises UserError if the record cannot be read, lacks a part, or is that of another run.
    """
    path = Path(manifest).parent / str(run["seed"]) / RECORD
    kind = artefacts.RUN_RECORD
    record = artefacts.read_record(path, kind._replace(shape=kind.shape | dict(required or {})))
    if any(record[key] != run[key] for key in ("seed", "fingerprint", "sha256")):
        raise UserError(f"{path} is that of another run than {manifest} lists; {advice.rerun('finetune')}")
    return record


def match_checksums(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Return whether a folder holds all files of {name: SHA-256}, unchanged."""
    return all(artefacts.is_intact(folder / name, checksum) for name, checksum in checksums.items())
