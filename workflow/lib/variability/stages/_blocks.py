"""Runs of a seed chunk: found by fingerprint, or made one by one under a lock, and listed in the job's manifest."""

import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.advice import agree, plural
from variability.errors import UserError
from variability.io import artefacts, locks, storage
from variability.training import memory
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)


class RunBlock(ABC):
    """Runs of one (model, task, method) for a chunk of seeds, or what is computed from each of these runs.

    spec: {model, task, method, ...}: entries of the config with all defaults filled in. label: name of the chunk in the
    log. A subclass defines how the result of a seed is found and made.
    """

    def __init__(
        self, spec: Mapping[str, Any], input_files: InputFiles, seeds: Sequence[int], workplace: Workplace, label: str
    ):
        self.spec = spec
        self.input_files = input_files
        self.seeds = seeds
        self.workplace = workplace
        self.label = label
        self._framework: Framework | None = None

    @abstractmethod
    def lock(self, seed: int) -> Path:
        """Return the lock file of a seed: a process that outlived its job may still be at work on the seed."""

    @abstractmethod
    def find(self, seed: int) -> dict[str, Any] | None:
        """Return the manifest's entry of a seed that is finished, otherwise None. Must work without torch."""

    @abstractmethod
    def damage(self, seed: int) -> str | None:
        """Return why the finished result of a seed cannot be used; None if there is none, or it has other inputs."""

    @abstractmethod
    def make(self, seed: int, device: str) -> dict[str, Any]:
        """Compute the result of a seed on a device and return its entry in the manifest."""

    def framework(self) -> Framework:
        """Return the networks of the chunk, which all its seeds share."""
        if self._framework is None:
            spec = self.spec
            self._framework = self.workplace.framework(spec["model"], spec["method"], self.input_files)
        return self._framework

    def run(self, manifest: Path | None) -> None:
        """Make every seed that is not finished, and write the manifest {runs: [entry, ...]} if its path is given.

        A seed that fails does not stop the others. Raises UserError, after all seeds were tried, naming each that
        failed.
        """
        entries = {seed: entry for seed in self.seeds if (entry := self.find(seed)) is not None}
        missing = [seed for seed in self.seeds if seed not in entries]
        if entries:
            _log.info("%s: stored, not computed again: %s", self.label, _seeds_in_words(list(entries)))
        for seed in missing:
            if reason := self.damage(seed):
                _log.warning("%s: seed %d is computed again: %s", self.label, seed, reason)
        failures: dict[int, str] = {}
        if missing:
            device = self.workplace.device
            for seed in missing:
                try:
                    with locks.held(self.lock(seed), f"another process is working on seed {seed}; waiting for it"):
                        entries[seed] = self.find(seed) or self.make(seed, device)
                except Exception as error:
                    problem = storage.explain(error)
                    if problem and problem.concerns_all_files:
                        # The other seeds would train for nothing.
                        raise problem from error
                    failures[seed] = self._log_failure(seed, problem or error, device)
                if seed in failures:
                    # Only here, where the traceback does not hold the tensors of the failed run any more.
                    memory.release(device)
        if failures:
            raise UserError(_failure_message(failures, len(self.seeds)))
        if manifest is not None:
            artefacts.write_record(manifest, {"runs": [entries[seed] for seed in sorted(entries)]})

    def _log_failure(self, seed: int, error: Exception, device: str) -> str:
        """Log why a seed failed, with a traceback unless the user can fix it, and return the reason in a line."""
        if memory.ran_out(error):
            error = UserError(memory.message("the network and its data do not fit", device, memory.reason(error)))
        expected = isinstance(error, UserError)
        _log.error("%s: seed %d failed:\n%s", self.label, seed, error if expected else traceback.format_exc())
        return str(error) if expected else f"{type(error).__name__}: {error} (the log has the traceback)"


def cell_label(spec: Mapping[str, Any]) -> str:
    """Return the name of a cell: ``model / task / method``."""
    return " / ".join(spec[key]["name"] for key in ("model", "task", "method"))


def _seeds_in_words(seeds: Sequence[int]) -> str:
    """Return ``seed 3`` or ``seeds 1, 2, 3``."""
    return f"{agree(len(seeds), 'seed', 'seeds')} {', '.join(map(str, seeds))}"


def _failure_message(failures: Mapping[int, str], total: int) -> str:
    seeds_by_reason: dict[str, list[int]] = {}
    for seed, reason in failures.items():
        seeds_by_reason.setdefault(reason, []).append(seed)
    finished = agree(total - len(failures), "other is", "others are")
    others = f"; the {finished} finished and will not be computed again" if len(failures) < total else ""
    summary = f"{len(failures)} of {plural(total, 'seed')} failed{others}"
    if len(seeds_by_reason) == 1:
        return f"{summary}: {next(iter(seeds_by_reason))}"
    lines = [f"  {_seeds_in_words(seeds)}: {reason}" for reason, seeds in seeds_by_reason.items()]
    return "\n".join([f"{summary}:", *lines])
