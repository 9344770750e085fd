"""The rule ``download``: a data set's files, fetched once for all studies."""

import logging
from pathlib import Path
from typing import Any

from variability import registry
from variability.io.archives import replacing_folder
from variability.io.files import sha256, write_json

_log = logging.getLogger(__name__)


def download(dataset: str, options: dict[str, Any], folder: Path, manifest: Path, fetcher: Any) -> None:
    """Fills ``folder`` with all that the data set's ``load`` needs, then writes the manifest.

    manifest: a .json file: ``{dataset, options, files: {path relative to folder: sha256}}``. Raises UserError where
    something cannot be had; the folder is then as it was.
    """
    plugin = registry.find("datasets", dataset)(options)
    with replacing_folder(folder) as aside:
        plugin.download(aside, fetcher)
        found = sorted(path for path in aside.rglob("*") if path.is_file())
        files = {path.relative_to(aside).as_posix(): sha256(path) for path in found}
    write_json(manifest, {"dataset": dataset, "options": options, "files": files})
    _log.info("%s: %d files in %s", dataset, len(files), folder)
