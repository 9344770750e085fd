"""Stage ``download_assets``: downloads what a network needs in addition to weights: its config and its tokenizer."""

import logging
from pathlib import Path
from typing import Any

from variability import registry
from variability.io import artefacts, files
from variability.io.archives import replacing_folder

_log = logging.getLogger(__name__)


def download_assets(model: dict[str, Any], folder: Path, manifest: Path, fetcher: Any) -> None:
    """Fill ``folder`` with all files except weights that the provider needs, then write the manifest.

    model: provider, architecture, and the options that select the files. manifest: a .json file: ``{provider,
    architecture, options, files: {name: sha256}, sha256 (over all of them), facts}``. Raises UserError if a file is not
    available; the folder is then unchanged.
    """
    provider = registry.find("providers", model["provider"])(model)
    with replacing_folder(folder) as temporary:
        facts = provider.fetch_assets(fetcher, temporary)
        paths = sorted(path for path in temporary.rglob("*") if path.is_file())
        checksums = {path.relative_to(temporary).as_posix(): files.sha256(path) for path in paths}
    content = {key: model[key] for key in ("provider", "architecture", "options")}
    content |= {"files": checksums, "sha256": files.digest(checksums), "facts": facts}
    artefacts.write_record(manifest, content)
    _log.info("%s: %s in %s", model["architecture"], ", ".join(checksums), folder)
