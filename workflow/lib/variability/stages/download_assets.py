"""Brings what beside weights a network is built from, such as its config and its tokenizer."""

import logging
from pathlib import Path
from typing import Any

from variability import registry
from variability.io import files
from variability.io.archives import replacing_folder

_log = logging.getLogger(__name__)


def download_assets(model: dict[str, Any], folder: Path, manifest: Path, fetcher: Any) -> None:
    """Fills ``folder`` with all files beside weights that the provider needs, then writes the manifest.

    model: provider, architecture, and the options that say which files are meant. manifest: a .json file: ``{provider,
    architecture, options, files: {name: sha256}, sha256 (over all of them), facts}``. Raises UserError where something
    cannot be had; the folder is then as it was.
    """
    provider = registry.find("providers", model["provider"])(model)
    with replacing_folder(folder) as aside:
        facts = provider.fetch_assets(fetcher, aside)
        found = sorted(path for path in aside.rglob("*") if path.is_file())
        checksums = {path.relative_to(aside).as_posix(): files.sha256(path) for path in found}
    named = {key: model[key] for key in ("provider", "architecture", "options")}
    about = named | {"files": checksums, "sha256": files.digest(checksums), "facts": facts}
    files.write_json(manifest, about)
    _log.info("%s: %s in %s", model["architecture"], ", ".join(checksums), folder)
