"""Unpacking of untrusted archives: every member is checked, and the folder is complete or absent."""

import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import replace
from pathlib import Path
from typing import IO, Any

from variability.errors import UserError
from variability.io import storage, temporary_names, zip_files
from variability.io.archive_members import Expansion, Members, differing, refused
from variability.io.limits import DEFAULT, Limits

#: Longest record of a tar that is no member but describes the next one, such as a long name.
_LONGEST_RECORD = 1 << 20
#: Kinds of such records.
_RECORDS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder next to ``folder``; rename it to ``folder`` on success, remove it otherwise."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary_names.remove_abandoned(folder)
    temporary = Path(tempfile.mkdtemp(prefix=temporary_names.prefix(folder), dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(folder.parent.stat().st_mode & 0o777)
        if folder.exists():
            shutil.rmtree(folder)
        replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Return whether ``extract`` reads files with this suffix."""
    name = Path(path).name.lower()
    return name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"))


def extract(archive: Path, folder: Path, allowed: Limits = DEFAULT) -> None:
    """Unpack a zip or tar (plain, gz, xz, bz2) archive into ``folder``, replacing it.

    Backslashes separate the parts of a name, as in archives made by programs for Windows. A member that occurs twice
    with the same content is unpacked once; archives inside are files like others. Refuses members of one name that
    differ, or without a name, links, devices, absolute paths, ``..``, members that share their bytes, and more data or
    files than the limits allow or the disk has room for. Raises UserError naming the archive and the offending member,
    if there is one; then nothing is left behind.
    """
    archive = Path(archive)
    with replacing_folder(Path(folder)) as temporary, _readable(archive, "unpacked", " It may be truncated;"):
        # A tar that ends with a zip passes for a zip, so the check for tar comes first.
        if tar := _opened_tar(archive):
            with tar:
                _extract_tar(archive, tar, temporary, allowed)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _extract_zip(archive, opened, temporary, allowed)
        else:
            raise UserError(f"{archive} is not a zip or tar archive, or its end is missing; get it again")


def zip_names(archive: Path, allowed: Limits = DEFAULT) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders that ``extract`` would make of a zip, sorted by their parts.

    Only the list at the archive's end is read. Raises UserError as ``extract`` does.
    """
    archive, members = Path(archive), Members(Path(archive))
    with _readable(archive, "read", ";"), zipfile.ZipFile(archive) as opened:
        for _ in _zip_members(archive, opened, members, Expansion(archive, allowed)):
            pass
    return sorted(members.files, key=lambda name: name.split("/")), sorted(members.folders)


@contextmanager
def _readable(archive: Path, done: str, remedy: str) -> Iterator[None]:
    """Turn errors of the libraries into one that names the archive."""
    try:
        yield
    except UserError:
        raise
    except _UnsafeMember as error:
        raise UserError(f"{archive} was not unpacked: {error}. Do not trust this archive") from error
    # Damaged archives make the libraries raise nearly every exception.
    except Exception as error:
        if isinstance(error, FileNotFoundError) and not archive.exists():
            raise UserError(f"there is no file {archive}") from error
        if isinstance(error, OSError) and (problem := storage.explain(error)):
            raise problem from error
        separator = "." if remedy.startswith(" ") else ""
        raise UserError(
            f"{archive} cannot be {done}: {error or type(error).__name__}{separator}{remedy} get it again"
        ) from error


def _extract_zip(archive: Path, opened: zipfile.ZipFile, folder: Path, allowed: Limits) -> None:
    members, expansion = Members(archive), Expansion(archive, allowed, folder)
    # All are checked before the first is written.
    checked = list(_zip_members(archive, opened, members, expansion))
    expansion.require_space(sum(member.file_size for member, _, is_new in checked if is_new))
    for member, name, is_new in checked:
        path = folder / members.path(name)
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif is_new:
            members.require_free(name, path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, open(path, "xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _zip_members(
    archive: Path, opened: zipfile.ZipFile, members: Members, expansion: Expansion
) -> Iterator[tuple[zipfile.ZipInfo, str, bool]]:
    """Yield the members of a zip, with their names and whether they are new; refuse those that are unsafe."""
    if problem := zip_files.problem(opened):
        raise UserError(f"{archive} was not unpacked: {problem}")
    for member in opened.infolist():
        mode, name = member.external_attr >> 16, _zip_name(member)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refused(archive, name, "is a link or a device")
        is_new = members.add(name, name.endswith("/"), (member.CRC, member.file_size))
        expansion.add(name, member.file_size)
        yield member, name, is_new


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


def _opened_tar(archive: Path) -> tarfile.TarFile | None:
    """Open an archive as a tar; return None if it is none."""
    try:
        return tarfile.open(archive, tarinfo=_Member)
    except tarfile.ReadError:
        return None


class _UnsafeMember(Exception):
    """A header of a tar that a harmless one would not have."""


class _Member(tarfile.TarInfo):
    """A header of a tar; refuses those that would make the library read gigabytes, or go backwards."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0:
            raise _UnsafeMember(f"its member {member.name!r} has a negative size")
        if member.type in _RECORDS and member.size > _LONGEST_RECORD:
            raise _UnsafeMember(f"the description of a member has {member.size} bytes")
        return member


def _extract_tar(archive: Path, opened: tarfile.TarFile, folder: Path, allowed: Limits) -> None:
    members, expansion = Members(archive), Expansion(archive, allowed, folder)
    for member in opened:
        # The filter alone would strip the root of an absolute path, and allow links within the folder.
        name = member.name.replace("\\", "/")
        path = folder / members.path(name)
        if not (member.isdir() or member.isfile()):
            raise refused(archive, member.name, "is a link or a device")
        repeats = member.isfile() and members.is_file(name)
        expansion.add(name, member.size)
        if repeats:
            source = opened.extractfile(member)
            assert source is not None
            if not _equal(source, path):
                raise differing(archive, str(members.path(name)))
            continue
        members.add(name, member.isdir(), None)
        if member.isfile():
            expansion.require_space(member.size)
            members.require_free(name, path)
        try:
            # Times and permissions are those of new files, as for zip.
            opened.extract(member.replace(name=name, deep=False), folder, set_attrs=False, filter="data")
        except tarfile.FilterError as error:
            raise refused(archive, member.name, f"is unsafe ({error})") from error
    # tarfile accepts a file that is cut off between two members; a complete one continues with blocks of zeros.
    assert opened.fileobj is not None
    opened.fileobj.seek(opened.offset)
    if not opened.fileobj.read(1):
        raise EOFError("its end is missing")


def _equal(source: IO[bytes], path: Path) -> bool:
    """Return whether a member and a file have the same content."""
    with open(path, "rb") as file:
        while (block := source.read(1 << 20)) == file.read(1 << 20):
            if not block:
                return True
    return False
