"""Records of finished runs and checks that their files are complete."""

from collections.abc import Mapping
from pathlib import Path

from variability.io import artefacts

#: A run's record in its folder.
RECORD = "run.json"
#: A run's trained tensors in its folder.
CHECKPOINT = "checkpoint.safetensors"
#: Key of a record: entries of the config and paths of files with which its network can be built again.
SETTINGS = "settings"
#: Key of a record: true if the checkpoint was removed on purpose.
DROPPED = "checkpoint_dropped"


def match_checksums(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Return whether a folder holds all files of {name: SHA-256}, unchanged."""
    return all(artefacts.is_intact(folder / name, checksum) for name, checksum in checksums.items())
