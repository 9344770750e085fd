"""Files of predictions: the fingerprint by which one is found again, without the framework that made it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import artefacts, files
from variability.training.cpu_kernels import switch
from variability.training.input_files import InputFiles

_log = logging.getLogger(__name__)

METADATA = b"variability"


def fingerprint_parts(model: Mapping[str, Any], input_files: InputFiles, code: str, threads: int) -> dict[str, Any]:
    """Return what the predictions of all runs of a cell depend on. code: digest of the code of ``predict``."""
    return {**input_files.content(model), "code": code, "threads": threads, **switch.fingerprint()}


def fingerprint(parts: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return the fingerprint of a run's predictions. run: its entry in the manifest of ``finetune``."""
    return files.digest({**parts, "run": run["fingerprint"], "checkpoint": run["sha256"]["checkpoint"]})


def table_path(folder: Path, seed: int) -> Path:
    """Return the file of a run's predictions."""
    return folder / f"{seed}.parquet"


def manifest_entry(run: Mapping[str, Any], fingerprint: str, checksum: str) -> dict[str, Any]:
    """Return the entry of a run in the manifest of ``predict``. run: its entry in that of ``finetune``."""
    identity = {"seed": run["seed"], "fingerprint": fingerprint, "status": run["status"]}
    return {**identity, "sha256": {"predictions": checksum}}


def list_if_current(
    spec: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: str, manifest: Path
) -> bool:
    """Write the manifest of ``predict`` if the predictions of all runs are what it would write; return whether.

    ``finetune`` leaves predictions behind, so this is what most jobs of ``predict`` do: it must not import NumPy, which
    takes as long as all the rest. spec, finetuned: see ``stages.predict``. code: digest of the code of ``predict``.
    """
    entries = _current_entries(spec["model"], input_files, finetuned, code, manifest.parent, spec["threads"])
    if entries is None:
        return False
    _log.info("all predictions were made by finetune, or before: nothing to compute")
    artefacts.write_record(manifest, {"runs": sorted(entries, key=lambda entry: entry["seed"])})
    return True


def all_current(
    model: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: Path, folder: Path, threads: int
) -> bool:
    """Return whether the predictions of all runs of a seed chunk are what ``predict`` would write.

    model: its entry in the config. finetuned: manifest of the chunk. code: listing of the code of ``predict``. folder:
    of the predictions. False also for a file that cannot be read, about which the job will say more.
    """
    try:
        return _current_entries(model, input_files, finetuned, files.sha256(code), folder, threads) is not None
    except (OSError, LookupError, UserError):
        return False


def _current_entries(
    model: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: str, folder: Path, threads: int
) -> list[dict[str, Any]] | None:
    """Return the entries of all runs of a seed chunk; None if the predictions of one are not current."""
    parts = fingerprint_parts(model, input_files, code, threads)
    entries = []
    for run in artefacts.read_record(finetuned, artefacts.FITTED)["runs"]:
        expected = fingerprint(parts, run)
        checksum = artefacts.stamped(table_path(folder, run["seed"]), expected)
        if checksum is None:
            return None
        entries.append(manifest_entry(run, expected, checksum))
    return entries
