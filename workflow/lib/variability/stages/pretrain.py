"""Trains a network from random weights, to be fine-tuned as a pretrained one."""

import logging
from pathlib import Path
from typing import Any

from variability import files, locks, registry, runs
from variability.errors import UserError

_log = logging.getLogger(__name__)


def pretrain(
    model: dict[str, Any],
    recipe: dict[str, Any],
    task_json: Path,
    seed: int,
    code: str,
    target: Path,
    manifest: Path,
    history: Path,
    threads: int = 1,
) -> None:
    """Trains all of a model's architecture on the pretraining task and writes the whole network to ``target``.

    The manifest says {sha256, source, architecture, task, seed, epochs, validation_loss, validation_accuracy,
    fingerprint}; history is as of ``finetune``. An interrupted pretraining resumes after its last epoch. Raises
    UserError if the training diverges: there is nothing that could be fine-tuned.
    """
    task = files.read_json(task_json)
    parts = {"model": model, "recipe": recipe, "seed": seed, "threads": threads, "code": code}
    fingerprint = files.digest(parts | {"data": task["sha256"], "split": task["split"]})
    folder = target.parent
    with locks.held(folder / ".lock", f"{target} is being made by another process; waiting for it"):
        # Snakemake has removed the outputs, so what is here was made by the process that held the lock.
        record = runs.read_record(manifest)
        made = record.get("fingerprint") == fingerprint and history.is_file()
        if made and runs.intact(folder, {target.name: record["sha256"]}):
            return
        with runs.Workplace(threads) as workplace:
            place = workplace.device
            _train(model, recipe, task_json, seed, fingerprint, target, manifest, history, place)


def _train(
    model: dict[str, Any],
    recipe: dict[str, Any],
    task_json: Path,
    seed: int,
    fingerprint: str,
    target: Path,
    manifest: Path,
    history: Path,
    place: str,
) -> None:
    import safetensors.torch
    import torch

    from variability import training
    from variability.inputs import Feed, Images, resident
    from variability.preprocessing import Preprocess

    name, state = task_json.parent.name, target.parent / ".state.safetensors"
    task = runs.open_task(task_json)
    data = training.Data(task.labels, task.rows("train", seed), task.rows("validation", seed), task.kind)
    provider = registry.find("providers", model["provider"])(model)
    network = provider.build(task.outputs, None, seed)
    network.module.to(place, memory_format=torch.channels_last)
    preprocess = Preprocess.from_dict(provider.preprocess(task.image_size))
    images = Images(resident(task.images, place), preprocess, place, recipe["augmentation"])
    feed = Feed(network.module, images)
    report = runs.progress(f"pretraining {model['architecture']} on {name}", recipe["epochs"])
    result = training.fit(network, [""], feed, data, recipe, seed, place, state, fingerprint, report)
    if result.status != "completed":
        raise UserError(
            f"pretraining {model['architecture']} on {name} diverged: {result.fail_reason}. "
            f"Lower lr or set clip_norm in the recipe of its pretraining"
        )
    tensors = {key: each.cpu().contiguous() for key, each in network.module.state_dict().items()}
    with files.replacing(target) as aside:
        safetensors.torch.save_file(tensors, aside)
    runs.write_history(history, result.history)
    kept = result.history[result.best_epoch]
    record = {
        "fingerprint": fingerprint,
        "sha256": files.sha256(target),
        "source": "pretrain",
        "architecture": model["architecture"],
        "task": name,
        "seed": seed,
        "epochs": result.epochs,
        **{key: value for key, value in kept.items() if key.startswith("validation_")},
    }
    files.write_json(manifest, record)
    state.unlink(missing_ok=True)
    _log.info("pretrained %s on %s: %d epochs, %s", model["architecture"], name, result.epochs, runs.describe(kept))
