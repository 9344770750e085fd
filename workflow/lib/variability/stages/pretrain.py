"""Pretraining of a network from random weights, to be fine-tuned like one with published weights."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.errors import Interrupted, UserError
from variability.io import artefacts, files, locks
from variability.models import methods
from variability.stages._history import in_words, progress_logger, write_history
from variability.training import micro_batches
from variability.training.cpu_kernels import switch
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.saving import Saving
from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)


def pretrain(
    spec: Mapping[str, Any],
    input_files: InputFiles,
    code: str,
    weights: Path,
    manifest: Path,
    history: Path,
    threads: int = 1,
    saving: Saving | None = None,
    runs_per_gpu: int = 1,
) -> None:
    """Train all of a model's architecture on the pretraining task and write the whole network to ``weights``.

    spec: {model, recipe, seed}. code: digest of the code that the result depends on. The manifest holds {fingerprint,
    sha256, source, architecture, task, seed, epochs, and the measures on validation, such as validation_loss}; history
    is as of ``finetune``. An interrupted pretraining resumes at the step of its state. Raises UserError if the training
    diverges, because there is nothing to fine-tune then. saving: when the state is saved.
    runs_per_gpu: number of processes that share a GPU.
    """
    parts = {key: spec[key] for key in ("model", "recipe", "seed")} | {"threads": threads, "code": code}
    parts |= input_files.content(spec["model"]) | switch.fingerprint()
    folder = weights.parent
    with locks.held(folder / ".lock", f"another process is working on {weights}; waiting for it"):
        # Snakemake has removed the outputs, so files that exist now were made by the process that held the lock.
        record = artefacts.read_intact(manifest, artefacts.PRETRAINED)
        fingerprint = _fingerprint(parts, record.get("reductions"))
        finished = record.get("fingerprint") == fingerprint and artefacts.stamped(history, fingerprint)
        if finished and artefacts.is_intact(weights, record["sha256"]):
            return
        saving = saving or Saving()
        gpus_per_run = spec["recipe"]["gpus_per_run"]
        with Workplace(spec["model"], threads, runs_per_gpu, gpus_per_run) as workplace, saving.postponed():
            facts = _train(spec, input_files, _fingerprint(parts), weights, history, workplace, saving)
            fingerprint = _fingerprint(parts, facts["reductions"])
            artefacts.write_stamp(history, fingerprint)
            artefacts.write_record(manifest, {"fingerprint": fingerprint, "sha256": files.sha256(weights), **facts})
            _state(weights).unlink(missing_ok=True)


def _fingerprint(parts: Mapping[str, Any], reductions: list[micro_batches.Reduction] | None = None) -> str:
    """Return the fingerprint of a pretraining. reductions: of its micro-batches, none before it has trained."""
    return files.digest({**parts, "reductions": reductions} if reductions else parts)


def _train(
    spec: Mapping[str, Any],
    input_files: InputFiles,
    fingerprint: str,
    weights: Path,
    history: Path,
    workplace: Workplace,
    saving: Saving,
) -> dict[str, Any]:
    """Train the network, write it and its history, and return facts about it for the manifest."""
    model, recipe, seed = spec["model"], spec["recipe"], spec["seed"]
    task = input_files.task.parent.name
    label = f"pretraining {model['architecture']} on {task}"
    framework = workplace.framework(model, methods.PRETRAINING, input_files)
    log_row = progress_logger(label, recipe["epochs"])
    data, state = framework.data(seed), _state(weights)
    try:
        result = framework.fit(FitSpec(data, recipe, seed, state, fingerprint, log_row, saving))
    except Interrupted as interrupted:
        raise Interrupted(f"in {label} {interrupted}") from None
    if result.status != "completed":
        raise UserError(
            f"{label} diverged: {result.fail_reason}. Lower lr or set clip_norm in the recipe of its pretraining"
        )
    framework.save_whole(weights)
    write_history(history, result.history)
    best = result.history[result.best_epoch]
    _log.info("pretrained %s on %s: %d epochs, %s", model["architecture"], task, result.epochs, in_words(best))
    return {
        "source": "pretrain",
        "architecture": model["architecture"],
        "task": task,
        "seed": seed,
        **switch.fingerprint(),
        "micro_batch": micro_batches.used(recipe, result.reductions),
        "reductions": result.reductions,
        "gpus_per_run": recipe["gpus_per_run"],
        "epochs": result.epochs,
        **{key: value for key, value in best.items() if key.startswith("validation_")},
    }


def _state(weights: Path) -> Path:
    """Return the file from which an interrupted pretraining resumes."""
    return weights.parent / ".state.safetensors"
