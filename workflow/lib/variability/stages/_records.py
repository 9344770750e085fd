"""Records of finished runs and checks that their files are complete."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.io import files

#: A run's record in its folder.
RECORD = "run.json"
#: A run's trained tensors in its folder.
CHECKPOINT = "checkpoint.safetensors"
#: Key of a record: entries of the config and paths of files with which its network can be built again.
SETTINGS = "settings"
#: Key of a record: true if the checkpoint was removed on purpose.
DROPPED = "checkpoint_dropped"


def read_record(path: Path) -> dict[str, Any]:
    """Read a record from a JSON file; empty if the file is missing or cannot be read as one."""
    try:
        record = files.read_json(path)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def match_checksums(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Return whether a folder holds all files of {name: SHA-256}, unchanged."""
    return all((folder / name).is_file() and files.sha256(folder / name) == sha for name, sha in checksums.items())
