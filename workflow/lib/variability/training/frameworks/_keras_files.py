"""Checkpoints of Keras runs and the state from which an interrupted one resumes, as safetensors, without torch."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from variability.io import files

_HEADER = "variability"

_log = logging.getLogger(__name__)


def write(path: Path, arrays: Mapping[str, np.ndarray], header: dict[str, Any], durable: bool = True) -> None:
    """Writes arrays and facts about them, plain values; equal ones make equal files."""
    whole = {name: np.asarray(each, order="C") for name, each in arrays.items()}
    with files.replacing(path, durable) as aside:
        # One entry, because safetensors writes several in random order.
        safetensors.numpy.save_file(whole, aside, metadata={_HEADER: json.dumps(header, sort_keys=True)})


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What ``write`` wrote. Raises OSError or SafetensorError if it cannot be read."""
    with safetensors.safe_open(path, framework="np") as opened:
        header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
        return {name: opened.get_tensor(name) for name in opened.keys()}, header  # noqa: SIM118


def write_state(path: Path, arrays: Mapping[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Writes what a run needs to resume."""
    # A checksum stands in for waiting until the disk has it: a damaged state is ignored, and an epoch is lost.
    write(path, arrays, {"meta": meta, "sha256": digest(arrays)}, durable=False)


def read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What ``write_state`` wrote, or None where there is no such file or it is damaged (which is logged)."""
    if not Path(path).exists():
        return None
    try:
        arrays, header = read(path)
        if header["sha256"] != digest(arrays):
            raise ValueError("its checksum differs")
        return arrays, header["meta"]
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        _log.warning("%s is damaged and is ignored: %s", path, error)
        return None


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, independent of their order."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
