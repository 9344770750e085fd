"""Stage ``download``: downloads the files of a data set, once for all studies."""

import logging
from pathlib import Path
from typing import Any

from variability import registry
from variability.io.archives import replacing_folder
from variability.io.artefacts import write_record
from variability.io.files import sha256

_log = logging.getLogger(__name__)


def download(dataset: str, options: dict[str, Any], folder: Path, manifest: Path, fetcher: Any) -> None:
    """Fill ``folder`` with the files that the data set's ``load`` needs, then write the manifest.

    manifest: a .json file: ``{dataset, options, files: {path relative to folder: sha256}}``. Raises UserError if a file
    is not available; the folder is then unchanged.
    """
    plugin = registry.find("datasets", dataset)(options)
    with replacing_folder(folder) as temporary:
        plugin.download(temporary, fetcher)
        paths = sorted(path for path in temporary.rglob("*") if path.is_file())
        checksums = {path.relative_to(temporary).as_posix(): sha256(path) for path in paths}
    write_record(manifest, {"dataset": dataset, "options": options, "files": checksums})
    _log.info("%s: %d files in %s", dataset, len(checksums), folder)
