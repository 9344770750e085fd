"""Library of a workflow that separates the effects of models, tasks, methods and seeds on fine-tuning results.

The stages in ``stages/`` take paths and plain values, all other modules take tables and arrays. No module depends on
Snakemake except ``stages/report.py``, which starts it to write its report.
"""

import importlib
from typing import Any

#: Functions for scripts and notebooks, by the module that has them.
_MODULES = {
    "load_run": "variability.stages._trained_run",
    "read_runs": "variability.interactive.own_runs",
    "analyse": "variability.interactive.answers",
    "claims": "variability.interactive.answers",
    "draw": "variability.interactive.answers",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Return a function for scripts and notebooks, imported when it is first used: none is part of any job."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names that an interpreter completes."""
    return sorted([*globals(), *_MODULES])
