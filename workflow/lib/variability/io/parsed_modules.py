"""Cache of what was read from the source of modules, in the user's cache folder, by the checksum of the source.

Snakemake starts several times for a study, for its report and for each change, and parsing the library would take a
fifth of each start.
"""

import hashlib
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from variability.io.artefacts import read_cached, write_record
from variability.io.files import sha256
from variability.io.library_facts import cache_folder

#: Largest number of modules, of all versions of the library and its plug-ins, that are stored.
_MOST = 2000


class Facts(NamedTuple):
    """Facts that follow from the source of a module alone.

    meaning: SHA-256 of its canonical text. imported: dotted names. reads_text: see ``provenance.Source``.
    """

    meaning: str
    imported: tuple[str, ...]
    reads_text: bool


class ParsedModules:
    """Facts by the SHA-256 of the source. parser: the file with the code that computes the facts."""

    def __init__(self, parser: Path, folder: Path | None = None):
        version = f"{sha256(parser)[:16]}-{sys.version_info.major}.{sys.version_info.minor}"
        self.path = (folder or cache_folder() / "parsed-modules") / f"{version}.json"
        stored = read_cached(self.path, {"modules": {str: list}}).get("modules", {})
        self._stored = {key: entry for key, entry in stored.items() if [*map(type, entry)] == [str, list, bool]}
        self._new: dict[str, list] = {}

    def find(self, source: bytes) -> Facts | None:
        """Return the facts of a source, if they are stored."""
        entry = self._stored.get(_key(source))
        return Facts(entry[0], tuple(entry[1]), entry[2]) if entry else None

    def add(self, source: bytes, facts: Facts) -> None:
        """Add the facts of a source, to be stored by ``save``."""
        self._new[_key(source)] = list(facts)

    def save(self) -> None:
        """Store what was added. Where that is not possible, the next process parses again."""
        if not self._new:
            return
        others = self._stored if len(self._stored) + len(self._new) <= _MOST else {}
        self._stored = {**others, **self._new}
        self._new = {}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_record(self.path, {"modules": self._stored})


@cache
def of_parser(parser: Path) -> ParsedModules:
    """Return the modules that a parser has read, loaded once per process."""
    return ParsedModules(parser)


def _key(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()
