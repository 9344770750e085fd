"""Runs of a job that are finished already, as the job itself would find them."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import artefacts
from variability.io.files import sha256
from variability.stages._records import RECORD
from variability.stages.finetune import FinetuneBlock
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace


class _Chunk(FinetuneBlock):
    def has(self, seed: int) -> bool:
        record = artefacts.read_intact(self.folder / str(seed) / RECORD, artefacts.RUN_RECORD)
        return record.get("fingerprint") == self._fingerprint(seed, record.get("reductions"))


def finished_seeds(seeds: Iterable[int], folder: Path) -> list[int]:
    """Return the seeds that have the record of a finished run. folder: that of their cell."""
    return [seed for seed in seeds if os.path.isfile(os.path.join(folder, str(seed), RECORD))]


def is_current(spec: Mapping[str, Any], rule_input: Any, folder: Path, seed: int) -> bool:
    """Return whether a job of ``finetune`` will use a finished run again, as far as small files show.

    spec, rule_input: of the job. folder: that of its cell, whose runs have one fingerprint except for their seeds: one
    of them is representative. Files are not compared with their checksums; inputs that will be made again are expected
    to have the content that they have now.
    """
    try:
        workplace = Workplace(spec["model"], spec["threads"])
        return _Chunk(spec, InputFiles.from_rule(rule_input), sha256(rule_input.code), folder, workplace).has(seed)
    except (UserError, OSError):
        return False
