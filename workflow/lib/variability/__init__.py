"""Library of a workflow that separates the effects of models, tasks, methods and seeds on fine-tuning results.

The stages in ``stages/`` take paths and plain values, all other modules take tables and arrays. No module depends on
Snakemake except ``stages/report.py``, which starts it to write its report.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Return ``load_run``, which is imported when it is first used: it is not part of any job."""
    if name == "load_run":
        return importlib.import_module("variability.stages._trained_run").load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
