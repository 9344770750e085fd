"""Arguments and output of the command that exports runs."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from variability import extras, registry
from variability.advice import plural
from variability.errors import UserError, visible
from variability.export.exporters import ExportedRun, Exporter
from variability.export.study_runs import runs_of

_DESCRIPTION = "Export every run of a study: config, learning curves, final values, status."
_EPILOG = "Exported again, a study replaces the runs that changed and leaves the others as they are."
WRITTEN, REPLACED, UNCHANGED = "written", "replaced", "unchanged"


def main(arguments: Sequence[str]) -> int:
    """Export a study and print what was done; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m variability.export", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("exporter", metavar="PROGRAM", help=", ".join(registry.names("exporters")))
    parser.add_argument("study", metavar="STUDY", type=Path, help="folder of a finished study, results/<study>")
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="folder of the program's files")
    options = parser.parse_args(arguments)
    try:
        plugin = registry.find("exporters", options.exporter)
        if problem := extras.missing(plugin):
            raise UserError(problem)
        exporter = plugin(options.to, options.study.resolve().name)
        counts = Counter(export(exporter, run) for run in runs_of(options.study))
    except UserError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        return 1
    total = plural(sum(counts.values()), "run")
    print(f"{total}: {', '.join(f'{counts[outcome]} {outcome}' for outcome in (WRITTEN, REPLACED, UNCHANGED))}")
    print(f"to look at them: {exporter.how_to_open()}")
    return 0


def export(exporter: Exporter, run: ExportedRun) -> str:
    """Write a run if the store does not have it as it is, and return what was done."""
    known = exporter.exported(run)
    if known == run.digest:
        return UNCHANGED
    if known is not None:
        exporter.remove(run)
    exporter.write(run)
    return WRITTEN if known is None else REPLACED
