"""The rule ``tokenize``: a task's examples in the form that a model takes, made once."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from variability import registry
from variability.data.prepared_task import PreparedTask
from variability.io import files

_log = logging.getLogger(__name__)


def tokenize(model: dict[str, Any], task_json: Path, assets: Path, target: Path, manifest: Path) -> None:
    """Writes what the task's modality makes of its examples, one array, and its manifest.

    model: provider, architecture and options, as for ``download_assets``. assets: their manifest. manifest: a .json
    file: ``{assets, sha256 (of the array), ...}`` and what the modality says of it. Raises UserError if an example
    cannot be made such.
    """
    started = time.perf_counter()
    task = PreparedTask.open(task_json)
    task.verify()
    tokens, facts = task.modality.encode(task, registry.find("providers", model["provider"])(model, assets))
    with files.replacing(target) as aside, open(aside, "wb") as handle:
        np.save(handle, tokens, allow_pickle=False)
    about = facts | {"assets": files.read_json(assets)["sha256"], "sha256": files.sha256(target)}
    files.write_json(manifest, about)
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    _log.info("%s: %s, %.1f s", task_json.parent.name, said, time.perf_counter() - started)
