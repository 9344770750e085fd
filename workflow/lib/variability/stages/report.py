"""Stage ``report``: Snakemake's report of summary, figures and tables, as a file of the workflow."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import artefacts
from variability.io.files import digest, replacing, sha256, write_json

_log = logging.getLogger(__name__)


def report(
    config: dict[str, Any], snakefile: Path, targets: Sequence[str], html: Path, storage: Sequence[str] = ()
) -> None:
    """Write the self-contained HTML report of the ``targets``, which must be up to date.

    Snakemake can make a report only after a run, so a second, read-only run makes it here. The merged config is written
    to the same folder, because that run needs it. storage: Snakemake's options for the storage that holds the study, if
    one does. Raises UserError with Snakemake's message on failure.
    """
    settings = html.parent / "config.json"
    write_json(settings, config)
    with replacing(html) as partial:
        command = [sys.executable, "-m", "snakemake", *targets]
        command += ["--snakefile", str(snakefile), "--configfile", str(settings), "--report", str(partial)]
        command += ["--nolock", "--cores", "1", "--workflow-profile", "none", *storage]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise UserError(f"Snakemake could not write its report:\n{result.stderr.strip()}")
    artefacts.write_stamp(html, digest([sha256(settings), *targets]))
    _log.info("report: %s", html)
