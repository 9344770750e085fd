"""Shares of GPUs under file locks: a whole GPU, or one of several slots for the runs of one user."""

import glob
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from variability.io import locks

_log = logging.getLogger(__name__)


@contextmanager
def first_free(identities: Sequence[str], runs_per_gpu: int, folder: Path, waiting: str) -> Iterator[int]:
    """Hold a share of one of several GPUs inside the block, and yield its index; wait until one is free.

    identities: names of the GPUs, the same in all processes. runs_per_gpu: number of slots; all of a GPU's holders have
    the same user and the same number of slots. Among GPUs with a free slot, one with the fewest holders is chosen.
    folder: of the lock files, which get its permissions. waiting: message to log if there is no free one.
    """
    mode = folder.stat().st_mode & 0o666
    found = _any_free(identities, runs_per_gpu, folder, mode)
    if found is None:
        _log.warning("%s", waiting)
    while found is None:
        time.sleep(locks.POLL_SECONDS)
        found = _any_free(identities, runs_per_gpu, folder, mode)
    index, lock = found
    try:
        yield index
    finally:
        lock.release()


@contextmanager
def several_free(identities: Sequence[str], count: int, folder: Path, waiting: str) -> Iterator[list[int]]:
    """Hold several whole GPUs inside the block, and yield their indices; wait until that many are free.

    Parameters are as of ``first_free``. One process at a time, under a lock of its own, collects GPUs and waits for
    others while it holds some: two that need each other's would wait for ever, and one that returned those it has while
    there are too few might never get them from processes that need only one.
    """
    mode = folder.stat().st_mode & 0o666
    collecting = filelock.FileLock(folder / "collecting.lock", mode=mode)
    held: dict[int, filelock.BaseFileLock] = {}
    warned = False
    try:
        while len(held) < count:
            if collecting.is_locked or locks.acquire(collecting):
                for index, identity in enumerate(identities):
                    lock = None if index in held or len(held) == count else _share(identity, 1, folder, mode, 0)
                    held |= {index: lock} if lock else {}
            if len(held) < count:
                if not warned:
                    _log.warning("%s", waiting)
                warned = True
                time.sleep(locks.POLL_SECONDS)
        collecting.release()
        yield sorted(held)
    finally:
        collecting.release()
        for lock in held.values():
            lock.release()


def _any_free(
    identities: Sequence[str], runs_per_gpu: int, folder: Path, mode: int
) -> tuple[int, filelock.BaseFileLock] | None:
    for holders in range(runs_per_gpu):
        for index, identity in enumerate(identities):
            if lock := _share(identity, runs_per_gpu, folder, mode, holders):
                return index, lock
    return None


def _share(
    identity: str, runs_per_gpu: int, folder: Path, mode: int, most_holders: int
) -> filelock.BaseFileLock | None:
    """Return a lock that was acquired: of the GPU or of a slot; None if there is none, or more holders than allowed.

    A process that uses a GPU alone holds the lock of the GPU. Others hold that of a slot, and the GPU's only while they
    look for one: so nobody looks at the same time, and they see whoever holds the GPU alone.
    """
    # Older drivers name a slice MIG-<UUID of the GPU>/<number>/<number>.
    name = identity.replace("/", "-")
    whole = filelock.FileLock(folder / f"{name}.lock", mode=mode)
    if not locks.acquire(whole):
        return None
    slots = [folder / f"{name}.{os.getuid()}-{runs_per_gpu}.{slot}.lock" for slot in range(runs_per_gpu)]
    slots = slots if runs_per_gpu > 1 else []
    share = None
    try:
        others = set(folder.glob(f"{glob.escape(name)}.*.lock")) - set(slots)
        if any(_is_held(path, mode) for path in others):
            return None
        if not slots:
            share = whole
            return share
        free = [lock for path in slots if locks.acquire(lock := filelock.FileLock(path, mode=mode))]
        if free and len(slots) - len(free) <= most_holders:
            share = free.pop(0)
        for lock in free:
            lock.release()
        return share
    finally:
        if share is not whole:
            whole.release()


def _is_held(path: Path, mode: int) -> bool:
    lock = filelock.FileLock(path, mode=mode)
    if not locks.acquire(lock):
        return True
    lock.release()
    return False
