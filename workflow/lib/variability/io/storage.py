"""Errors of disks and folders in one sentence: what could not be written, why, how much room there is, what to do."""

import errno
import math
import os
import re
import shutil
from pathlib import Path

from variability.errors import UserError

#: The end of each message.
_CONTINUE = "then run the same command again, which continues here"
#: Codes that libraries of C and Rust write into the texts of their errors.
_IN_TEXT = re.compile(r"(?:os error |errno[ =]+)(\d+)", re.IGNORECASE)
#: NumPy's error for a file that was written in part. It has no code.
_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM)
_NOT_A_FOLDER = (errno.ENOTDIR, errno.EEXIST, errno.ELOOP)
#: Further codes that name a fault of the machine or its settings, with what to do.
_OTHERS = {
    errno.EIO: "the disk reports an input/output error; check it (dmesg names the device)",
    errno.EROFS: "the file system is read-only; mount it for writing, or work in another folder",
    errno.ESTALE: "the network file system lost the file; check that it is mounted",
    errno.EFBIG: "it is larger than this process may write; raise the limit (ulimit -f), or use another file system",
    errno.EMFILE: "this process has too many open files; raise the limit (ulimit -n)",
    errno.ENFILE: "the machine has too many open files; end other programs",
    errno.ENAMETOOLONG: "its name or path is too long for the file system; shorten names in the config, or the path",
    errno.EISDIR: "it is a folder, and a file is needed; remove or rename it",
}


class StorageError(UserError, OSError):
    """A file or folder that cannot be written or read because of the disk, its permissions or its path.

    code: the error number, if there is one.
    """

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.errno = code

    @property
    def concerns_all_files(self) -> bool:
        """True if other files of the same disk cannot be written either."""
        return self.errno in (*_FULL, errno.EROFS)


def explain(error: BaseException, path: str | os.PathLike | None = None, size: int = 0) -> StorageError | None:
    """Return an error of a disk or folder as one for the user; None for any other error.

    path: the file that was being written, if the error itself names none. size: bytes that it needs at least.
    """
    if isinstance(error, StorageError):
        return error
    code, named = _code(error), getattr(error, "filename", None)
    if code != errno.EIO:
        # The target of a copy or a rename. An input/output error of a copy is as often one of its source.
        named = getattr(error, "filename2", None) or named
    # Not an open file's number.
    name = named if isinstance(named, str | bytes | os.PathLike) else path
    target = Path(os.fsdecode(name)) if name is not None else None
    reason = _reason(code, target, size) if code is not None else None
    return (
        StorageError(f"{target or 'a file'} cannot be written or read: {reason}, {_CONTINUE}", code) if reason else None
    )


def _reason(code: int, path: Path | None, size: int) -> str | None:
    """Return why a path cannot be used and what to do; None for an error that is not of this kind."""
    if code in _FULL:
        return f"{_full(code, path or Path(), size)}; make room"
    if code in _CLOSED and path is not None:
        return f"{_closed(path)}; change that, or work in another folder"
    if code in _NOT_A_FOLDER and path is not None:
        return not_a_folder(path)
    return _OTHERS.get(code)


def require_writable(folder: Path) -> None:
    """Raise StorageError if a folder, or the nearest existing one above it, is not one or cannot be written to."""
    nearest = existing(folder)
    if reason := not_a_folder(folder.absolute()):
        raise StorageError(f"{reason}, {_CONTINUE}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        read_only = os.statvfs(nearest).f_flag & os.ST_RDONLY
        code = errno.EROFS if read_only else errno.EACCES
        raise StorageError(f"{folder} cannot be written: {_reason(code, nearest, 0)}, {_CONTINUE}", code)


def require_space(folder: Path, size: int, content: str, remedy: str = "") -> None:
    """Raise StorageError if the disk of a folder has less room than ``size`` bytes.

    content: what will be written, for the message. remedy: what to do other than making room.
    """
    free = shutil.disk_usage(existing(folder)).free
    if size > free:
        also = f", or {remedy}" if remedy else ""
        raise StorageError(
            f"{content} need {in_units(size)} and the disk of {folder} has {in_units(free)} left; "
            f"make room{also}, {_CONTINUE}"
        )


def existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    path = path.absolute()
    # Not by Path.exists, which raises PermissionError below a closed folder.
    return next((folder for folder in (path, *path.parents) if os.path.exists(folder)), Path(path.anchor))


def not_a_folder(path: Path) -> str | None:
    """Return a message on the part of a path that is no folder but has to be one; None if there is none.

    The path itself counts if it is a file or a link to nothing.
    """
    for part in (*reversed(path.parents), path):
        if os.path.islink(part) and not os.path.exists(part):
            return f"{part} is a link to {os.readlink(part)}, which does not exist; create it or remove the link"
        if os.path.isfile(part):
            return f"{part} is a file, and a folder is needed; remove or rename it"
    return None


def in_units(size: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    if size < 1000:
        return f"{size:.0f} bytes"
    exponent = min(int(math.log10(size)) // 3, 4)
    scaled = size / 1000**exponent
    return f"{scaled:.0f} {' kMGT'[exponent]}B" if scaled >= 100 else f"{scaled:.3g} {' kMGT'[exponent]}B"


def _code(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if isinstance(error, OSError) and _CUT_SHORT.search(text):
        return errno.ENOSPC
    # Not of any error: the text of some may quote a code that a user's file contains.
    from_library = isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("safetensors", "h5py")
    match = _IN_TEXT.search(text) if from_library else None
    return int(match[1]) if match else None


def _full(code: int, path: Path, size: int) -> str:
    folder = existing(path if path.is_dir() else path.absolute().parent)
    if code == errno.EDQUOT:
        return "your disk quota is used up"
    facts = os.statvfs(folder)
    if facts.f_files and not facts.f_favail and facts.f_bavail:
        return f"the disk of {folder} holds as many files as it can, though {in_units(_free(facts))} are free"
    needed = f", at least {in_units(size)} needed" if size else ""
    return f"the disk of {folder} is full ({in_units(_free(facts))} free{needed})"


def _free(facts: os.statvfs_result) -> int:
    return facts.f_bavail * facts.f_frsize


def _closed(path: Path) -> str:
    """Return who may write to the file or folder that a user has no permission for, and how to change it."""
    nearest = existing(path)
    closed = nearest if not os.access(nearest, os.W_OK) else nearest.parent
    try:
        owner = closed.owner()
    except (KeyError, OSError, NotImplementedError):
        owner = "another user"
    return f"you have no permission to write to {closed}, which belongs to {owner}"
