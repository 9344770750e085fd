"""Checkpoints of Keras runs, and the state from which an interrupted run resumes: safetensors files, without torch."""

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
    """Write arrays and a header of plain values; equal contents give identical files."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with files.replacing(path, durable) as temporary:
        # One entry, because safetensors writes several in random order.
        safetensors.numpy.save_file(contiguous, temporary, metadata={_HEADER: json.dumps(header, sort_keys=True)})


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the header of a file of ``write``. Raises OSError or SafetensorError if unreadable."""
    with safetensors.safe_open(path, framework="np") as opened:
        header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
        return {name: opened.get_tensor(name) for name in opened.keys()}, header  # noqa: SIM118


def write_state(path: Path, arrays: Mapping[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write the state that a run resumes from."""
    # A checksum replaces waiting for the disk: a damaged state is ignored, which costs one epoch.
    write(path, arrays, {"meta": meta, "sha256": digest(arrays)}, durable=False)


def read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return the arrays and values of ``write_state``; None if the file is missing or damaged (which is logged)."""
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
    """Return the SHA-256 of names, types, shapes and values, independent of the order of the arrays."""
    sha256 = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        sha256.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()
