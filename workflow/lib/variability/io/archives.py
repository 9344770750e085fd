"""Unpacking of untrusted archives: every member is checked, and the folder is complete or absent."""

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from variability.errors import UserError

_BROKEN = (EOFError, OSError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, RuntimeError)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder next to ``folder``; rename it to ``folder`` on success, remove it otherwise."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(folder.parent.stat().st_mode & 0o777)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Return whether ``extract`` reads files with this suffix."""
    name = Path(path).name.lower()
    return name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"))


def extract(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar (plain, gz, xz, bz2) archive into ``folder``, replacing it.

    Backslashes separate the parts of a name, as in archives made by programs for Windows. A member that occurs twice
    with the same content is unpacked once. Refuses members of one name that differ, links, devices, absolute paths,
    ``..``, and more data than the disk has room for. Raises UserError naming the archive and the offending member, if
    there is one; then nothing is left behind.
    """
    archive = Path(archive)
    with replacing_folder(Path(folder)) as temporary:
        try:
            # A tar that ends with a zip passes for a zip, so the check for tar comes first.
            if tarfile.is_tarfile(archive):
                _extract_tar(archive, temporary)
            elif zipfile.is_zipfile(archive):
                _extract_zip(archive, temporary)
            else:
                raise UserError(f"{archive} is not a zip or tar archive, or its end is missing; get it again")
        except _BROKEN as error:
            if isinstance(error, FileNotFoundError) and not archive.exists():
                raise UserError(f"there is no file {archive}") from error
            raise UserError(
                f"{archive} cannot be unpacked: {error or type(error).__name__}. It may be truncated; get it again"
            ) from error


def zip_names(archive: Path) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders that ``extract`` would make of a zip, sorted by their parts.

    Only the list at the archive's end is read. Raises UserError as ``extract`` does.
    """
    members = _Members(Path(archive))
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                name = _zip_name(member)
                members.add(name, name.endswith("/"), (member.CRC, member.file_size))
    except _BROKEN as error:
        raise UserError(f"{archive} cannot be read: {error or type(error).__name__}; get it again") from error
    return sorted(members.files, key=lambda name: name.split("/")), sorted(members.folders)


def _extract_zip(archive: Path, folder: Path) -> None:
    space, members = _DiskSpace(archive, folder), _Members(archive)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode, name = member.external_attr >> 16, _zip_name(member)
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, name, "is a link or a device")
            if member.flag_bits & 1:
                raise UserError(f"{archive} is encrypted; unpack it yourself and name the folder")
            is_new = members.add(name, name.endswith("/"), (member.CRC, member.file_size))
            path = folder / members.path(name)
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
            elif is_new:
                space.reserve(name, member.file_size)
                members.require_free(name, path)
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(path, "xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name with ``/`` between its parts.

    Programs for Windows write backslashes. Names without the mark of UTF-8 are in that encoding nevertheless, as macOS
    writes them, if they can be; otherwise in code page 437, as the format defines it.
    """
    name = member.filename
    if not member.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _extract_tar(archive: Path, folder: Path) -> None:
    space, members = _DiskSpace(archive, folder), _Members(archive)
    with tarfile.open(archive) as opened:
        for member in opened:
            # The filter alone would strip the root of an absolute path, and allow links within the folder.
            name = member.name.replace("\\", "/")
            path = folder / members.path(name)
            if not (member.isdir() or member.isfile()):
                raise _refused(archive, member.name, "is a link or a device")
            if member.isfile() and members.is_file(name):
                source = opened.extractfile(member)
                assert source is not None
                if not _equal(source, path):
                    raise _twice(archive, str(members.path(name)))
                continue
            members.add(name, member.isdir(), None)
            if member.isfile():
                space.reserve(name, member.size)
                members.require_free(name, path)
            try:
                # Times and permissions are those of new files, as for zip.
                opened.extract(member.replace(name=name, deep=False), folder, set_attrs=False, filter="data")
            except tarfile.FilterError as error:
                raise _refused(archive, member.name, f"is unsafe ({error})") from error
        # tarfile accepts a file that is cut off between two members; a complete one continues with blocks of zeros.
        assert opened.fileobj is not None
        opened.fileobj.seek(opened.offset)
        if not opened.fileobj.read(1):
            raise EOFError("its end is missing")


class _Members:
    """The members of an archive so far: each path is one file or one folder.

    files: names with what identifies their content, None if that is not known. folders: names, also of those that only
    occur in the names of files.
    """

    def __init__(self, archive: Path):
        self._archive = archive
        self.files: dict[str, object] = {}
        self.folders: set[str] = set()

    def path(self, name: str) -> PurePosixPath:
        """Return a member's relative path; raise UserError if it leads out of the folder."""
        # A Windows path also detects drives and backslashes.
        path = PureWindowsPath(name)
        if path.drive or path.root or ".." in path.parts or "\0" in name:
            raise _refused(self._archive, name, "leads outside the folder it is unpacked to")
        return PurePosixPath(name)

    def is_file(self, name: str) -> bool:
        """Return whether there was a file of this name."""
        return str(self.path(name)) in self.files

    def add(self, name: str, is_folder: bool, content: object) -> bool:
        """Add a member; return whether it is new. Raises UserError if another one with the same path differs."""
        path = self.path(name)
        plain = str(path)
        folders = [str(parent) for parent in path.parents if parent.parts] + ([plain] if is_folder else [])
        if any(folder in self.files for folder in folders) or (not is_folder and plain in self.folders):
            raise UserError(f"{self._archive} was not unpacked: {plain!r} is a file and a folder in it; pack it again")
        self.folders.update(folder for folder in folders if folder != ".")
        if is_folder:
            return True
        if plain in self.files and self.files[plain] != content:
            raise _twice(self._archive, plain)
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


class _DiskSpace:
    """The free bytes of the disk, reduced by each member."""

    def __init__(self, archive: Path, folder: Path):
        self._archive = archive
        self._free = shutil.disk_usage(folder).free

    def reserve(self, member: str, size: int) -> None:
        self._free -= size
        if self._free < 0:
            raise _refused(self._archive, member, "needs more space than is left on the disk")


def _refused(archive: Path, member: str, reason: str) -> UserError:
    return UserError(f"{archive} was not unpacked: its member {member!r} {reason}. Do not trust this archive")


def _equal(source: IO[bytes], path: Path) -> bool:
    """Return whether a member and a file have the same content."""
    with open(path, "rb") as file:
        while (block := source.read(1 << 20)) == file.read(1 << 20):
            if not block:
                return True
    return False


def _twice(archive: Path, member: str) -> UserError:
    return UserError(
        f"{archive} was not unpacked: it has two members named {member!r} with different content, and nothing says "
        "which is meant; pack it again"
    )
