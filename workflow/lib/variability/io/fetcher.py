"""Downloads: from mirrors, the cache, or the network; checked, resumed, and complete or absent."""

import contextlib
import logging
import os
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from tqdm import tqdm

from variability.errors import UserError
from variability.io import locks
from variability.io.checksums import Checksum
from variability.io.download_cache import DownloadCache, link
from variability.io.files import read_json, replacing, write_json
from variability.io.http_session import new_session, root_cause
from variability.io.mirrors import VARIABLE, AmbiguousFile, Index

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_MAX_WAIT_SECONDS = 60
#: Answers of a server after which another attempt may succeed.
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
#: Errors of an address itself, or of one to which it redirects.
_BAD_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
)
_MIRROR_HINT = (
    "Without a network, put the file into a directory and name that directory in the environment variable "
    f"{VARIABLE} or under `mirrors:` in the config"
)


class _TransientError(Exception):
    """A failure after which another attempt may succeed. response: the server's answer, if there was one."""

    def __init__(self, reason: str, response: urllib3.BaseHTTPResponse | None = None):
        super().__init__(reason)
        self.response = response


class Fetcher:
    """Copies or downloads files to this machine.

    mirrors: directories that are searched by file name and checksum before the network is used. cache: folder that
    stores downloads for later jobs, and partial files until they are resumed; if None, nothing is stored and partial
    files are in the target's folder. retries: failed attempts in a row, after the first, that do not receive a single
    byte; the pause between them doubles, starting with ``pause`` seconds before the third attempt. timeout: seconds a
    server may stay silent. As a context manager it removes from the cache, if the block raises, the files that it had
    no checksum for.
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
        self._cache = DownloadCache(cache) if cache else None
        self._timeout = timeout
        self._progress = progress
        self._retry = urllib3.Retry(
            retries,
            status_forcelist=_TRANSIENT,
            backoff_factor=pause,
            backoff_max=_MAX_WAIT_SECONDS,
            retry_after_max=_MAX_WAIT_SECONDS,
        )
        self._session = new_session()

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A server may send an error page in place of a file. Without a checksum to detect it, it would make every
        # later job fail too.
        if kind is not None and self._cache:
            self._cache.forget_unchecked()
        self._session.close()

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
            partial = target.with_name(target.name + ".part")
            with _removed_if_empty(partial):
                self._complete(url, partial, expected, name)
                os.replace(partial, target)
                _validator_file(partial).unlink(missing_ok=True)
            return
        partial = self._cache.partial_path(url, name)
        with locks.held(self._cache.lock_path(url), f"{name} is being downloaded by another process; waiting for it"):
            if self._cache.restore(url, expected, target):
                _log.info("%s was downloaded before and is taken from the cache", url)
                return
            with _removed_if_empty(partial):
                self._complete(url, partial, expected, name)
                link(partial, target)
                self._cache.store(url, expected, partial)
                _validator_file(partial).unlink(missing_ok=True)

    def _complete(self, url: str, partial: Path, expected: Checksum | None, name: str) -> None:
        """Download into ``partial`` until it is complete, check it and sync it to the disk."""
        partial.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "ab", buffering=0) as handle:
            resumed = _size(handle) > 0
            _log.info("%s %s", "resuming" if resumed else "fetching", url)
            self._download_with_retries(url, handle, partial, expected, name)
            if resumed and expected and not expected.matches(partial):
                _log.info("%s: the file resumed from an earlier attempt is not the one expected; starting over", url)
                handle.truncate(0)
                self._download_with_retries(url, handle, partial, expected, name)
            if expected and not expected.matches(partial):
                error = expected.mismatch_error(url, partial)
                handle.truncate(0)
                raise error
            os.fsync(handle.fileno())

    def _download_with_retries(
        self, url: str, handle: BinaryIO, partial: Path, expected: Checksum | None, name: str
    ) -> None:
        retry, most = self._retry, _size(handle)
        while True:
            try:
                return self._attempt(url, handle, partial, expected, name)
            except _TransientError as error:
                if _size(handle) > most:
                    retry, most = self._retry, _size(handle)
                try:
                    retry = retry.increment("GET", url, error=error)
                except urllib3.exceptions.MaxRetryError:
                    tries = len(retry.history) + 1
                    raise UserError(
                        f"could not fetch {url}: {error} (tried {tries} times). {_MIRROR_HINT} ({name})"
                    ) from error
                wait = _seconds_to_wait(retry, error.response)
                _log.info("%s: %s; trying again in %.3g s", url, error, wait)
                time.sleep(wait)

    def _attempt(self, url: str, handle: BinaryIO, partial: Path, expected: Checksum | None, name: str) -> None:
        """Download what is missing of a partial file. Raises _TransientError with the bytes received so far in it."""
        size = _size(handle)
        stored = _validator_file(partial)
        validator = read_json(stored)["validator"] if stored.is_file() else None
        if size and not (validator or expected):
            # Nothing would detect that the file changed between the two parts.
            handle.truncate(0)
            size = 0
        headers = {}
        if size:
            headers["Range"] = f"bytes={size}-"
            if validator:
                headers["If-Range"] = validator
        with self._open(url, headers) as response:
            if response.status_code == 416 and size:
                if expected and response.headers.get("Content-Range") == f"bytes */{size}":
                    return  # the partial file is complete
                handle.truncate(0)
                raise _TransientError("the server's file is shorter than the partial file")
            self._require_success(url, response)
            if response.status_code == 206:
                start, total = _content_range(response.headers.get("Content-Range", ""))
                if (
                    start is None
                    or start != size
                    or (validator and _validator(response.headers) not in (None, validator))
                ):
                    handle.truncate(0)
                    raise _TransientError("the server sent another part than the requested one")
            else:
                handle.truncate(0)
                start, length = 0, response.headers.get("Content-Length")
                total = int(length) if length is not None and not response.headers.get("Transfer-Encoding") else None
                write_json(stored, {"validator": _validator(response.headers)})
            self._receive(response.raw, handle, start, total, name)

    def _open(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        try:
            return self._session.get(url, headers=headers, stream=True, timeout=self._timeout)
        except _BAD_ADDRESS as error:
            raise UserError(f"could not fetch {url}: {error}. Check the address. {_MIRROR_HINT}") from error
        except requests.RequestException as error:
            raise _TransientError(root_cause(error)) from error

    def _require_success(self, url: str, response: requests.Response) -> None:
        status = f"HTTP {response.status_code} {response.reason}"
        if self._retry.is_retry("GET", response.status_code, "Retry-After" in response.headers):
            raise _TransientError(status, response.raw)
        if not response.ok:
            raise UserError(f"could not fetch {url}: {status}. Check the address. {_MIRROR_HINT}")

    def _receive(self, body: urllib3.HTTPResponse, handle: BinaryIO, start: int, total: int | None, name: str) -> None:
        size = start
        # The check of the length below has the better message.
        body.enforce_content_length = False
        with _progress_bar(self._progress, name, start, total) as bar:
            while True:
                try:
                    chunk = body.read1(_CHUNK, decode_content=False)
                except (OSError, urllib3.exceptions.HTTPError) as error:
                    raise _TransientError(f"{root_cause(error)} after {size} bytes") from error
                if not chunk:
                    break
                size += len(chunk)
                bar.update(len(chunk))
                while chunk:
                    chunk = chunk[handle.write(chunk) :]
        if total is not None and size != total:
            if size > total:
                handle.truncate(0)
            raise _TransientError(f"the connection ended after {size} of {total} bytes")


def _seconds_to_wait(retry: urllib3.Retry, response: urllib3.BaseHTTPResponse | None) -> float:
    with contextlib.suppress(urllib3.exceptions.InvalidHeader):
        if response is not None and (seconds := retry.get_retry_after(response)):
            return seconds
    return retry.get_backoff_time()


def _progress_bar(progress: bool, name: str, start: int, total: int | None) -> tqdm:
    # In a log file a line every half minute is enough; short downloads print none.
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        desc=name, initial=start, total=total, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr,
        disable=not progress, mininterval=interval, maxinterval=interval, delay=2.0,
    )  # fmt: skip


def _copy_local(url: str, source: Path, target: Path, expected: Checksum | None) -> None:
    if not source.is_file():
        raise UserError(f"cannot fetch {url}: there is no such file")
    if expected and not expected.matches(source):
        raise expected.mismatch_error(url, source)
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def _removed_if_empty(partial: Path) -> Iterator[None]:
    """Remove a partial file after the block if it has no content to resume from."""
    try:
        yield
    finally:
        if partial.exists() and partial.stat().st_size == 0:
            partial.unlink()
            _validator_file(partial).unlink(missing_ok=True)


def _validator_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _size(handle: BinaryIO) -> int:
    return os.fstat(handle.fileno()).st_size


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return the value that identifies this version of the file in an If-Range header; weak tags do not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _content_range(text: str) -> tuple[int | None, int | None]:
    """Return the first byte and the total size of a Content-Range header, None where unknown."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])
