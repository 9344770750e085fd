"""Mirrors: local directories that are searched for data and weights before the network is used."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from variability.advice import listed, similar
from variability.errors import UserError
from variability.io.checksums import Checksum
from variability.io.files import sha256
from variability.io.folder_walk import walk

_log = logging.getLogger(__name__)

VARIABLE = "VARIABILITY_MIRROR"
#: Most names of a folder that are compared with one that does not exist.
_MOST_NAMES = 2_000


def mirrors_from(configured: object, environ: Mapping[str, str]) -> list[Path]:
    """Return the mirrors of a config (``mirrors:``), then those of VARIABILITY_MIRROR (separated as in PATH).

    configured: a value of the config that was not checked; anything but folders is left to the config check. Raises
    UserError for one that is not a directory: with a misspelled mirror everything would be downloaded silently.
    """
    entries = configured if isinstance(configured, list) else []
    named = [("mirrors", path) for path in entries if isinstance(path, str) and path]
    named += [(VARIABLE, path) for path in environ.get(VARIABLE, "").split(os.pathsep) if path]
    for source, path in named:
        if not os.path.isdir(path):
            folder = "" if os.path.isabs(path) else f" in {Path.cwd()}, in which paths start"
            raise UserError(f"{source}: {path[:500]!r} is not a directory{folder}; correct it or remove it")
    return [Path(path) for _, path in named]


class AmbiguousFile(UserError):
    """Several different files have the requested name, and no checksum decides between them."""


class Index:
    """The files in some mirrors by name, also behind links. The folders are listed once, on first use."""

    def __init__(self, mirrors: Sequence[Path]):
        self.mirrors = list(mirrors)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for mirror in self.mirrors:
            below = walk(mirror, hidden=True, once=True)
            for name, path in below.paths():
                files.setdefault(name.rpartition("/")[2], []).append(path)
            if left_out := [*below.dangling, *below.unreadable]:
                _log.info("the mirror %s: links without a target, or closed folders: %s", mirror, listed(left_out))
        return files

    def named(self, name: str) -> list[Path]:
        """Return all files with a name, in the order of the mirrors."""
        return self._files.get(name, [])

    def find(self, name: str, checksum: str | None = None) -> Path | None:
        """Return the file with this name and checksum ("sha256:..." or "md5:..."), or None.

        Without a checksum all files with this name must be equal; otherwise AmbiguousFile lists them.
        """
        candidates = self.named(name)
        if checksum is None:
            if len(candidates) > 1 and not _same(candidates):
                raise AmbiguousFile(
                    f"the mirrors hold different files named {name!r} ({', '.join(map(str, candidates))}) and no "
                    "checksum says which is meant; give its sha256, or keep only one of them"
                )
            return candidates[0] if candidates else None
        expected = Checksum.parse(checksum)
        for candidate in candidates:
            if expected.matches(candidate):
                return candidate
            _log.info("%s is not the requested file: its %s differs", candidate, expected.algorithm)
        return None


def find_file(path: str, mirrors: Sequence[Path]) -> Path | None:
    """Return the file at ``path``, or else the first file of its name in a mirror, or None.

    A quick check before the first job; ``get_file`` decides by the checksum which file is used.
    """
    if Path(path).is_file():
        return Path(path)
    return next(iter(Index(mirrors).named(Path(path).name)), None)


def get_file(path: str, mirrors: Sequence[Path], checksum: str | None = None) -> Path:
    """Return the file at ``path``, or else the file of its name in the mirrors, see ``Index.find``.

    Raises UserError if there is none, if it has another checksum, or if several files could be meant.
    """
    if Path(path).is_file():
        if checksum and not (expected := Checksum.parse(checksum)).matches(Path(path)):
            raise expected.mismatch_error(path, Path(path))
        return Path(path)
    index, name = Index(mirrors), Path(path).name
    if match := index.find(name, checksum):
        return match
    if checksum and (others := index.named(name)):
        raise Checksum.parse(checksum).mismatch_error(" or ".join(map(str, others)), others[0])
    raise UserError(missing_file(path, mirrors))


def missing_file(path: str, mirrors: Sequence[Path]) -> str:
    """Return the message that a file is neither at its path nor in one of the mirrors, which it lists."""
    if "://" in path:
        return f"{path!r} is an address, and a path is needed; download the file, and write its path"
    searched = ", ".join(map(str, mirrors)) or "none is set"
    folder = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
    advice = did_you_mean(path) or f"see {VARIABLE}"
    return f"no file {path!r}{folder}, and none of this name in a mirror ({searched}); {advice}"


def did_you_mean(path: str) -> str:
    """Return ``did you mean 'x'?`` with the most similar name in the folder of a missing path, or nothing."""
    try:
        names = [] if os.path.exists(path) else os.listdir(os.path.dirname(path) or ".")
    except (OSError, ValueError):
        return ""
    meant = similar(os.path.basename(path), sorted(names)[:_MOST_NAMES])
    return f"did you mean {os.path.join(os.path.dirname(path), meant)!r}?" if meant else ""


def _same(paths: Sequence[Path]) -> bool:
    # Most different files differ in size, which is known without reading them.
    return len({path.stat().st_size for path in paths}) == 1 and len({sha256(path) for path in paths}) == 1
