"""Fine-tunes a block of seeds of one (model, task, method)."""

import functools
import logging
from pathlib import Path
from typing import Any

from variability import registry, seeding
from variability.io import files
from variability.stages import _blocks
from variability.training import device
from variability.training.cpu_kernels import switch
from variability.training.frameworks import Framework
from variability.training.input_files import Sources

_log = logging.getLogger(__name__)

OUTPUTS = {"checkpoint": _blocks.CHECKPOINT, "history": "history.csv"}
STATE = ".state.safetensors"


def finetune(
    spec: dict[str, Any], sources: Sources, code: str, folder: Path, manifest: Path, workplace: _blocks.Workplace
) -> None:
    """Fine-tunes every seed of ``spec`` that is not there yet, and writes the manifest of the block.

    spec: {model, task: {name, kind}, method, recipe, seeds}, entries as in the config with every key filled in.
    sources: with ``features``, where the trained part starts from stored activations. code: digest of the code that the
    result depends on. folder: each run has a folder of its own in it, named by its seed. workplace: where to compute;
    the last bits of a result depend on its number of CPU threads.

    A run that is there with the fingerprint it would get is taken as it is; an interrupted one resumes after its last
    epoch. Raises UserError naming the seeds that failed, after all others are done.
    """
    common = {key: spec[key] for key in ("model", "method", "recipe")}
    common["task"] = {key: spec["task"][key] for key in ("name", "kind")}
    common |= sources.content(spec["model"]) | {"code": code, "threads": workplace.threads} | switch.fingerprint()
    prepared = functools.cache(lambda place: workplace.framework(spec["model"], spec["method"], sources, place))

    def fingerprint(seed: int) -> str:
        return files.digest(common | {"seed": seed})

    def find(seed: int) -> dict[str, Any] | None:
        record = _blocks.read_record(folder / str(seed) / "run.json")
        if record.get("fingerprint") != fingerprint(seed):
            return None
        there = [name for name in OUTPUTS if not (name == "checkpoint" and record.get(_blocks.DROPPED))]
        checksums = {OUTPUTS[name]: record["sha256"][name] for name in there}
        return entry(record) if _blocks.intact(folder / str(seed), checksums) else None

    def make(seed: int, place: str) -> dict[str, Any]:
        return entry(_train(prepared(place), spec, seed, fingerprint(seed), folder / str(seed), place))

    def lock(seed: int) -> Path:
        return folder / str(seed) / ".lock"

    _blocks.run_block(spec["seeds"], lock, find, make, manifest, workplace, _blocks.label(spec))


def entry(record: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of a run."""
    return {key: record[key] for key in ("seed", "fingerprint", "status", "sha256")}


def _train(
    framework: Framework, spec: dict[str, Any], seed: int, fingerprint: str, folder: Path, place: str
) -> dict[str, Any]:
    """Trains one run, writes its files, and returns its record."""
    recipe, split = spec["recipe"], framework.task.split
    label = f"{_blocks.label(spec)} / seed {seed}"
    meter, data = device.Meter(place), framework.data(seed)
    report = _blocks.progress(label, recipe["epochs"])
    result = framework.fit(seed, recipe, folder / STATE, fingerprint, report)
    framework.save_trained(folder / OUTPUTS["checkpoint"], fingerprint)
    _blocks.write_history(folder / OUTPUTS["history"], result.history)
    record = {
        "fingerprint": fingerprint,
        "model": spec["model"]["name"],
        "task": spec["task"]["name"],
        "method": spec["method"]["name"],
        "seed": seed,
        "streams": {stream: seeding.stream_number(seed, stream) for stream in seeding.STREAMS}
        | {"split": seeding.stream_number(seed if split["resample"] else split["seed"], "split")},
        "status": result.status,
        "fail_reason": result.fail_reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": sum(row["seconds"] for row in result.history),
        "peak_memory_mb": meter.peak_memory_mb(),
        # A resumed run was measured in part only.
        "energy_j": None if result.resumed else meter.energy_j(),
        "hardware": framework.hardware(),
        **switch.fingerprint(),
        "versions": device.versions(_packages(framework, spec["model"])),
        "preprocess": framework.input_spec(),
        "recipe": recipe,
        "recipe_hash": files.digest(recipe),
        "n_train": len(data.train),
        "n_validation": len(data.validation),
        "bytes": sum((folder / file).stat().st_size for file in OUTPUTS.values()),
        "sha256": {name: files.sha256(folder / file) for name, file in OUTPUTS.items()},
    }
    # Last: a run is there once its record is.
    files.write_json(folder / "run.json", record)
    (folder / STATE).unlink(missing_ok=True)
    outcome = f"diverged: {result.fail_reason}" if result.fail_reason else _blocks.describe(result.history[-1])
    again = ", resumed" if result.resumed else ""
    _log.info("%s: %d epochs in %.1f s%s, %s", label, result.epochs, record["seconds"], again, outcome)
    return record


def _packages(framework: Framework, model: dict[str, Any]) -> list[str]:
    return [*framework.PACKAGES, *registry.find("providers", model["provider"]).PACKAGES]
