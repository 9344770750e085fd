"""Snakemake's own report over summary, figures and tables, as a file of the workflow like any other."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io.files import replacing, write_json

_log = logging.getLogger(__name__)


def report(config: dict[str, Any], snakefile: Path, targets: Sequence[str], html: Path) -> None:
    """Writes the self-contained HTML report of the ``targets``, which must be up to date.

    Snakemake makes reports after a run only; a second, read-only one makes it here. The merged config is written
    beside it: it says what the report is about. Raises UserError with Snakemake's words if that fails.
    """
    settings = html.parent / "config.json"
    write_json(settings, config)
    with replacing(html) as aside:
        command = [sys.executable, "-m", "snakemake", *targets]
        command += ["--snakefile", str(snakefile), "--configfile", str(settings), "--report", str(aside)]
        command += ["--nolock", "--cores", "1", "--workflow-profile", "none"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"Snakemake could not write its report:\n{done.stderr.strip()}")
    _log.info("report: %s", html)
