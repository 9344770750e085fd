"""Members of an archive of unknown origin: names that stay inside its folder, and sizes within limits."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from variability.advice import plural
from variability.errors import UserError
from variability.io import storage
from variability.io.limits import Limits

#: Longest name of a file or folder in bytes, and longest path, of common file systems.
_LONGEST_NAME, _LONGEST_PATH = 255, 3500


class Members:
    """The members of an archive so far: each path is one file or one folder.

    files: names with what identifies their content, None if that is not known. folders: names, also of those that only
    occur in the names of files.
    """

    def __init__(self, archive: Path):
        self._archive = archive
        self.files: dict[str, object] = {}
        self.folders: set[str] = set()

    def path(self, name: str) -> PurePosixPath:
        """Return a member's relative path; raise UserError if it leads out of the folder, or cannot be stored."""
        # A Windows path also detects drives and backslashes.
        path = PureWindowsPath(name)
        if path.drive or path.root or ".." in path.parts or "\0" in name:
            raise refused(self._archive, name, "leads outside the folder it is unpacked to")
        sizes = [len(os.fsencode(part)) for part in path.parts]
        if max(sizes, default=0) > _LONGEST_NAME or sum(sizes) + len(sizes) > _LONGEST_PATH:
            shown = f"{name[:60]}..."
            raise UserError(
                f"{self._archive} was not unpacked: the name of its member {shown!r} has {sum(sizes)} bytes, and file "
                f"systems allow {_LONGEST_NAME} for each part; pack it again with shorter names"
            )
        return PurePosixPath(name)

    def is_file(self, name: str) -> bool:
        """Return whether there was a file of this name."""
        return str(self.path(name)) in self.files

    def add(self, name: str, is_folder: bool, content: object) -> bool:
        """Add a member; return whether it is new. Raises UserError if another one with the same path differs."""
        path = self.path(name)
        if not is_folder and not path.parts:
            raise UserError(f"{self._archive} was not unpacked: it has a member without a name; pack it again")
        plain = str(path)
        folders = [str(parent) for parent in path.parents if parent.parts] + ([plain] if is_folder else [])
        if any(folder in self.files for folder in folders) or (not is_folder and plain in self.folders):
            raise UserError(f"{self._archive} was not unpacked: {plain!r} is a file and a folder in it; pack it again")
        self.folders.update(folder for folder in folders if folder != ".")
        if is_folder:
            return True
        if plain in self.files and self.files[plain] != content:
            raise differing(self._archive, plain)
        is_new = plain not in self.files
        self.files[plain] = content
        return is_new

    def require_free(self, name: str, path: Path) -> None:
        """Raise UserError if the file system has a file at the path of a new member."""
        if path.exists():
            raise UserError(
                f"{self._archive} was not unpacked: the name of its member {name!r} differs from another one only in "
                "case or accents, which this file system does not distinguish; unpack it on another one, or pack it "
                "again with other names"
            )


class Expansion:
    """Members and bytes that an archive expands to, each compared with the limits before anything is written.

    folder: on the disk that they are written to; None if they are only listed.
    """

    def __init__(self, archive: Path, allowed: Limits, folder: Path | None = None):
        self._archive, self._limits, self._folder = archive, allowed, folder
        self._compressed = archive.stat().st_size
        self._free_files = _free_files(folder) if folder else None
        self._count = self._size = 0

    def add(self, member: str, size: int) -> None:
        """Count a member, also if it is a copy of another one."""
        if size < 0:
            raise refused(self._archive, member, "has a negative size")
        self._count += 1
        self._size += size
        if self._count > self._limits.files:
            raise UserError(
                f"{self._archive} was not unpacked: it has more than {plural(self._limits.files, 'member')}; if you "
                "trust it, set the option `limits: {files: ...}` to their number, or pack several into one file"
            )
        if self._free_files is not None and self._count > self._free_files:
            raise UserError(
                f"{self._archive} was not unpacked: it has more than {plural(self._free_files, 'member')}, and the "
                f"disk of {self._folder} has no room for more files; remove some, or use another disk"
            )
        if problem := self._limits.expansion_problem(self._size, self._compressed):
            raise UserError(f"{self._archive} was not unpacked: {problem}")

    def require_space(self, size: int) -> None:
        """Raise StorageError if the disk has no room for so many more bytes."""
        if self._folder is not None:
            storage.require_space(self._folder.parent, size, f"the members of {self._archive}")


def _free_files(folder: Path) -> int | None:
    """Return how many files a disk has room for; None if it does not limit them."""
    facts = os.statvfs(folder)
    return facts.f_favail if facts.f_files else None


def refused(archive: Path, member: str, reason: str) -> UserError:
    """Return the error for a member that a harmless archive would not have."""
    return UserError(f"{archive} was not unpacked: its member {member!r} {reason}. Do not trust this archive")


def differing(archive: Path, member: str) -> UserError:
    """Return the error for two members of one name with different content."""
    return UserError(
        f"{archive} was not unpacked: it has two members named {member!r} with different content, and nothing says "
        "which is meant; pack it again"
    )
