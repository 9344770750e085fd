"""Downloads over HTTP from servers of any quality: resumed, bounded in time, and the file that is expected or none."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import BinaryIO

import requests
import urllib3
from tqdm import tqdm

from variability.advice import plural
from variability.errors import UserError
from variability.io import http_answers, http_limits
from variability.io.checksums import Checksum
from variability.io.http_session import new_session, root_cause
from variability.io.mirrors import VARIABLE
from variability.io.partial_files import PartialFile
from variability.io.storage import require_space
from variability.io.transfer_pace import OutOfTime, Pace, TooSlow, within

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_MAX_WAIT_SECONDS = 60
#: Bytes that an attempt must receive to count as progress; a server may close the connection after each byte.
_PROGRESS = 1 << 16
#: Limit of the time until a server has sent its headers, in timeouts.
_TIMEOUTS_OF_HEADERS = 4
#: Answers of a server after which another attempt may succeed.
_TRANSIENT = (202, 408, 425, 429, 500, 502, 503, 504)
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
    """A failure after which another attempt may succeed.

    response: the server's answer, if there was one. counts: whether the attempt failed whatever it received.
    """

    def __init__(self, reason: str, response: urllib3.BaseHTTPResponse | None = None, counts: bool = False):
        super().__init__(reason)
        self.response = response
        self.counts = counts


class HttpDownload:
    """Downloads files over HTTP.

    retries: failed attempts in a row, after the first, that receive next to nothing, or are too slow; the pause between
    them doubles, starting with ``pause`` seconds before the third attempt. timeout: seconds a server may stay silent.
    least_speed: bytes per second, on average over ``window`` seconds. hours: total time of one file, over all attempts.
    progress: whether a bar shows it.
    """

    def __init__(
        self,
        retries: int = 5,
        timeout: float = http_limits.TIMEOUT,
        least_speed: float = http_limits.LEAST_SPEED,
        hours: float = http_limits.HOURS,
        window: float = 60.0,
        progress: bool = True,
        pause: float = 1.0,
    ):
        self._timeout = timeout
        self._least_speed, self._hours, self._window = least_speed, hours, window
        self._progress = progress
        self._retry = urllib3.Retry(
            retries,
            status_forcelist=_TRANSIENT,
            backoff_factor=pause,
            backoff_max=_MAX_WAIT_SECONDS,
            retry_after_max=_MAX_WAIT_SECONDS,
        )
        self._session = new_session()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def complete(self, url: str, partial: PartialFile, expected: Checksum | None, name: str) -> None:
        """Download into ``partial`` until it is complete, check it and sync it to the disk."""
        partial.path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial.path, "ab", buffering=0) as handle:
            resumed = _size(handle) > 0
            _log.info("%s %s", "resuming" if resumed else "fetching", url)
            self._download_with_retries(url, handle, partial, expected, name)
            if resumed and expected and not partial.encoding and not expected.matches(partial.path):
                _log.info("%s: the file resumed from an earlier attempt is not the one expected; starting over", url)
                handle.truncate(0)
                self._download_with_retries(url, handle, partial, expected, name)
            os.fsync(handle.fileno())
        try:
            _check_content(url, partial, expected, name)
        except UserError:
            os.truncate(partial.path, 0)
            raise

    def _download_with_retries(
        self, url: str, handle: BinaryIO, partial: PartialFile, expected: Checksum | None, name: str
    ) -> None:
        retry, most = self._retry, _size(handle)
        pace = Pace(self._least_speed, self._window, 3600 * self._hours)
        while True:
            try:
                return self._attempt_in_time(url, handle, partial, expected, name, pace)
            except OutOfTime as error:
                raise UserError(
                    f"could not fetch {url}: {error}; run the same command again to continue, or raise `downloads: "
                    f"{{hours: ...}}`. {_MIRROR_HINT}"
                ) from error
            except _TransientError as error:
                if _size(handle) > most + _PROGRESS and not error.counts:
                    retry, most = self._retry, _size(handle)
                try:
                    retry = retry.increment("GET", url, error=error)
                except urllib3.exceptions.MaxRetryError:
                    tries = len(retry.history) + 1
                    raise UserError(
                        f"could not fetch {url}: {error} (tried {plural(tries, 'time')}). {_MIRROR_HINT} ({name})"
                    ) from error
                wait = min(_seconds_to_wait(retry, error.response), pace.remaining())
                _log.info("%s: %s; trying again in %.3g s", url, error, wait)
                time.sleep(wait)

    def _attempt_in_time(
        self, url: str, handle: BinaryIO, partial: PartialFile, expected: Checksum | None, name: str, pace: Pace
    ) -> None:
        """Make one attempt. Raises OutOfTime for every failure after the end of the time, which may have caused it."""
        try:
            self._attempt(url, handle, partial, expected, name, pace)
        except _TransientError:
            pace.check_total()
            raise

    def _attempt(
        self, url: str, handle: BinaryIO, partial: PartialFile, expected: Checksum | None, name: str, pace: Pace
    ) -> None:
        """Download what is missing of a partial file. Raises _TransientError with the bytes received so far in it."""
        size, validator = _size(handle), partial.validator
        if size and not (validator or (expected and not partial.encoding)):
            # Nothing would detect that the file changed between the two parts.
            handle.truncate(0)
            size = 0
        headers = {}
        if size:
            headers["Range"] = f"bytes={size}-"
            if validator:
                headers["If-Range"] = validator
        pace.begin()
        pace.check()
        with self._open(url, headers, pace) as response:
            if response.status_code == 416 and size:
                if expected and response.headers.get("Content-Range") == f"bytes */{size}":
                    return  # the partial file is complete
                handle.truncate(0)
                raise _TransientError("the server's file is shorter than the partial file")
            self._require_success(url, response, expected)
            sent = http_answers.validator(response.headers)
            if response.status_code == 206:
                start, total = http_answers.content_range(response.headers)
                same = sent == validator or (sent is None and expected is not None) or not validator
                if start is None or start != size or not same:
                    handle.truncate(0)
                    raise _TransientError("the server sent another part than the requested one")
            else:
                handle.truncate(0)
                start, total = 0, http_answers.length(response.headers)
                partial.record(sent, http_answers.encoding(response.headers))
            if total is not None:
                require_space(partial.path.parent, total - start, f"the remaining bytes of {url}")
            self._receive(response.raw, handle, start, total, name, pace)

    def _open(self, url: str, headers: Mapping[str, str], pace: Pace) -> requests.Response:
        try:
            seconds = min(_TIMEOUTS_OF_HEADERS * self._timeout, pace.remaining())
            return within(seconds, lambda: self._session.get(url, headers=headers, stream=True, timeout=self._timeout))
        except TimeoutError as error:
            raise _TransientError(str(error), counts=True) from error
        except _BAD_ADDRESS as error:
            raise UserError(f"could not fetch {url}: {error}. Check the address. {_MIRROR_HINT}") from error
        except requests.RequestException as error:
            raise _TransientError(root_cause(error)) from error
        # An address to which a server redirects may be anything.
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            raise UserError(f"could not fetch {url}: {root_cause(error)}. Check the address. {_MIRROR_HINT}") from error

    def _require_success(self, url: str, response: requests.Response, expected: Checksum | None) -> None:
        status = f"HTTP {response.status_code} {response.reason}"
        if self._retry.is_retry("GET", response.status_code, "Retry-After" in response.headers):
            raise _TransientError(status, response.raw)
        if response.status_code not in (200, 203, 206):
            raise UserError(f"could not fetch {url}: {status}. Check the address. {_MIRROR_HINT}")
        if url.startswith("https:") and not response.url.startswith("https:") and not expected:
            raise UserError(
                f"could not fetch {url}: it redirects to {response.url}, where anybody on the way could change it, and "
                f"there is no checksum to notice that. {_MIRROR_HINT}"
            )

    def _receive(
        self, body: urllib3.HTTPResponse, handle: BinaryIO, start: int, total: int | None, name: str, pace: Pace
    ) -> None:
        size = start
        # The check of the length below has the better message.
        body.enforce_content_length = False
        try:
            with _progress_bar(self._progress, name, start, total) as bar, pace.watching(body):
                while True:
                    try:
                        chunk = body.read1(_CHUNK, decode_content=False)
                    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
                        pace.check()
                        raise _TransientError(f"{root_cause(error)} after {plural(size, 'byte')}") from error
                    if not chunk:
                        break
                    received = len(chunk)
                    size += received
                    bar.update(received)
                    while chunk:
                        chunk = chunk[handle.write(chunk) :]
                    pace.add(received)
            pace.check()
        except TooSlow as error:
            raise _TransientError(str(error), counts=True) from error
        if total is not None and size != total:
            if size > total:
                handle.truncate(0)
            raise _TransientError(f"the connection ended after {size} of {plural(total, 'byte')}")


def _check_content(url: str, partial: PartialFile, expected: Checksum | None, name: str) -> None:
    """Raise UserError unless a complete file is the one expected; expand it first if the server compressed it."""
    if expected and expected.matches(partial.path):
        return
    # Some servers state a compression of files that are compressed themselves, and mean the file.
    if partial.encoding and (expected or not name.lower().endswith((".gz", ".tgz"))):
        partial.decode(url)
        if expected and expected.matches(partial.path):
            return
    if http_answers.is_web_page(partial.path, name):
        raise UserError(
            f"could not fetch {url}: the server sent a web page, such as a login or an error, in place of the file. "
            f"Open the address in a browser. {_MIRROR_HINT}"
        )
    if expected:
        raise expected.mismatch_error(url, partial.path)


def _seconds_to_wait(retry: urllib3.Retry, response: urllib3.BaseHTTPResponse | None) -> float:
    with contextlib.suppress(urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
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


def _size(handle: BinaryIO) -> int:
    return os.fstat(handle.fileno()).st_size
