"""Downloads: from mirrors, the cache, or the network; checked, resumed, and complete or absent."""

import logging
import os
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from variability.errors import UserError
from variability.io import locks
from variability.io.checksums import Checksum
from variability.io.download_cache import DownloadCache, link
from variability.io.files import replacing
from variability.io.http_download import HttpDownload
from variability.io.mirrors import AmbiguousFile, Index
from variability.io.partial_files import PartialFile

_log = logging.getLogger(__name__)


class Fetcher:
    """Copies or downloads files to this machine.

    mirrors: directories that are searched by file name and checksum before the network is used. cache: folder that
    stores downloads for later jobs, and partial files until they are resumed; if None, nothing is stored and partial
    files are in the target's folder. settings: of ``HttpDownload``. As a context manager it removes from the cache, if
    the block raises, the files that it had no checksum for.
    """

    def __init__(self, mirrors: Sequence[Path] = (), cache: Path | None = None, **settings: Any):
        self.mirrors = list(mirrors)
        self._index = Index(self.mirrors)
        self._cache = DownloadCache(cache) if cache else None
        self._http = HttpDownload(**settings)

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A server may send an error page in place of a file. Without a checksum to detect it, it would make every
        # later job fail too.
        if kind is not None and self._cache:
            self._cache.forget_unchecked()
        self._http.close()

    def fetch(
        self, url: str, target: Path, checksum: str | None = None, filename: str | None = None, mirrored: bool = True
    ) -> None:
        """Put the file at ``url`` to ``target``.

        checksum: "sha256:<64 hex digits, or the first 8 or more>" or "md5:<32 hex digits>". filename: name of the file
        in mirrors if it is not the last part of the url; that part is then searched for only with a checksum. mirrored:
        whether to search the mirrors; not useful for names that many files have (config.json) without a checksum.
        Raises UserError if the file is not available or not the expected one; the target is then unchanged.
        """
        target = Path(target)
        expected = Checksum.parse(checksum) if checksum else None
        if expected and target.is_file() and expected.matches(target):
            return
        parts = urlsplit(url)
        if parts.scheme == "file":
            _copy_local(url, Path(urllib.request.url2pathname(parts.path)), target, expected)
            return
        url_name = unquote(parts.path).rstrip("/").rpartition("/")[2]
        names = [filename, url_name] if expected else [filename or url_name]
        for name in dict.fromkeys(name for name in names if name and mirrored):
            if mirror_file := self._find_in_mirrors(name, checksum):
                _log.info("%s: taken from the mirror file %s", name, mirror_file)
                _copy(mirror_file, target)
                return
        if parts.scheme not in ("http", "https"):
            raise UserError(f"cannot fetch {url}: only http, https and file addresses are supported")
        self._download(url, target, expected, filename or url_name or "file")

    def _find_in_mirrors(self, name: str, checksum: str | None) -> Path | None:
        try:
            return self._index.find(name, checksum)
        except AmbiguousFile as error:
            _log.info("%s", error)
            return None

    def _download(self, url: str, target: Path, expected: Checksum | None, name: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._cache is None:
            partial = PartialFile(target.with_name(target.name + ".part"))
            with partial.removed_if_empty():
                self._http.complete(url, partial, expected, name)
                os.replace(partial.path, target)
                partial.forget()
            return
        partial = PartialFile(self._cache.partial_path(url, name))
        with locks.held(self._cache.lock_path(url), f"{name} is being downloaded by another process; waiting for it"):
            if self._cache.restore(url, expected, target):
                _log.info("%s was downloaded before and is taken from the cache", url)
                # The process that stored it may have been killed right after.
                partial.forget()
                return
            with partial.removed_if_empty():
                self._http.complete(url, partial, expected, name)
                link(partial.path, target)
                self._cache.store(url, expected, partial.path)
                partial.forget()


def _copy_local(url: str, source: Path, target: Path, expected: Checksum | None) -> None:
    if not source.is_file():
        raise UserError(f"cannot fetch {url}: there is no such file")
    if expected and not expected.matches(source):
        raise expected.mismatch_error(url, source)
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
