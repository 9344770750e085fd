"""Least speed and total time of a download: a server that sends a byte now and then does not hold a job for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from variability.advice import plural


class TooSlow(Exception):
    """A connection that was slower than the least speed."""


class OutOfTime(Exception):
    """A download that took longer than its total time, over all attempts."""


class Pace:
    """Progress of one download.

    least_speed: bytes per second, on average over ``window`` seconds. total: seconds for all attempts together. clock:
    function that returns seconds.
    """

    def __init__(
        self, least_speed: float, window: float, total: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.least_speed, self.window, self.total = least_speed, window, total
        self._clock = clock
        self._started = clock()
        self.begin()

    def begin(self) -> None:
        """Begin another attempt: its first window starts now."""
        self._begun, self._bytes = self._clock(), 0

    def add(self, count: int) -> None:
        """Count received bytes. Raises TooSlow or OutOfTime."""
        self._bytes += count
        self.check()
        if self._clock() - self._begun >= self.window:
            self.begin()

    def check_total(self) -> None:
        """Raise OutOfTime if the time is up."""
        if self._clock() - self._started >= self.total:
            raise OutOfTime(f"it took more than {self.total / 3600:.3g} h")

    def check(self) -> None:
        """Raise OutOfTime if the time is up, TooSlow if the last window was too slow."""
        self.check_total()
        now = self._clock()
        if (elapsed := now - self._begun) >= self.window and self._bytes < self.least_speed * elapsed:
            raise TooSlow(
                f"{plural(self._bytes, 'byte')} came in {elapsed:.3g} s, fewer than {self.least_speed:g} per second on "
                "average"
            )

    def remaining(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self._started + self.total - self._clock())

    @contextmanager
    def watching(self, body: Any) -> Iterator[None]:
        """Shut a response's connection down if one call of its methods, inside the block, makes no progress.

        Between the bytes of one header of a chunk, the call itself would wait for ever.
        """
        done = threading.Event()

        def watch() -> None:
            while not done.wait(self.window / 4):
                try:
                    self.check()
                except (TooSlow, OutOfTime):
                    with suppress(Exception):
                        body.shutdown()
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return the result of a call, or raise its exception.

    Raises TimeoutError if it takes longer; its result is closed then, whenever it comes. A server may wait before each
    byte of a header, so that no timeout of a socket ends this.
    """
    result: list[Any] = []
    errors: list[BaseException] = []
    abandoned = threading.Event()

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            errors.append(error)
        if abandoned.is_set():
            for late in result:
                late.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        abandoned.set()
        raise TimeoutError(f"no complete answer in {seconds:.3g} s")
    if errors:
        raise errors[0]
    return result[0]
