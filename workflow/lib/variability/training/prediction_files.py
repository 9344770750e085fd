"""Files of predictions: the fingerprint by which one is found again, without the framework that made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import artefacts, files
from variability.training.cpu_kernels import switch
from variability.training.input_files import InputFiles

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


def all_current(
    model: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: Path, folder: Path, threads: int
) -> bool:
    """Return whether the predictions of all runs of a seed chunk are what ``predict`` would write.

    model: its entry in the config. finetuned: manifest of the chunk. code: listing of the code of ``predict``. folder:
    of the predictions. False also for a file that cannot be read, about which the job will say more.
    """
    try:
        runs = artefacts.read_record(finetuned, artefacts.FITTED)["runs"]
        parts = fingerprint_parts(model, input_files, files.sha256(code), threads)
        return all(artefacts.stamped(table_path(folder, run["seed"]), fingerprint(parts, run)) for run in runs)
    except (OSError, LookupError, UserError):
        return False
