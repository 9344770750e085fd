"""Offline runs of Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path

from variability.errors import UserError
from variability.export.exporters import ExportedRun, Exporter, _run_folders
from variability.io.files import digest


class Wandb(Exporter):
    """A folder ``wandb/offline-run-<time>-<id>`` per run, with the study as its project; nothing is sent anywhere."""

    EXTRA = "wandb"
    NEEDS = ("wandb",)

    def exported(self, run: ExportedRun) -> str | None:
        digests = [_run_folders.digest(path) for path in self._paths(run)]
        return None if not digests else digests[0] if len(digests) == 1 else ""

    def remove(self, run: ExportedRun) -> None:
        for path in self._paths(run):
            _run_folders.remove(path)

    def write(self, run: ExportedRun) -> None:
        os.environ |= {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            mode="offline", console="off", disable_git=True, disable_code=True, save_code=False, x_disable_stats=True,
            x_disable_meta=True, silent=True, x_disable_machine_info=True,
        )  # fmt: skip
        keys = {key: str(value) for key, value in run.keys.items()}
        try:
            opened = wandb.init(
                dir=self.folder, project=self.study[:128], id=self._number(run), name=run.name, settings=settings,
                group=f"{keys['model']}/{keys['task']}/{keys['method']}", config={**run.keys, **run.config},
                tags=[] if run.completed else [run.status],
            )  # fmt: skip
            for step, values in run.history.items():
                opened.log(dict(values), step=step)
            facts = {"status": run.status, "fail_reason": run.fail_reason, "training_seconds": run.seconds}
            opened.summary.update({**run.metrics, **{key: value for key, value in facts.items() if value is not None}})
            opened.finish(exit_code=0 if run.completed else 1)
        except (wandb.Error, OSError) as error:
            raise UserError(f"{self.folder}: W&B refuses this: {error}") from error
        for path in self._paths(run):
            _run_folders.mark(path, run.digest)

    def how_to_open(self) -> str:
        return f"wandb sync {self.folder / 'wandb' / 'offline-run-*'}, which sends the runs to a server"

    def _paths(self, run: ExportedRun) -> list[Path]:
        return sorted(self.folder.glob(f"wandb/offline-run-*-{self._number(run)}"))

    def _number(self, run: ExportedRun) -> str:
        """Return the id of a run: the same at every export."""
        return digest({"study": self.study, **run.keys})[:16]
