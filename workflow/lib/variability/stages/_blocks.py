"""Runs on disk: found again by fingerprint, made one by one under a lock, listed in the manifest of their job."""

import csv
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import files, locks
from variability.training import frameworks

PROGRESS_SECONDS = 10.0

#: Where a run's network lies in its folder.
CHECKPOINT = "checkpoint.safetensors"
#: In a run's record where its checkpoint was dropped on purpose.
DROPPED = "checkpoint_dropped"

_log = logging.getLogger(__name__)


def run_block(
    seeds: Sequence[int],
    lock: Callable[[int], Path],
    find: Callable[[int], dict[str, Any] | None],
    make: Callable[[int, str], dict[str, Any]],
    manifest: Path | None,
    workplace: "Workplace",
    label: str,
) -> None:
    """Brings every seed of a block about and writes the block's manifest, where one is asked for.

    find: the manifest's entry of a seed that is there already, or None; must not need torch. make: makes a seed on a
    device and returns its entry. lock: the lock file of a seed: a process that outlived its job may still be at work
    on it, and its result is then waited for. label: of the block, in the log.

    One seed that fails stops none of the others. Raises UserError, after all were tried, naming each that failed.
    """
    entries = {seed: entry for seed in seeds if (entry := find(seed)) is not None}
    missing = [seed for seed in seeds if seed not in entries]
    if entries:
        _log.info("%s: already there: %s", label, named(list(entries)))
    failures: dict[int, str] = {}
    place = workplace.device if missing else None
    for seed in missing:
        try:
            with locks.held(lock(seed), f"seed {seed} is being made by another process; waiting for it"):
                entries[seed] = find(seed) or make(seed, place)
        except Exception as error:
            known = isinstance(error, UserError)
            _log.error("%s: seed %d failed:\n%s", label, seed, error if known else traceback.format_exc())
            failures[seed] = str(error) if known else f"{type(error).__name__}: {error} (the log has the traceback)"
            _release_memory(place)
    if failures:
        raise UserError(_explain(failures, len(seeds)))
    if manifest is not None:
        files.write_json(manifest, {"runs": [entries[seed] for seed in sorted(entries)]})


class Workplace:
    """Where this process computes: a device, leased when it is first asked for and held to the end of the block.

    model: a model's entry, whose framework says what devices there are. threads: CPU threads of one operation. A
    process whose runs are all there asks for no device, and loads no framework.
    """

    def __init__(self, model: Mapping[str, Any], threads: int = 1):
        self.framework = frameworks.of(model)
        self.threads = threads
        self._lease = ExitStack()

    def __enter__(self) -> "Workplace":
        return self

    def __exit__(self, *exception) -> None:
        self._lease.close()
        self.__dict__.pop("device", None)

    @cached_property
    def device(self) -> str:
        """The device, on which the same bits are computed each time."""
        self.framework.configure(self.threads)
        return self._lease.enter_context(self.framework.lease())


def open_task(task_json: Path):
    """The ``PreparedTask``, its files compared with their checksums, which fingerprints are made of."""
    from variability.data.prepared_task import PreparedTask

    task = PreparedTask.open(task_json)
    task.verify()
    return task


def intact(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Whether files, {name: sha256}, lie in a folder as they were written."""
    return all((folder / name).is_file() and files.sha256(folder / name) == sha for name, sha in checksums.items())


def read_record(path: Path) -> dict[str, Any]:
    """A JSON record, or an empty one where there is none that can be read."""
    try:
        record = files.read_json(path)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Writes the rows of a history as CSV; what is not known is an empty field."""
    with files.replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def progress(label: str, epochs: int) -> Callable[[dict[str, Any]], None]:
    """Logs a row of the history at most every ten seconds."""
    last = time.monotonic()

    def report(row: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            _log.info("%s: epoch %d of %d, %s", label, row["epoch"], epochs, describe(row))

    return report


def describe(row: dict[str, Any]) -> str:
    """The figures of a row of the history in words."""
    shown = {
        key: value for key, value in row.items() if key.startswith(("train_", "validation_")) and value is not None
    }
    return ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in shown.items())


def named(seeds: Sequence[int]) -> str:
    """``seed 3`` or ``seeds 1, 2, 3``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def label(spec: Mapping[str, Any]) -> str:
    """A cell in words: model / task / method."""
    return " / ".join(spec[key]["name"] for key in ("model", "task", "method"))


def _explain(failures: dict[int, str], total: int) -> str:
    reasons: dict[str, list[int]] = {}
    for seed, reason in failures.items():
        reasons.setdefault(reason, []).append(seed)
    kept = "; the others are done and will not be made again" if len(failures) < total else ""
    said = f"{len(failures)} of {total} seeds failed{kept}"
    if len(reasons) == 1:
        return f"{said}: {next(iter(reasons))}"
    return "\n".join([f"{said}:", *(f"  {named(seeds)}: {reason}" for reason, seeds in reasons.items())])


def _release_memory(place: str) -> None:
    # What a run that ran out of memory held must not starve the next.
    if place.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
