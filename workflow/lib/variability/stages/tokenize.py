"""Stage ``tokenize``: encodes the examples of a task for networks with the same assets, once for all of them."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from variability import registry
from variability.data.prepared_task import open_task
from variability.io import artefacts, files

_log = logging.getLogger(__name__)


def tokenize(model: dict[str, Any], task_json: Path, assets: Path, target: Path, manifest: Path) -> None:
    """Write the encoded examples of a task, one array, and its manifest.

    model: provider, architecture and options, as for ``download_assets``. assets: their manifest. manifest: a .json
    file: ``{assets, sha256 (of the array), ...}`` and the facts that the task's modality returned. Raises UserError if
    an example cannot be encoded.
    """
    started = time.perf_counter()
    task = open_task(task_json)
    provider = registry.find("providers", model["provider"])(model, assets)
    # A type checker does not take a cached_property for a property.
    tokens, facts = task.modality.encode(task, provider)  # pyright: ignore[reportArgumentType]
    with files.replacing(target) as temporary, open(temporary, "wb") as handle:
        np.save(handle, tokens, allow_pickle=False)
    checksums = {"assets": artefacts.require_folder(assets, artefacts.ASSETS)["sha256"], "sha256": files.sha256(target)}
    artefacts.write_record(manifest, facts | checksums)
    values = ", ".join(f"{name} {value}" for name, value in facts.items())
    _log.info("%s: %s, %.1f s", task.name, values, time.perf_counter() - started)
