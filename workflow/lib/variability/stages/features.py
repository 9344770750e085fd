"""Activations of a frozen prefix, computed once for all seeds and methods that share it."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from variability.io import artefacts, files, locks, storage
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)


def features(
    spec: Mapping[str, Any],
    input_files: InputFiles,
    activations: Path,
    manifest: Path,
    threads: int = 1,
    runs_per_gpu: int = 1,
) -> None:
    """Write the activations of a task's examples at the end of a method's frozen prefix, and their manifest.

    spec: {model, method, precision, augmentation, limit_gb}: entries as in the config. If the augmentation asks for
    views, as many views of each row that may train are computed, too.

    The manifest holds {stored, reason, bytes, activations, sha256}. Activations larger than ``limit_gb``, and those of
    a network that cannot be cut, are not stored; the manifest gives the reason, and every run computes the prefix batch
    by batch. Raises UserError if the disk has no room for activations within the limit.
    """
    started = time.perf_counter()
    with locks.held(manifest.parent / ".lock", f"another process is working on {activations}; waiting for it"):
        content = _compute(spec, input_files, activations, Workplace(spec["model"], threads, runs_per_gpu))
        if not content["stored"]:
            # The rule declares the file as its output, so that it has to exist. Replaced, because a job of another
            # Snakemake with the same results may be reading the old one through memory.
            with files.replacing(activations) as temporary:
                np.save(temporary, np.zeros(0, np.float32), allow_pickle=False)
        artefacts.write_record(manifest, content)
    if content["stored"]:
        _log.info("%s: %.1f s", activations.parent, time.perf_counter() - started)
    else:
        _log.warning("%s: %s; every run computes them batch by batch", activations.parent, content["reason"])


def _compute(spec: Mapping[str, Any], input_files: InputFiles, target: Path, workplace: Workplace) -> dict[str, Any]:
    """Write the activations unless they are too large, and return the content of the manifest."""
    with workplace:
        framework = workplace.framework(spec["model"], spec["method"], input_files)
        frozen = framework.frozen(spec["precision"], spec["augmentation"])
        if frozen is None:
            return {"stored": False, "reason": "the network cannot be cut where its frozen part ends"}
        may_train = framework.task.may_train
        size = frozen.size(may_train)
        _log.info("%s: %.3f GB of activations, %g GB allowed", target.parent, size / 1e9, spec["limit_gb"])
        if size > spec["limit_gb"] * 1e9:
            reason = f"{size / 1e9:.2f} GB of activations, more than compute.features_gb allows ({spec['limit_gb']:g})"
            return {"stored": False, "reason": reason}
        remedy = "lower compute.features_gb, the size above which activations are not stored"
        storage.require_space(target.parent, size, f"the activations of {target}", remedy)
        layout = frozen.store(may_train, target)
        return {"stored": True, "reason": None, "bytes": size, "activations": layout, "sha256": files.sha256(target)}
