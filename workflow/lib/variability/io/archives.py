"""Unpacks archives that nobody vouches for: every member is checked, and a folder is whole or absent."""

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
from typing import IO

from variability.errors import UserError

_BROKEN = (EOFError, OSError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, RuntimeError)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``folder``; on success it is renamed to ``folder``, else removed."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        aside.chmod(folder.parent.stat().st_mode & 0o777)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Whether the name of a file is that of an archive ``extract`` can read."""
    name = Path(path).name.lower()
    return name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"))


def extract(archive: Path, folder: Path) -> None:
    """Unpacks a zip or tar (plain, gz, xz, bz2) archive into ``folder``, replacing it.

    Links, devices, absolute paths and ``..`` are refused, and so is more than the disk has room for. Raises UserError
    naming the archive and, where one is to blame, the member; nothing is then left behind.
    """
    archive = Path(archive)
    with replacing_folder(Path(folder)) as aside:
        try:
            # A tar that ends in a zip passes for a zip, so tar is asked first.
            if tarfile.is_tarfile(archive):
                _extract_tar(archive, aside)
            elif zipfile.is_zipfile(archive):
                _extract_zip(archive, aside)
            else:
                raise UserError(f"{archive} is not a zip or tar archive, or its end is missing; get it again")
        except _BROKEN as error:
            if isinstance(error, FileNotFoundError) and not archive.exists():
                raise UserError(f"there is no file {archive}") from error
            raise UserError(
                f"{archive} cannot be unpacked: {error or type(error).__name__}. It may be cut short; get it again"
            ) from error


def _extract_zip(archive: Path, folder: Path) -> None:
    room = _Room(archive, folder)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, member.filename, "is a link or a device")
            path = folder / _safe(archive, member.filename)
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            room.take(member.filename, member.file_size)
            with opened.open(member) as source:
                _write(source, path)


def _extract_tar(archive: Path, folder: Path) -> None:
    room = _Room(archive, folder)
    with tarfile.open(archive) as opened:
        for member in opened:
            path = folder / _safe(archive, member.name)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                room.take(member.name, member.size)
                _write(opened.extractfile(member), path)
            else:
                raise _refused(archive, member.name, "is a link or a device")
        # tarfile takes a file cut between two members for whole; a whole one goes on with blocks of zeros.
        opened.fileobj.seek(opened.offset)
        if not opened.fileobj.read(1):
            raise EOFError("its end is missing")


class _Room:
    """Counts down the free bytes of the disk as members claim them."""

    def __init__(self, archive: Path, folder: Path):
        self.archive = archive
        self.left = shutil.disk_usage(folder).free

    def take(self, member: str, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _refused(self.archive, member, "needs more room than the disk has left")


def _safe(archive: Path, name: str) -> PurePosixPath:
    # Read as a Windows path, since that also sees drives and backslashes.
    path = PureWindowsPath(name)
    if path.drive or path.root or ".." in path.parts or "\0" in name:
        raise _refused(archive, name, "leads outside the folder it is unpacked to")
    return PurePosixPath(name)


def _write(source: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _refused(archive: Path, member: str, reason: str) -> UserError:
    return UserError(f"{archive} was not unpacked: its member {member!r} {reason}. Do not trust this archive")
