"""The library that jobs import: that of the checkout that planned them."""

import os

_VARIABLE = "PYTHONPATH"


def lead_in_jobs(folder: str) -> None:
    """Let processes that this one starts look for modules in a folder first.

    Snakemake appends the path of the planning process to that of scripts, where it comes after the environment's.
    """
    others = [path for path in os.environ.get(_VARIABLE, "").split(os.pathsep) if path and path != folder]
    os.environ[_VARIABLE] = os.pathsep.join([folder, *others])
