"""Locks between processes, which the kernel frees when their holder dies."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


@contextmanager
def held(path: Path, waiting: str) -> Iterator[None]:
    """Holds the lock of one file inside the block; waits for it as long as it takes.

    waiting: what to log if another process holds it.
    """
    with first_free([path], waiting):
        yield


@contextmanager
def first_free(paths: Sequence[Path], waiting: str, mode: int | None = None) -> Iterator[int]:
    """Holds the first lock that is free inside the block and yields its position; waits until there is one.

    mode: permissions of new lock files, whatever the umask; by default as the umask has them.

    Lock files are left where they are: removing one that another process is opening would give two holders.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    options = {} if mode is None else {"mode": mode}
    locks = [filelock.FileLock(path, **options) for path in paths]
    found = _try_each(locks)
    if found is None:
        _log.warning("%s", waiting)
    while found is None:
        # Blocking on one of several would miss the others; so all are asked in turn.
        try:
            locks[0].acquire(timeout=POLL_SECONDS, poll_interval=POLL_SECONDS / 5)
            found = 0
        except filelock.Timeout:
            found = _try_each(locks)
    try:
        yield found
    finally:
        locks[found].release()


def _try_each(locks: Sequence[filelock.BaseFileLock]) -> int | None:
    for position, lock in enumerate(locks):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            continue
        return position
    return None
