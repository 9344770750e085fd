"""Folders of single runs, with a file that is written last: the digest of what the folder holds."""

import shutil
from pathlib import Path
from urllib.parse import quote

from variability.io import files

MARKER = "exported.json"


def name(text: object) -> str:
    """Return a name that is one safe part of a path, a different one for every text."""
    quoted = quote(str(text), safe=" ,=+@()")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted


def digest(folder: Path) -> str | None:
    """Return the digest of a folder, "" if it has none, and None if there is no such folder."""
    if not folder.is_dir():
        return None
    try:
        return str(files.read_json(folder / MARKER)["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def mark(folder: Path, digest_of_run: str) -> None:
    """Write the digest of a folder."""
    files.write_json(folder / MARKER, {"digest": digest_of_run})


def remove(folder: Path) -> None:
    """Remove a folder, its digest first."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder)
