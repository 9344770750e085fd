"""The report: what was found, in words, and Snakemake's own report over tables and figures."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from variability.errors import UserError
from variability.files import replacing, write_json, write_text
from variability.summary import summarise

log = logging.getLogger("variability")


def write_summary(study: str, runs: Path, tables: Sequence[Path], target: Path) -> None:
    """Writes the summary table and the findings as Markdown."""
    frames = {Path(path).stem: pd.read_csv(path) for path in tables}
    write_text(target, summarise(frames | {"runs": pd.read_parquet(runs)}, study))


def write_report(config: dict[str, Any], snakefile: Path, targets: Sequence[str], html: Path) -> None:
    """Writes Snakemake's self-contained HTML report of the ``targets``, which must be up to date.

    Snakemake makes reports after a run only; a second, read-only one makes it here, so that the report is a file of
    the workflow like any other. The merged config is written beside it: it says what the report is about.
    Raises UserError with Snakemake's words if that fails.
    """
    settings = html.parent / "config.json"
    write_json(settings, config)
    with replacing(html) as aside:
        command = [sys.executable, "-m", "snakemake", *targets]
        command += ["--snakefile", str(snakefile), "--configfile", str(settings), "--report", str(aside)]
        command += ["--nolock", "--cores", "1", "--workflow-profile", "none"]
        done = subprocess.run(command, capture_output=True, text=True)
        log.info("%s", done.stderr.strip())
        if done.returncode:
            raise UserError(f"Snakemake could not write its report:\n{done.stderr.strip()}")
