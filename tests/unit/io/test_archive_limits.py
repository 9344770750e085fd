"""Limits of what an archive may expand to."""

import os
import struct
import tarfile
import warnings
import zipfile
from types import SimpleNamespace

import pytest
from archive_files import FILES, content_of, make, make_zip, refuses, zeros

from variability.errors import UserError
from variability.io import archives, limits
from variability.io.limits import Limits

KINDS = ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2"]


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz", "x.tar.xz", "x.tar.bz2"])
def test_an_archive_that_expands_a_thousandfold_is_refused_unless_the_limit_is_raised(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(limits, "HARMLESS_BYTES", 10**6)
    archive = make(tmp_path / kind, {"a/1": zeros(10**6), "a/2": zeros(2 * 10**6)})
    refuses(archive, tmp_path, "it expands to ", "times its size", "set the option `limits: {ratio: ")
    archives.extract(archive, tmp_path / "out", Limits(ratio=10**6))
    assert {name: len(content) for name, content in content_of(tmp_path / "out").items()} == {
        "a/1": 10**6,
        "a/2": 2 * 10**6,
    }


def test_small_archives_may_have_any_ratio(tmp_path):
    archives.extract(make(tmp_path / "x.zip", {"a": zeros(10**6)}), tmp_path / "out")
    assert (tmp_path / "out" / "a").stat().st_size == 10**6


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_more_members_than_the_limit_are_refused_unless_it_is_raised(tmp_path, kind):
    archive = make(tmp_path / kind, {f"a/{number}": b"" for number in range(11)})
    with pytest.raises(
        UserError, match=r"it has more than 10 members; if you trust it, set the option `limits: {files"
    ):
        archives.extract(archive, tmp_path / "out", Limits(files=10))
    archives.extract(archive, tmp_path / "out", Limits(files=11))
    assert len(content_of(tmp_path / "out")) == 11


def test_more_members_than_the_disk_has_room_for_are_refused(tmp_path, monkeypatch):
    facts = {"f_bavail": 10**6, "f_blocks": 10**6, "f_bfree": 10**6, "f_frsize": 4096}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_favail=2, f_files=100, **facts))
    refuses(make(tmp_path / "x.zip"), tmp_path, "more than 2 members", "no room for more files")
    # A disk that does not count its files.
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_favail=0, f_files=0, **facts))
    archives.extract(tmp_path / "x.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_copies_of_a_member_take_no_space_on_the_disk_and_count_otherwise(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            archive.writestr("a", b"a" * 1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2000))
    with pytest.raises(UserError, match="more than 4 members"):
        archives.extract(tmp_path / "x.zip", tmp_path / "out", Limits(files=4))
    archives.extract(tmp_path / "x.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a": b"a" * 1000}


def test_members_that_share_bytes_are_refused(tmp_path):
    """Twelve names for the same bytes: the list at the end names one member twelve times."""
    make_zip(tmp_path / "one.zip", {"a00": zeros(50_000)})
    content = (tmp_path / "one.zip").read_bytes()
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entries = b"".join(content[start:end].replace(b"a00", b"a%02d" % number) for number in range(12))
    tail = bytearray(content[end:])
    tail[8:12], tail[12:16] = struct.pack("<HH", 12, 12), struct.pack("<I", len(entries))
    (tmp_path / "one.zip").unlink()
    (tmp_path / "x.zip").write_bytes(content[:start] + entries + tail)
    refuses(tmp_path / "x.zip", tmp_path, "shares bytes with another, as in a zip bomb")
    with pytest.raises(UserError, match="shares bytes"):
        archives.zip_names(tmp_path / "x.zip")


@pytest.mark.parametrize(("kind", "name"), [("x.zip", ""), ("x.zip", "."), ("x.tar", "."), ("x.zip", "./.")])
def test_a_file_without_a_name_is_refused(tmp_path, kind, name):
    refuses(make(tmp_path / kind, {"a": b"a", name: b"b"}), tmp_path, "a member without a name")


def test_the_folder_itself_may_be_a_member(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("./", "./a"):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
    archives.extract(tmp_path / "x.tar", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, kind):
    refuses(make(tmp_path / kind, {"\u00e9" * 128: b"a"}), tmp_path, "has 256 bytes, and file systems allow 255")
    refuses(make(tmp_path / kind, {"a/" * 2000 + "b": b"a"}), tmp_path, "pack it again with shorter names")


def test_an_archive_inside_is_a_file_like_others(tmp_path):
    make_zip(tmp_path / "inner.zip", {"a": zeros(10**6)})
    inner = (tmp_path / "inner.zip").read_bytes()
    archives.extract(make(tmp_path / "x.zip", {"inner.zip": inner}), tmp_path / "out")
    assert content_of(tmp_path / "out") == {"inner.zip": inner}
