"""File locks between processes, which the kernel releases when their holder dies."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from variability.errors import UserError
from variability.io import storage

POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


@contextmanager
def held(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock of a file inside the block; wait for it as long as necessary.

    waiting: message to log if another process holds the lock. Lock files are never removed: removing one that another
    process is opening would give two processes the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    if not acquire(lock):
        _log.warning("%s", waiting)
        while not acquire(lock, POLL_SECONDS):
            pass
    try:
        yield
    finally:
        lock.release()


def acquire(lock: filelock.BaseFileLock, timeout: float = 0) -> bool:
    """Return whether a lock was acquired in time. Raises UserError if its file is none, or closed to this user."""
    try:
        lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS / 5)
    except filelock.Timeout:
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"the lock file {lock.lock_file} is a link; remove it") from error
        raise storage.explain(error, lock.lock_file) or error from error
    return True
