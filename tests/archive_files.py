"""Archives of small files for the tests, and the check that one is refused without a trace."""

import io
import tarfile
import zipfile

import pytest

from variability.errors import UserError
from variability.io import archives

FILES = {"top/a.txt": b"a" * 5000, "top/deep/b.txt": b"", "c.txt": bytes(range(256)) * 64}


def make_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            # The library itself does not write an empty name.
            archive.writestr(name or zipfile.ZipInfo(""), content)


def make_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def make(path, files=FILES):
    if path.suffix == ".zip":
        make_zip(path, files)
    else:
        make_tar(path, files, {".tar": "w", ".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix])
    return path


def content_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuses(archive, tmp_path, *parts):
    with pytest.raises(UserError) as raised:
        archives.extract(archive, tmp_path / "out")
    assert all(part in str(raised.value) for part in (str(archive), *parts))
    assert [path.name for path in tmp_path.iterdir()] == [archive.name], "an incomplete file or folder was left"


def zeros(count):
    return b"\0" * count
