"""Training history of a run: its CSV file, and its rows in the log."""

import csv
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.io import files

PROGRESS_SECONDS = 10.0

_log = logging.getLogger(__name__)


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a history as CSV; a value of None becomes an empty field."""
    with files.replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def progress_logger(label: str, epochs: int) -> Callable[[dict[str, Any]], None]:
    """Return a function that logs a row of the history if the last one was logged at least ten seconds ago."""
    last = time.monotonic()

    def log_row(row: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            _log.info("%s: epoch %d of %d, %s", label, row["epoch"], epochs, in_words(row))

    return log_row


def in_words(row: Mapping[str, Any]) -> str:
    """Return the losses and other measures of a row: ``train loss 0.21, validation accuracy 0.9``."""
    measures = {
        key: value for key, value in row.items() if key.startswith(("train_", "validation_")) and value is not None
    }
    return ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in measures.items())
