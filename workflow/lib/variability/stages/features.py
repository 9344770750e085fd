"""Computes what does not train once, for all seeds and methods that share it."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from variability.errors import UserError
from variability.io import files, locks
from variability.stages import _blocks
from variability.training.input_files import Sources

_log = logging.getLogger(__name__)


def features(
    spec: dict[str, Any],
    sources: Sources,
    activations: Path,
    manifest: Path,
    threads: int = 1,
) -> None:
    """Writes the activations of a task's examples where a method's frozen prefix ends, and their manifest.

    spec: {model, method, precision, augmentation, limit_gb}: entries as in the config; an augmentation that gives views
    is applied to the rows that may train, the number of times it says.

    The manifest says {stored, reason, bytes, activations, sha256}. What would be larger than ``limit_gb``, and a
    network that cannot be cut, is not stored but said: runs then compute the prefix batch by batch. Raises UserError if
    the disk has no room for what is allowed.
    """
    started = time.perf_counter()
    with locks.held(manifest.parent / ".lock", f"{activations} is being made by another process; waiting for it"):
        about = _features(spec, sources, activations, threads)
        files.write_json(manifest, about)
    if about["stored"]:
        _log.info("%s: %.1f s", activations.parent, time.perf_counter() - started)
    else:
        _log.warning("%s: %s; every run computes it batch by batch", activations.parent, about["reason"])


def _features(spec: dict[str, Any], sources: Sources, target: Path, threads: int) -> dict[str, Any]:
    with _blocks.Workplace(spec["model"], threads) as workplace:
        framework = workplace.framework(spec["model"], spec["method"], sources, workplace.device)
        frozen = framework.frozen(spec["precision"], spec["augmentation"])
        # Something has to lie there: the rule declares it.
        np.save(target, np.zeros(0, np.float32), allow_pickle=False)
        if frozen is None:
            return {"stored": False, "reason": "the network cannot be cut where its frozen part ends"}
        size = frozen.bytes()
        _log.info("%s: %.3f GB of activations, %g GB allowed", target.parent, size / 1e9, spec["limit_gb"])
        if size > spec["limit_gb"] * 1e9:
            reason = f"{size / 1e9:.2f} GB of activations, more than compute.features_gb allows ({spec['limit_gb']:g})"
            return {"stored": False, "reason": reason}
        free = shutil.disk_usage(target.parent).free
        if size > free:
            raise UserError(
                f"{target} would take {size / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB left; make room, or "
                "lower compute.features_gb, past which nothing is stored"
            )
        said = frozen.store(target)
        return {"stored": True, "reason": None, "bytes": size, "activations": said, "sha256": files.sha256(target)}
