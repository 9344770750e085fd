"""Runs of a job that are finished already, as the job itself would find them."""

from collections.abc import Mapping
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


def stored_runs(spec: Mapping[str, Any], rule_input: Any, folder: Path) -> int:
    """Return the number of runs that a job of ``finetune`` will use again, as far as small files show.

    spec, rule_input: of the job. folder: that of the cell. Runs of a cell have one fingerprint except for their seed, so
    the first is representative. Files are not compared with their checksums; inputs that will be made again are
    expected to have the content that they have now.
    """
    finished = [seed for seed in spec["seeds"] if (folder / str(seed) / RECORD).is_file()]
    if not finished:
        return 0
    try:
        workplace = Workplace(spec["model"], spec["threads"])
        chunk = _Chunk(spec, InputFiles.from_rule(rule_input), sha256(rule_input.code), folder, workplace)
        return len(finished) if chunk.has(finished[0]) else 0
    except (UserError, OSError):
        return 0
