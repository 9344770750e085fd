"""Mirrors: directories that are searched for data and weights before the network."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from variability.errors import UserError

VARIABLE = "VARIABILITY_MIRROR"


def mirrors_from(configured: Sequence[str], environ: Mapping[str, str]) -> list[Path]:
    """The mirrors of a config (``mirrors:``), then those of VARIABILITY_MIRROR (separated as in PATH).

    Raises UserError for one that is not a directory: a typing error would silently send every request out.
    """
    named = [("mirrors in the config", path) for path in configured]
    named += [(VARIABLE, path) for path in environ.get(VARIABLE, "").split(os.pathsep) if path]
    for where, path in named:
        if not Path(path).is_dir():
            raise UserError(f"{where}: {path!r} is not a directory; correct it or take it out")
    return [Path(path) for _, path in named]


def find_file(path: str, mirrors: Sequence[Path]) -> Path | None:
    """A file as named from the working directory, else the first one of its name below a mirror, else None."""
    if Path(path).is_file():
        return Path(path)
    name = Path(path).name
    return next((found for mirror in mirrors for found in sorted(mirror.rglob(name)) if found.is_file()), None)


def missing_file(path: str, mirrors: Sequence[Path]) -> str:
    """The sentence that says a file is neither at its path nor in a mirror, and where was looked."""
    searched = ", ".join(map(str, mirrors)) or "none is set"
    return f"no file {path!r}, and none of this name in a mirror ({searched}); see {VARIABLE}"
