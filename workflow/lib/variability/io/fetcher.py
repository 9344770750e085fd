"""Fetches files: from mirrors, else from what was kept, else from the network; checked, resumed, whole or absent."""

import fcntl
import http.client
import logging
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from variability.errors import UserError
from variability.io.checksums import Checksum
from variability.io.download_cache import Kept, link
from variability.io.files import read_json, replacing, write_json
from variability.io.mirrors import VARIABLE, Ambiguous, Index

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_AGENT = "finetune-variability"
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_MIRROR_HINT = (
    "Without a network, put the file into a directory and name that directory in the environment variable "
    f"{VARIABLE} or under `mirrors:` in the config"
)


class _Interrupted(Exception):
    """A failure that another attempt may mend."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Fetcher:
    """Brings files to this machine.

    mirrors: directories searched by file name and checksum before the network is asked. cache: a folder that keeps
    what is fetched, so that no later job fetches it again, and partial files until they are resumed; if None, nothing
    is kept and partial files lie beside the target. retries: attempts after the first that may fail in a row without a
    byte gained, with exponential backoff starting at ``pause`` seconds. timeout: seconds a server may stay silent. As
    a context manager it forgets, if the block fails, the files that it had no checksum of.
    """

    def __init__(
        self,
        mirrors: Sequence[Path] = (),
        cache: Path | None = None,
        retries: int = 5,
        timeout: float = 30.0,
        progress: bool = True,
        pause: float = 1.0,
    ):
        self.mirrors = list(mirrors)
        self._index = Index(self.mirrors)
        self._kept = Kept(cache) if cache else None
        self.retries = retries
        self.timeout = timeout
        self.progress = progress
        self.pause = pause

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        # Kept without a checksum, an error page that was sent in place of the file would fail every later job too.
        if kind is not None and self._kept:
            self._kept.forget_unchecked()

    def fetch(
        self, url: str, target: Path, checksum: str | None = None, filename: str | None = None, mirrored: bool = True
    ) -> None:
        """Puts the file at ``url`` to ``target``.

        checksum: "sha256:<64 hex digits, or the first 8 or more>" or "md5:<32 hex digits>". filename: its name in
        mirrors where that is not the last part of the url, which is then looked for only with a checksum. mirrored:
        whether it is looked for there: not where many files have this name (config.json) and no checksum says which is
        meant. Raises UserError where the file cannot be had or is not the one expected; the target is then untouched.
        """
        target = Path(target)
        expected = Checksum.parse(checksum) if checksum else None
        if expected and target.is_file() and expected.matches(target):
            return
        parts = urlsplit(url)
        if parts.scheme == "file":
            self._take_local(url, Path(urllib.request.url2pathname(parts.path)), target, expected)
            return
        name = unquote(parts.path).rstrip("/").rpartition("/")[2]
        names = [filename, name] if expected else [filename or name]
        for each in dict.fromkeys(each for each in names if each and mirrored):
            if found := self._mirrored(each, checksum):
                _log.info("%s: taken from the mirror file %s", each, found)
                _copy(found, target)
                return
        if parts.scheme not in ("http", "https"):
            raise UserError(f"cannot fetch {url}: only http, https and file addresses are supported")
        self._download(url, target, expected, filename or name or "file")

    def _mirrored(self, name: str, checksum: str | None) -> Path | None:
        try:
            return self._index.find(name, checksum)
        except Ambiguous as error:
            _log.info("%s", error)
            return None

    def _take_local(self, url: str, source: Path, target: Path, expected: Checksum | None) -> None:
        if not source.is_file():
            raise UserError(f"cannot fetch {url}: there is no such file")
        if expected and not expected.matches(source):
            raise expected.mismatch_error(url, source)
        _copy(source, target)

    def _download(self, url: str, target: Path, expected: Checksum | None, name: str) -> None:
        part = self._kept.part(url, name) if self._kept else target.with_name(target.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _exclusively(part) as handle:
            try:
                if self._kept and self._kept.serve(url, expected, target):
                    _log.info("%s was fetched before and is taken from there", url)
                    return
                self._fill(url, handle, part, expected, name)
                if expected and not expected.matches(part):
                    error = expected.mismatch_error(url, part)
                    handle.truncate(0)
                    raise error
                os.fsync(handle.fileno())
                if self._kept:
                    link(part, target)
                    self._kept.keep(url, expected, part)
                else:
                    os.replace(part, target)
                _sidecar(part).unlink(missing_ok=True)
            finally:
                if part.exists() and part.stat().st_size == 0:
                    part.unlink()
                    _sidecar(part).unlink(missing_ok=True)

    def _fill(self, url: str, handle: BinaryIO, part: Path, expected: Checksum | None, name: str) -> None:
        """Downloads into ``part`` until it is complete, over as many attempts as it takes and is allowed."""
        failures, best, resumed = 0, _size(handle), _size(handle) > 0
        _log.info("%s %s", "resuming" if resumed else "fetching", url)
        while True:
            try:
                self._attempt(url, handle, part, expected, name)
            except _Interrupted as interrupted:
                failures = 1 if _size(handle) > best else failures + 1
                best = max(best, _size(handle))
                if failures > self.retries:
                    raise UserError(
                        f"could not fetch {url}: {interrupted} (tried {failures} times). {_MIRROR_HINT} ({name})"
                    ) from interrupted
                wait = max(interrupted.wait, min(self.pause * 2 ** (failures - 1), 60.0))
                _log.info("%s: %s; trying again in %.3g s", url, interrupted, wait)
                time.sleep(wait)
                continue
            if not (resumed and expected and not expected.matches(part)):
                return
            _log.info("%s: the file resumed from an earlier attempt is not the one expected; starting over", url)
            handle.truncate(0)
            resumed = False

    def _attempt(self, url: str, handle: BinaryIO, part: Path, expected: Checksum | None, name: str) -> None:
        have = _size(handle)
        validator = read_json(_sidecar(part))["validator"] if _sidecar(part).is_file() else None
        if have and not (validator or expected):
            # Nothing would tell that the file changed between the two halves.
            handle.truncate(0)
            have = 0
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = validator
        response = self._open(url, headers, handle, have, expected)
        if response is None:
            return
        with response:
            if response.status == 206:
                start, total = _content_range(response.headers.get("Content-Range", ""))
                if start != have or (validator and _validator(response.headers) not in (None, validator)):
                    handle.truncate(0)
                    raise _Interrupted("the server sent another part than the one asked for")
            else:
                handle.truncate(0)
                start, total = 0, response.headers.get("Content-Length")
                total = int(total) if total is not None and not response.headers.get("Transfer-Encoding") else None
                write_json(_sidecar(part), {"validator": _validator(response.headers)})
            self._receive(response, handle, start, total, name)

    def _open(self, url: str, headers: dict, handle: BinaryIO, have: int, expected: Checksum | None):
        """The response, or None where the server says that all there is has been received already."""
        try:
            return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and have:
                    if expected and error.headers.get("Content-Range") == f"bytes */{have}":
                        return None
                    handle.truncate(0)
                    raise _Interrupted("the partial file did not fit the server's") from error
                if error.code in _PASSING:
                    after = error.headers.get("Retry-After", "")
                    raise _Interrupted(
                        f"HTTP {error.code} {error.reason}", min(float(after), 60.0) if after.isdigit() else 0.0
                    ) from error
                raise UserError(
                    f"could not fetch {url}: HTTP {error.code} {error.reason}. Check the address. {_MIRROR_HINT}"
                ) from error
        except urllib.error.URLError as error:
            raise _Interrupted(str(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(error) or type(error).__name__) from error

    def _receive(self, response, handle: BinaryIO, start: int, total: int | None, name: str) -> None:
        size = start
        with _bar(self.progress, name, start, total) as bar:
            while True:
                try:
                    chunk = response.read1(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise _Interrupted(f"{error or type(error).__name__} after {size} bytes") from error
                if not chunk:
                    break
                size += len(chunk)
                bar.update(len(chunk))
                while chunk:
                    chunk = chunk[handle.write(chunk) :]
        if total is not None and size != total:
            if size > total:
                handle.truncate(0)
            raise _Interrupted(f"the connection ended after {size} of {total} bytes")


def _bar(progress: bool, name: str, start: int, total: int | None) -> tqdm:
    # Where nobody watches, a line every half minute is enough; short downloads print none.
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        desc=name, initial=start, total=total, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr,
        disable=not progress, mininterval=interval, maxinterval=interval, delay=2.0,
    )  # fmt: skip


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as aside:
        shutil.copyfile(source, aside)


def _sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(handle: BinaryIO) -> int:
    return os.fstat(handle.fileno()).st_size


def _validator(headers) -> str | None:
    """What identifies this version of the file in an If-Range header; weak tags do not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _content_range(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


@contextmanager
def _exclusively(part: Path) -> Iterator[BinaryIO]:
    """Opens a partial file for appending, unbuffered, once no other process is filling it."""
    while True:
        handle = open(part, "ab", buffering=0)  # noqa: SIM115
        fcntl.flock(handle, fcntl.LOCK_EX)
        if part.exists() and os.path.samestat(os.fstat(handle.fileno()), part.stat()):
            break
        handle.close()
    with handle:
        yield handle
