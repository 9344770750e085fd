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
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

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

    Refuses links, devices, absolute paths, ``..``, and more data than the disk has room for. Raises UserError naming
    the archive and the offending member, if there is one; then nothing is left behind.
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


def _extract_zip(archive: Path, folder: Path) -> None:
    space = _DiskSpace(archive, folder)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, member.filename, "is a link or a device")
            path = folder / _inside(archive, member.filename)
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            space.reserve(member.filename, member.file_size)
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, open(path, "xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _extract_tar(archive: Path, folder: Path) -> None:
    space = _DiskSpace(archive, folder)
    with tarfile.open(archive) as opened:
        for member in opened:
            # The filter alone would strip the root of an absolute path, and allow links within the folder.
            path = folder / _inside(archive, member.name)
            if not (member.isdir() or member.isfile()):
                raise _refused(archive, member.name, "is a link or a device")
            if member.isfile() and path.exists():
                raise FileExistsError(f"it has two members named {member.name!r}")
            space.reserve(member.name, member.size)
            try:
                # Times and permissions are those of new files, as for zip.
                opened.extract(member, folder, set_attrs=False, filter="data")
            except tarfile.FilterError as error:
                raise _refused(archive, member.name, f"is unsafe ({error})") from error
        # tarfile accepts a file that is cut off between two members; a complete one continues with blocks of zeros.
        assert opened.fileobj is not None
        opened.fileobj.seek(opened.offset)
        if not opened.fileobj.read(1):
            raise EOFError("its end is missing")


class _DiskSpace:
    """The free bytes of the disk, reduced by each member."""

    def __init__(self, archive: Path, folder: Path):
        self._archive = archive
        self._free = shutil.disk_usage(folder).free

    def reserve(self, member: str, size: int) -> None:
        self._free -= size
        if self._free < 0:
            raise _refused(self._archive, member, "needs more space than is left on the disk")


def _inside(archive: Path, name: str) -> PurePosixPath:
    """Return a member's relative path; raise UserError if it leads out of the folder."""
    # A Windows path also detects drives and backslashes.
    path = PureWindowsPath(name)
    if path.drive or path.root or ".." in path.parts or "\0" in name:
        raise _refused(archive, name, "leads outside the folder it is unpacked to")
    return PurePosixPath(name)


def _refused(archive: Path, member: str, reason: str) -> UserError:
    return UserError(f"{archive} was not unpacked: its member {member!r} {reason}. Do not trust this archive")
