"""Trains a network from random weights, to be fine-tuned as a pretrained one."""

import logging
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import files, locks
from variability.models import methods
from variability.stages import _blocks
from variability.training.cpu_kernels import switch
from variability.training.input_files import Sources

_log = logging.getLogger(__name__)


#: All of a network is pretrained.


def pretrain(
    spec: dict[str, Any],
    sources: Sources,
    code: str,
    target: Path,
    manifest: Path,
    history: Path,
    threads: int = 1,
) -> None:
    """Trains all of a model's architecture on the pretraining task and writes the whole network to ``target``.

    spec: {model, recipe, seed}. The manifest says {sha256, source, architecture, task, seed, epochs, validation_loss
    and what else is measured on validation, fingerprint}; history is as of ``finetune``. An interrupted pretraining
    resumes after its last epoch. Raises UserError if the training diverges: there is nothing that could be fine-tuned.
    """
    parts = {key: spec[key] for key in ("model", "recipe", "seed")} | {"threads": threads, "code": code}
    fingerprint = files.digest(parts | sources.content(spec["model"]) | switch.fingerprint())
    folder = target.parent
    with locks.held(folder / ".lock", f"{target} is being made by another process; waiting for it"):
        # Snakemake has removed the outputs, so what is here was made by the process that held the lock.
        record = _blocks.read_record(manifest)
        made = record.get("fingerprint") == fingerprint and history.is_file()
        if made and _blocks.intact(folder, {target.name: record["sha256"]}):
            return
        with _blocks.Workplace(spec["model"], threads) as workplace:
            _train(spec, sources, fingerprint, target, manifest, history, workplace)


def _train(
    spec: dict[str, Any],
    sources: Sources,
    fingerprint: str,
    target: Path,
    manifest: Path,
    history: Path,
    workplace: _blocks.Workplace,
) -> None:
    model, recipe, seed = spec["model"], spec["recipe"], spec["seed"]
    name, state = sources.task.parent.name, target.parent / ".state.safetensors"
    framework = workplace.framework(model, methods.PRETRAINING, sources, workplace.device)
    report = _blocks.progress(f"pretraining {model['architecture']} on {name}", recipe["epochs"])
    result = framework.fit(seed, recipe, state, fingerprint, report)
    if result.status != "completed":
        raise UserError(
            f"pretraining {model['architecture']} on {name} diverged: {result.fail_reason}. "
            f"Lower lr or set clip_norm in the recipe of its pretraining"
        )
    framework.save_whole(target)
    _blocks.write_history(history, result.history)
    kept = result.history[result.best_epoch]
    record = {
        "fingerprint": fingerprint,
        "sha256": files.sha256(target),
        "source": "pretrain",
        "architecture": model["architecture"],
        "task": name,
        "seed": seed,
        **switch.fingerprint(),
        "epochs": result.epochs,
        **{key: value for key, value in kept.items() if key.startswith("validation_")},
    }
    files.write_json(manifest, record)
    state.unlink(missing_ok=True)
    _log.info("pretrained %s on %s: %d epochs, %s", model["architecture"], name, result.epochs, _blocks.describe(kept))
