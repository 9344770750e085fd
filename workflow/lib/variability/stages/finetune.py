"""Fine-tuning of a model on a task by a method, for a chunk of seeds."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability import registry, seeding
from variability.errors import Interrupted
from variability.io import artefacts, bundles, files
from variability.stages._blocks import RunBlock, cell_label
from variability.stages._history import in_words, progress_logger, write_history
from variability.stages._records import CHECKPOINT, DROPPED, RECORD, SETTINGS, match_checksums
from variability.training import device as devices
from variability.training import micro_batches
from variability.training.cpu_kernels import switch
from variability.training.fit_loop import FitResult, FitSpec
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles
from variability.training.saving import Saving
from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)

OUTPUTS = {"checkpoint": CHECKPOINT, "history": "history.csv"}
STATE = ".state.safetensors"


def finetune(
    spec: Mapping[str, Any],
    input_files: InputFiles,
    code: str,
    manifest: Path,
    workplace: Workplace,
    saving: Saving | None = None,
) -> None:
    """Fine-tune every seed of ``spec`` that is not finished, and write the manifest of the chunk.

    spec: {model, task: {name, kind}, method, recipe, seeds}, entries as in the config with all defaults filled in.
    input_files: with ``features``, if the trained part starts from stored activations. code: digest of the code that
    the result depends on. manifest: file next to the folders of the runs, which are named by their seeds. workplace:
    framework and device; the last bits of a result depend on its number of CPU threads. saving: when a run's state is
    saved.

    A finished run whose fingerprint matches is reused unchanged; an interrupted one resumes at the step of its state.
    Raises UserError naming the seeds that failed, after all others are finished.
    """
    FinetuneBlock(spec, input_files, code, manifest.parent, workplace, saving).run(manifest)


class FinetuneBlock(RunBlock):
    """Runs of a seed chunk, each in the folder ``<seed>`` inside ``folder``. Parameters as of ``finetune``."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        input_files: InputFiles,
        code: str,
        folder: Path,
        workplace: Workplace,
        saving: Saving | None = None,
    ):
        super().__init__(spec, input_files, spec["seeds"], workplace, cell_label(spec))
        self.folder = folder
        self.saving = saving or Saving()
        self._fingerprint_parts = {
            **{key: spec[key] for key in ("model", "method", "recipe")},
            "task": {key: spec["task"][key] for key in ("name", "kind")},
            **input_files.content(spec["model"]),
            "code": code,
            "threads": workplace.threads,
            **switch.fingerprint(),
        }

    def lock(self, seed: int) -> Path:
        return self.folder / str(seed) / ".lock"

    def find(self, seed: int) -> dict[str, Any] | None:
        folder = self.folder / str(seed)
        record = artefacts.read_intact(folder / RECORD, artefacts.RUN_RECORD)
        if record.get("fingerprint") != self._fingerprint(seed, record.get("reductions")):
            return None
        return _manifest_entry(record) if match_checksums(folder, _required(record)) else None

    def damage(self, seed: int) -> str | None:
        folder = self.folder / str(seed)
        record = artefacts.read_intact(folder / RECORD, artefacts.RUN_RECORD)
        if not record:
            return f"{folder / RECORD} is damaged" if (folder / RECORD).is_file() else None
        if record["fingerprint"] != self._fingerprint(seed, record.get("reductions")):
            return None
        problems = (artefacts.damage(folder / name, checksum) for name, checksum in _required(record).items())
        return "; ".join(filter(None, problems)) or None

    def make(self, seed: int, device: str) -> dict[str, Any]:
        """Train a run, write its files, and return its entry in the manifest."""
        if self.saving.should_stop():
            raise Interrupted
        framework = self.framework()
        with self.saving.postponed():
            return self._make(seed, device, framework)

    def _make(self, seed: int, device: str, framework: Framework) -> dict[str, Any]:
        folder, fingerprint, recipe = self.folder / str(seed), self._fingerprint(seed), self.spec["recipe"]
        label = f"{self.label} / seed {seed}"
        meter = devices.Meter(*self.workplace.devices)
        log_row = progress_logger(label, recipe["epochs"])
        fit_spec = FitSpec(framework.data(seed), recipe, seed, folder / STATE, fingerprint, log_row, self.saving)
        try:
            result = framework.fit(fit_spec)
        except Interrupted as interrupted:
            raise Interrupted(f"in {label} {interrupted}") from None
        # Only now, because the bits also depend on how often memory ran out.
        fingerprint = self._fingerprint(seed, result.reductions)
        framework.save_trained(folder / OUTPUTS["checkpoint"], fingerprint)
        write_history(folder / OUTPUTS["history"], result.history)
        record = {
            "fingerprint": fingerprint,
            **_settings(self.spec, framework, fit_spec),
            **_outcome(result, meter),
            "micro_batch": micro_batches.used(recipe, result.reductions),
            "reductions": result.reductions,
            "gpus_per_run": recipe["gpus_per_run"],
            "hardware": framework.hardware(),
            **switch.fingerprint(),
            SETTINGS: _settings_to_load(self.spec, self.input_files, self.workplace.threads),
            "versions": devices.versions(_packages(framework, self.spec["model"])),
            "bytes": sum((folder / file).stat().st_size for file in OUTPUTS.values()),
            "sha256": {name: files.sha256(folder / file) for name, file in OUTPUTS.items()},
        }
        # Last, because a run counts as finished once its record exists.
        artefacts.write_record(folder / RECORD, record)
        (folder / STATE).unlink(missing_ok=True)
        outcome = f"diverged: {result.fail_reason}" if result.fail_reason else in_words(result.history[-1])
        resumed = ", resumed" if result.resumed else ""
        _log.info("%s: %d epochs in %.1f s%s, %s", label, result.epochs, record["seconds"], resumed, outcome)
        return _manifest_entry(record)

    def _fingerprint(self, seed: int, reductions: list[micro_batches.Reduction] | None = None) -> str:
        """Return the fingerprint of a run. reductions: of its micro-batches, none before it has trained."""
        reduced = {"reductions": reductions} if reductions else {}
        return files.digest(self._fingerprint_parts | {"seed": seed} | reduced)


def _required(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a finished run, with their checksums."""
    names = [name for name in OUTPUTS if not (name == "checkpoint" and record.get(DROPPED))]
    return {OUTPUTS[name]: record["sha256"][name] for name in names}


def _manifest_entry(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("seed", "fingerprint", "status", "sha256")}


def _settings_to_load(spec: Mapping[str, Any], input_files: InputFiles, threads: int) -> dict[str, Any]:
    """Return the part of a run's record from which ``load_run`` builds its network, and ``verify`` trains it, again.

    Paths are relative to the directory that Snakemake ran in, or absolute.
    """
    paths = {name: bundles.in_checkout(path) for name, path in vars(input_files).items() if path is not None}
    names = ("task", "weights", "weights_manifest", "assets")
    return {
        **{key: spec[key] for key in ("model", "method", "task")},
        "files": {name: path for name, path in paths.items() if name in names},
        "trained_from": paths,
        "threads": threads,
    }


def _settings(spec: Mapping[str, Any], framework: Framework, fit_spec: FitSpec) -> dict[str, Any]:
    """Return the part of a run's record that is known before training."""
    seed, split = fit_spec.seed, framework.task.split
    streams = {stream: seeding.stream_number(seed, stream) for stream in seeding.STREAMS}
    streams["split"] = seeding.stream_number(seed if split["resample"] else split["seed"], "split")
    return {
        "model": spec["model"]["name"],
        "task": spec["task"]["name"],
        "method": spec["method"]["name"],
        "seed": seed,
        "streams": streams,
        "preprocess": framework.input_spec(),
        "recipe": spec["recipe"],
        "recipe_hash": files.digest(spec["recipe"]),
        "n_train": len(fit_spec.data.train),
        "n_validation": len(fit_spec.data.validation),
    }


def _outcome(result: FitResult, meter: devices.Meter) -> dict[str, Any]:
    """Return the part of a run's record that training determines."""
    return {
        "status": result.status,
        "fail_reason": result.fail_reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": sum(row["seconds"] for row in result.history),
        "peak_memory_mb": meter.peak_memory_mb(),
        # Of a resumed run only the last part was measured.
        "energy_j": None if result.resumed else meter.energy_j(),
    }


def _packages(framework: Framework, model: Mapping[str, Any]) -> list[str]:
    return [*framework.PACKAGES, *registry.find("providers", model["provider"]).PACKAGES]
