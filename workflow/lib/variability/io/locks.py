"""File locks between processes, which the kernel releases when their holder dies."""

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from variability.errors import UserError
from variability.io import storage

POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


@contextmanager
def held(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock of a file inside the block; wait for it as long as necessary.

    waiting: message to log if another process holds the lock.
    """
    with first_free([path], waiting):
        yield


@contextmanager
def first_free(paths: Sequence[Path], waiting: str, mode: int | None = None) -> Iterator[int]:
    """Hold the first of several locks that is free inside the block, and yield its index; wait until there is one.

    waiting: message to log if all are held. mode: permissions of new lock files, whatever the umask; None leaves them
    to the umask. Lock files are never removed: removing one that another process is opening would give two processes
    the lock.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {} if mode is None else {"mode": mode}
    locks = [filelock.FileLock(path, **options) for path in paths]
    index = _acquire_any(locks)
    if index is None:
        _log.warning("%s", waiting)
    while index is None:
        # Waiting for one lock only would miss that another becomes free, so all are polled.
        index = 0 if _acquire(locks[0], POLL_SECONDS) else _acquire_any(locks)
    try:
        yield index
    finally:
        locks[index].release()


def _acquire_any(locks: Sequence[filelock.BaseFileLock]) -> int | None:
    return next((index for index, lock in enumerate(locks) if _acquire(lock, 0)), None)


def _acquire(lock: filelock.BaseFileLock, timeout: float) -> bool:
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
