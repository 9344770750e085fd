"""What was fetched, kept: a later job that wants it again is served from here and asks no network."""

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from variability.io.checksums import Checksum
from variability.io.files import read_json, replacing, sha256, write_json

_log = logging.getLogger(__name__)

#: Bytes of whole files that are kept. One that is hard-linked to where it is used takes no room of its own.
ROOM = 50 * 10**9


class Kept:
    """A folder of fetched files: whole ones by checksum, or by address where none is known, and partial ones.

    It holds at most ``ROOM`` bytes of whole files, drops the oldest beyond that, and may be removed at any time.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._unchecked: list[Path] = []

    def part(self, url: str, name: str) -> Path:
        """Where the file of an address grows while it is fetched."""
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}.part"

    def serve(self, url: str, expected: Checksum | None, target: Path) -> bool:
        """Puts the file to ``target`` if it is here and still what it was; drops it if it is not."""
        whole = self._whole(url, expected)
        try:
            wanted = expected or Checksum("sha256", read_json(_record(whole))["sha256"])
            if wanted.matches(whole):
                link(whole, target)
                if expected is None:
                    self._unchecked.append(whole)
                return True
        except FileNotFoundError:
            return False
        _log.info("%s was changed since it was fetched", whole)
        _drop(whole)
        return False

    def keep(self, url: str, expected: Checksum | None, part: Path) -> None:
        """Takes a complete, checked file over from where it grew."""
        whole = self._whole(url, expected)
        if expected is None:
            self._unchecked.append(whole)
            write_json(_record(whole), {"url": url, "sha256": sha256(part)})
        os.replace(part, whole)
        # Where a file is gone, another job is dropping them too.
        with suppress(FileNotFoundError):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest_first = sorted(self.folder.glob("*.whole"), key=lambda path: path.stat().st_mtime_ns)
        excess = sum(path.stat().st_size for path in oldest_first) - ROOM
        for path in oldest_first:
            if excess <= 0:
                break
            excess -= path.stat().st_size
            _drop(path)

    def forget_unchecked(self) -> None:
        """Drops what this object kept or served without a checksum to tell whether it is right."""
        for whole in self._unchecked:
            _drop(whole)

    def _whole(self, url: str, expected: Checksum | None) -> Path:
        if expected:
            return self.folder / f"{expected.algorithm}-{expected.digits}.whole"
        return self.folder / f"url-{hashlib.sha256(url.encode()).hexdigest()}.whole"


def link(source: Path, target: Path) -> None:
    """Puts a file to ``target`` without a second copy on the disk where the file system can, else copies it."""
    with replacing(target) as aside:
        aside.unlink()
        try:
            os.link(source, aside)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, aside)


def _record(whole: Path) -> Path:
    return whole.with_suffix(".json")


def _drop(whole: Path) -> None:
    whole.unlink(missing_ok=True)
    _record(whole).unlink(missing_ok=True)
