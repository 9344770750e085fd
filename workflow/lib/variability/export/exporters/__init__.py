"""Exporters of runs to the stores of other programs: one file each.

To add an exporter, write a module in this folder with one subclass of ``Exporter``: the module's name is the name in
the command, ``python -m variability.export <name> results/<study> --to FOLDER``.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from variability.extras import WithExtras
from variability.io.files import digest


@dataclass(frozen=True)
class ExportedRun:
    """One run of a study.

    keys: model, task, method and seed. config: plain values by dotted name: what the run was made from. history:
    values by epoch (0 = before training), none where they are not known. metrics: the values that the run has, by
    ``<phase>/<split>/<metric>``. ended: seconds since 1970.
    """

    keys: Mapping[str, Any]
    config: Mapping[str, Any]
    history: Mapping[int, Mapping[str, float]]
    metrics: Mapping[str, float]
    status: str
    fail_reason: str | None
    seconds: float | None
    ended: float = field(compare=False)

    @property
    def name(self) -> str:
        """Name of the run in its study."""
        return "/".join(str(value) for value in self.keys.values())

    @property
    def completed(self) -> bool:
        """Return True if its values count."""
        return self.status == "completed"

    @property
    def step(self) -> int:
        """The last epoch, at which the final values are; 0 if no epochs are known."""
        return max(self.history, default=0)

    @cached_property
    def digest(self) -> str:
        """Digest of all that is exported, except for the time."""
        content = {key: value for key, value in asdict(self).items() if key != "ended"}
        # As text, because losses of diverged runs may be infinite.
        return digest(json.dumps(content, sort_keys=True))


class Exporter(WithExtras):
    """A store of another program in a folder. A study exported a second time replaces the runs that changed.

    folder: of the store. study: name of the study. A module must import without its extra.
    """

    def __init__(self, folder: Path, study: str):
        self.folder = folder
        self.study = study

    @abstractmethod
    def exported(self, run: ExportedRun) -> str | None:
        """Return the digest of a run that the store has, "" if it was not written to its end, None if it has none."""

    @abstractmethod
    def remove(self, run: ExportedRun) -> None:
        """Remove a run from the store."""

    @abstractmethod
    def write(self, run: ExportedRun) -> None:
        """Add a run to the store, its digest last."""

    @abstractmethod
    def how_to_open(self) -> str:
        """Return the command that shows the store."""
