"""Cache of downloaded files, so that a later job gets them without a network."""

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from variability.errors import UserError
from variability.io.checksums import Checksum
from variability.io.files import read_json, replacing, sha256, write_json

_log = logging.getLogger(__name__)

#: Most bytes of complete files in a cache. A file with a hard link elsewhere takes no extra space on the disk.
MAX_BYTES = 50 * 10**9


class DownloadCache:
    """A folder of complete and partial downloads.

    Complete files are stored by checksum, or by address if no checksum is known. When they exceed ``MAX_BYTES``, the
    oldest are removed. The folder may be deleted at any time.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._unchecked: list[Path] = []

    def partial_path(self, url: str, name: str) -> Path:
        """Return the path to which the file of an address is downloaded."""
        return self.folder / f"{_key(url)[:16]}-{name}.part"

    def lock_path(self, url: str) -> Path:
        """Return the lock file of an address, held by the process that downloads it."""
        return self.folder / "locks" / _key(url)[:16]

    def restore(self, url: str, expected: Checksum | None, target: Path) -> bool:
        """Put the file of an address at ``target`` if it is cached and unchanged; return whether it was.

        A file that was changed is removed from the cache.
        """
        stored = self._stored_path(url, expected)
        try:
            checksum = expected or Checksum.parse(f"sha256:{read_json(_record(stored))['sha256']}")
            if checksum.matches(stored):
                link(stored, target)
                if expected is None:
                    self._unchecked.append(stored)
                return True
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, UserError, IsADirectoryError) as error:
            _log.debug("the record of %s is damaged: %s", stored, error)
        _log.info("%s was changed after its download", stored)
        _remove(stored)
        return False

    def store(self, url: str, expected: Checksum | None, partial: Path) -> None:
        """Move a complete, checked download into the cache."""
        stored = self._stored_path(url, expected)
        if expected is None:
            self._unchecked.append(stored)
            write_json(_record(stored), {"url": url, "sha256": sha256(partial)})
        os.replace(partial, stored)
        # A file may vanish meanwhile, when another job removes old ones too.
        with suppress(FileNotFoundError):
            self._remove_oldest()

    def _remove_oldest(self) -> None:
        oldest_first = sorted(self.folder.glob("*.whole"), key=lambda path: path.stat().st_mtime_ns)
        excess = sum(path.stat().st_size for path in oldest_first) - MAX_BYTES
        for path in oldest_first:
            if excess <= 0:
                break
            excess -= path.stat().st_size
            _remove(path)

    def forget_unchecked(self) -> None:
        """Remove the files that this object stored or restored without a checksum."""
        for stored in self._unchecked:
            _remove(stored)

    def _stored_path(self, url: str, expected: Checksum | None) -> Path:
        if expected:
            return self.folder / f"{expected.algorithm}-{expected.digits}.whole"
        return self.folder / f"url-{_key(url)}.whole"


def link(source: Path, target: Path) -> None:
    """Put a file at ``target`` as a hard link, or as a copy if the file system has no hard links."""
    with replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, temporary)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _record(stored: Path) -> Path:
    return stored.with_suffix(".json")


def _remove(stored: Path) -> None:
    for path in (stored, _record(stored)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
