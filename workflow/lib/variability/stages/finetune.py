"""Fine-tunes a block of seeds of one (model, task, method)."""

import functools
import logging
from pathlib import Path
from typing import Any

from variability import files, runs, seeding

_log = logging.getLogger(__name__)

OUTPUTS = {"checkpoint": runs.CHECKPOINT, "history": "history.csv"}
STATE = ".state.safetensors"


def finetune(
    spec: dict[str, Any],
    task_json: Path,
    weights: Path | None,
    weights_manifest: Path | None,
    features: Path | None,
    code: str,
    folder: Path,
    manifest: Path,
    workplace: runs.Workplace,
) -> None:
    """Fine-tunes every seed of ``spec`` that is not there yet, and writes the manifest of the block.

    spec: {model, task: {name, kind}, method, recipe, seeds}, entries as in the config with every key filled in.
    weights: the whole pretrained network, with its manifest; None for a random backbone. features: manifest of the
    activations that the trained part starts from, None where each run computes them. code: digest of the code that the
    result depends on. folder: each run has a folder of its own in it, named by its seed. workplace: where to compute;
    the last bits of a result depend on its number of CPU threads.

    A run that is there with the fingerprint it would get is taken as it is; an interrupted one resumes after its last
    epoch. Raises UserError naming the seeds that failed, after all others are done.
    """
    task = files.read_json(task_json)
    common = {key: spec[key] for key in ("model", "method", "recipe")}
    common["task"] = {key: spec["task"][key] for key in ("name", "kind")}
    common |= {"data": task["sha256"], "split": task["split"], "code": code}
    common["weights"] = files.read_json(weights_manifest)["sha256"] if weights_manifest else None
    common |= {"threads": workplace.threads, "features": runs.activations_sha256(features)}
    prepared = functools.cache(lambda place: _Cell(spec, task_json, weights, features, place))

    def fingerprint(seed: int) -> str:
        return files.digest(common | {"seed": seed})

    def find(seed: int) -> dict[str, Any] | None:
        record = runs.read_record(folder / str(seed) / "run.json")
        if record.get("fingerprint") != fingerprint(seed):
            return None
        there = [name for name in OUTPUTS if not (name == "checkpoint" and record.get(runs.DROPPED))]
        checksums = {OUTPUTS[name]: record["sha256"][name] for name in there}
        return entry(record) if runs.intact(folder / str(seed), checksums) else None

    def make(seed: int, place: str) -> dict[str, Any]:
        return entry(prepared(place).train(seed, fingerprint(seed), folder / str(seed)))

    runs.run_block(spec["seeds"], lambda seed: folder / str(seed) / ".lock", find, make, manifest, workplace)


def entry(record: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of a run."""
    return {key: record[key] for key in ("seed", "fingerprint", "status", "sha256")}


class _Cell:
    """What the runs of a block have in common, set up once."""

    def __init__(
        self, spec: dict[str, Any], task_json: Path, weights: Path | None, features_manifest: Path | None, place: str
    ):
        # Here, because a job whose runs are all there is to end without having loaded torch.
        from variability import features
        from variability.inputs import Images, resident
        from variability.untrained import Untrained

        self.spec, self.recipe, self.place = spec, spec["recipe"], place
        self.task = runs.open_task(task_json)
        self.untrained = Untrained(spec["model"], spec["method"], self.task, weights, place)
        stored = features.opened(features_manifest, self.task.may_train, place) if features_manifest else None
        pixels = self.task.images if stored else resident(self.task.images, place)
        self.stored = stored
        self.images = Images(pixels, self.untrained.preprocess, place, self.recipe["augmentation"])

    def train(self, seed: int, fingerprint: str, folder: Path) -> dict[str, Any]:
        """Trains one run, writes its files, and returns its record."""
        import numpy as np

        from variability import checkpoints, device, features, training

        spec, task = self.spec, self.task
        label = f"{spec['model']['name']} / {spec['task']['name']} / {spec['method']['name']} / seed {seed}"
        meter = device.Meter(self.place)
        data = training.Data(task.labels, task.rows("train", seed), task.rows("validation", seed), task.kind)
        network, trainable = self.untrained.network(seed), self.untrained.trainable
        rows = np.sort(np.concatenate([data.train, data.validation]))
        feed = features.feed(self.untrained, self.images, self.stored, rows, self.recipe["precision"])
        report = runs.progress(label, self.recipe["epochs"])
        result = training.fit(
            network, trainable, feed, data, self.recipe, seed, self.place, folder / STATE, fingerprint, report
        )
        meta = {"fingerprint": fingerprint, "frozen_sha256": self.untrained.frozen_sha256}
        checkpoints.save_checkpoint(folder / OUTPUTS["checkpoint"], network, trainable, meta)
        runs.write_history(folder / OUTPUTS["history"], result.history)
        record = {
            "fingerprint": fingerprint,
            "model": spec["model"]["name"],
            "task": spec["task"]["name"],
            "method": spec["method"]["name"],
            "seed": seed,
            "streams": {stream: seeding.integer(seed, stream) for stream in seeding.STREAMS}
            | {"split": seeding.integer(seed if task.split["resample"] else task.split["seed"], "split")},
            "status": result.status,
            "fail_reason": result.fail_reason,
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "seconds": sum(row["seconds"] for row in result.history),
            "peak_memory_mb": meter.peak_memory_mb(),
            # A resumed run was measured in part only.
            "energy_j": None if result.resumed else meter.energy_j(),
            "hardware": device.hardware(self.place),
            "versions": device.versions(),
            "preprocess": self.untrained.preprocess_spec,
            "recipe": self.recipe,
            "recipe_hash": files.digest(self.recipe),
            "n_train": len(data.train),
            "n_validation": len(data.validation),
            "bytes": sum((folder / file).stat().st_size for file in OUTPUTS.values()),
            "sha256": {name: files.sha256(folder / file) for name, file in OUTPUTS.items()},
        }
        # Last: a run is there once its record is.
        files.write_json(folder / "run.json", record)
        (folder / STATE).unlink(missing_ok=True)
        outcome = f"diverged: {result.fail_reason}" if result.fail_reason else runs.describe(result.history[-1])
        _log.info("%s: %d epochs in %.1f s, %s", label, result.epochs, record["seconds"], outcome)
        return record
