"""Mirrors: directories that are searched for data and weights before the network."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from variability.errors import UserError
from variability.io.checksums import Checksum
from variability.io.files import sha256

_log = logging.getLogger(__name__)

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


class Ambiguous(UserError):
    """Several different files of the name wanted, and nothing that says which is meant."""


class Index:
    """The files below some mirrors, listed once, when the first is asked for."""

    def __init__(self, mirrors: Sequence[Path]):
        self.mirrors = list(mirrors)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for mirror in self.mirrors:
            for folder, subfolders, names in os.walk(mirror):
                subfolders.sort()
                for name in names:
                    if (path := Path(folder, name)).is_file():
                        found.setdefault(name, []).append(path)
        return found

    def named(self, name: str) -> list[Path]:
        """All files of a name, in the order of the mirrors."""
        return self._files.get(name, [])

    def find(self, name: str, checksum: str | None = None) -> Path | None:
        """The file of this name that has the checksum ("sha256:..." or "md5:..."), or None.

        Without a checksum several files of one name must be copies of one another: else Ambiguous names them.
        """
        candidates = self.named(name)
        if checksum is None:
            if len(candidates) > 1 and not _same(candidates):
                raise Ambiguous(
                    f"the mirrors hold different files named {name!r} ({', '.join(map(str, candidates))}) and no "
                    "checksum says which is meant; give its sha256, or keep only one of them"
                )
            return candidates[0] if candidates else None
        expected = Checksum.parse(checksum)
        for candidate in candidates:
            if expected.matches(candidate):
                return candidate
            _log.info("%s is not the file wanted: its %s differs", candidate, expected.algorithm)
        return None


def find_file(path: str, mirrors: Sequence[Path]) -> Path | None:
    """A file as named from the working directory, else the first one of its name below a mirror, else None.

    A quick look before the first job; which file is meant is decided, by its checksum, by ``get_file``.
    """
    if Path(path).is_file():
        return Path(path)
    return next(iter(Index(mirrors).named(Path(path).name)), None)


def get_file(path: str, mirrors: Sequence[Path], checksum: str | None = None) -> Path:
    """A file as named from the working directory, else the one of its name in the mirrors, see ``Index.find``.

    Raises UserError where there is none, where it has another checksum, or where several could be meant.
    """
    if Path(path).is_file():
        if checksum and not (expected := Checksum.parse(checksum)).matches(Path(path)):
            raise expected.mismatch_error(path, Path(path))
        return Path(path)
    index, name = Index(mirrors), Path(path).name
    if found := index.find(name, checksum):
        return found
    if others := index.named(name):
        raise Checksum.parse(checksum).mismatch_error(" or ".join(map(str, others)), others[0])
    raise UserError(missing_file(path, mirrors))


def missing_file(path: str, mirrors: Sequence[Path]) -> str:
    """The sentence that says a file is neither at its path nor in a mirror, and where was looked."""
    searched = ", ".join(map(str, mirrors)) or "none is set"
    return f"no file {path!r}, and none of this name in a mirror ({searched}); see {VARIABLE}"


def _same(paths: Sequence[Path]) -> bool:
    # Sizes first: they tell most different files apart without reading them.
    return len({path.stat().st_size for path in paths}) == 1 and len({sha256(path) for path in paths}) == 1
