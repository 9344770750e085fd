import errno
import stat
import struct
import tarfile
import warnings
import zipfile
from types import SimpleNamespace

import pytest
from archive_files import FILES, content_of, make, make_tar, make_zip, refuses, zeros

from variability.errors import UserError
from variability.io import archives

KINDS = ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2"]


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_of_any_format_is_unpacked(tmp_path, name):
    archives.extract(make(tmp_path / name), tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES
    assert archives.is_archive(tmp_path / name)


def test_an_existing_folder_is_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale.txt").write_text("old")
    archives.extract(make(tmp_path / "x.zip"), tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_a_tar_that_ends_in_a_zip_is_unpacked_as_a_tar(tmp_path):
    make_zip(tmp_path / "inner.zip", FILES, zipfile.ZIP_STORED)
    inner = (tmp_path / "inner.zip").read_bytes()
    make_tar(tmp_path / "x.tar", {"a.txt": b"a", "inner.zip": inner})
    archives.extract(tmp_path / "x.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a.txt": b"a", "inner.zip": inner}


@pytest.mark.parametrize(
    "member", ["../evil.txt", "/tmp/evil.txt", "top/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_a_member_that_leads_outside_is_refused(tmp_path, kind, member):
    (tmp_path / "in").mkdir()
    archive = make(tmp_path / "in" / kind, {"good.txt": b"good", member: b"evil"})
    refuses(archive, tmp_path / "in", repr(member.replace("\\", "/")), "outside")
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("strange")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refuses(tmp_path / "x.tar", tmp_path, "'strange'", "link or a device")


def test_a_link_in_a_zip_is_refused(tmp_path):
    member = zipfile.ZipInfo("strange")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    refuses(tmp_path / "x.zip", tmp_path, "'strange'", "link or a device")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("fraction", [0.3, 0.8, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, name, fraction):
    files = {
        f"{number}.txt": bytes((number * 7 + index * index) % 251 for index in range(4000)) for number in range(20)
    }
    archive = make(tmp_path / name, files)
    whole = archive.read_bytes()
    archive.write_bytes(
        whole[: int(len(whole) * fraction)] if name != "x.tar" or fraction < 0.9 else whole[: 20 * 4608]
    )
    refuses(archive, tmp_path, "get it again")


def test_a_damaged_member_is_refused(tmp_path):
    archive = tmp_path / "x.zip"
    make_zip(archive, FILES, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"aaaa", b"aaba", 1))
    refuses(archive, tmp_path, "CRC")


def test_two_members_of_one_name_are_refused(tmp_path):
    make_tar(tmp_path / "data.tar", {"a.txt": b"1"})
    make_tar(tmp_path / "data.tar", {"a.txt": b"2"}, "a")
    refuses(tmp_path / "data.tar", tmp_path, "two members named 'a.txt'")


def test_a_file_that_is_not_an_archive_is_refused(tmp_path):
    (tmp_path / "x.zip").write_text("<html>not found</html>")
    refuses(tmp_path / "x.zip", tmp_path, "not a zip or tar archive")


def test_a_missing_archive_is_reported(tmp_path):
    with pytest.raises(UserError, match="no file"):
        archives.extract(tmp_path / "absent.zip", tmp_path / "out")


def test_more_than_the_free_space_is_refused_before_it_is_written(tmp_path, monkeypatch):
    archive = make(tmp_path / "x.zip")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=6000))
    refuses(archive, tmp_path, "the members of ", "need 21.4 kB and the disk of ", "has 6 kB left")


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    with pytest.raises(RuntimeError), archives.replacing_folder(tmp_path / "out") as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# Names of members -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_backslashes_separate_folders(tmp_path, kind):
    files = {"photos\\a\\1.jpg": b"1", "photos\\b\\2.jpg": b"2"}
    archives.extract(make(tmp_path / kind, files), tmp_path / "out")
    assert content_of(tmp_path / "out") == {"photos/a/1.jpg": b"1", "photos/b/2.jpg": b"2"}


def test_a_folder_of_a_zip_may_end_with_a_backslash(tmp_path):
    make_zip(tmp_path / "x.zip", {"photos\\": b"", "photos\\a.txt": b"a"})
    archives.extract(tmp_path / "x.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"photos/a.txt": b"a"}


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
@pytest.mark.parametrize("name", ["a/1.jpg", "a\\1.jpg", "./a/1.jpg"])
def test_a_member_that_occurs_twice_is_unpacked_once_if_it_is_the_same(tmp_path, kind, name):
    def write(second):
        if kind == "x.tar":
            make_tar(tmp_path / kind, {"a/1.jpg": b"one", "b": b"b"})
            make_tar(tmp_path / kind, {name: second}, "a")
            return
        with zipfile.ZipFile(tmp_path / kind, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for member, content in (("a/1.jpg", b"one"), ("b", b"b"), (name, second)):
                archive.writestr(member, content)

    write(b"one")
    archives.extract(tmp_path / kind, tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a/1.jpg": b"one", "b": b"b"}
    archives.shutil.rmtree(tmp_path / "out")
    write(b"two")
    refuses(tmp_path / kind, tmp_path, "two members named 'a/1.jpg' with different content")


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path, kind):
    refuses(make(tmp_path / kind, {"a/1": b"1", "a/1/2": b"2"}), tmp_path, "'a/1/2' is a file and a folder")


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_names_that_differ_in_case_are_two_files_where_the_file_system_has_both(tmp_path, kind, monkeypatch):
    files = {"a/1.jpg": b"1", "A/1.jpg": b"2"}
    archives.extract(make(tmp_path / kind, files), tmp_path / "out")
    assert content_of(tmp_path / "out") == files
    archives.shutil.rmtree(tmp_path / "out")
    # A file system that does not distinguish case.
    exists = archives.Path.exists
    monkeypatch.setattr(
        archives.Path,
        "exists",
        lambda path: exists(path) or exists(path.parent.parent / path.parent.name.lower() / path.name),
    )
    refuses(tmp_path / kind, tmp_path, "'A/1.jpg' differs from another one only in case")


def stored_as(path, name, encoding, flag):
    """Write a zip whose member has the name in an encoding, with or without the mark of UTF-8."""
    stand_in = "x" * len(name.encode(encoding))
    make_zip(path, {f"{stand_in}/1.jpg": b"1"})
    data = path.read_bytes().replace(stand_in.encode(), name.encode(encoding))
    if flag:
        data = data.replace(b"PK\3\4\x14\0\0\0", b"PK\3\4\x14\0\0\x08").replace(
            b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\0\x08"
        )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("encoding", "flag"), [("utf-8", True), ("utf-8", False), ("cp437", False)])
def test_names_with_accents_are_read_in_the_encodings_of_the_format(tmp_path, encoding, flag):
    archives.extract(stored_as(tmp_path / "x.zip", "caf\u00e9", encoding, flag), tmp_path / "out")
    assert list(content_of(tmp_path / "out")) == ["caf\u00e9/1.jpg"]


def test_the_names_of_a_zip_are_those_that_it_is_unpacked_to(tmp_path):
    make_zip(tmp_path / "x.zip", {"b\\2.jpg": b"2", "a/1.jpg": b"1", "a/empty/": b""})
    assert archives.zip_names(tmp_path / "x.zip") == (["a/1.jpg", "b/2.jpg"], ["a", "a/empty", "b"])
    make_zip(tmp_path / "y.zip", {"..\\2.jpg": b"2"})
    with pytest.raises(UserError, match="outside"):
        archives.zip_names(tmp_path / "y.zip")
    (tmp_path / "z.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-10])
    with pytest.raises(UserError, match="get it again"):
        archives.zip_names(tmp_path / "z.zip")


def test_an_encrypted_zip_is_refused_as_such(tmp_path):
    make_zip(tmp_path / "x.zip", {"1.jpg": b"1"})
    data = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(
        data.replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\1").replace(b"PK\1\2\x14\x03\x14\0\0", b"PK\1\2\x14\x03\x14\0\1")
    )
    refuses(tmp_path / "x.zip", tmp_path, "is encrypted")


# Limits ---------------------------------------------------------------------------------------------------------------


def with_flag(path, flag=0, method=None):
    """Set bits, or another method of compression, in both headers of a zip's only member."""
    content = bytearray(path.read_bytes())
    for start, offset in ((content.index(b"PK\3\4"), 6), (content.index(b"PK\1\2"), 8)):
        content[start + offset] |= flag
        if method is not None:
            content[start + offset + 2 : start + offset + 4] = struct.pack("<H", method)
    path.write_bytes(content)
    return path


def test_an_encrypted_zip_is_refused_when_it_is_listed_and_unpacked(tmp_path):
    with_flag(make(tmp_path / "x.zip", {"a": b"a"}), flag=1)
    refuses(tmp_path / "x.zip", tmp_path, "it is encrypted; unpack it yourself")
    with pytest.raises(UserError, match="it is encrypted"):
        archives.zip_names(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("method", "name"), [(9, "deflate64"), (12, "bzip2"), (14, "lzma"), (93, "zstd"), (98, "98"), (99, "AES")]
)
def test_a_zip_of_another_method_is_refused_by_its_name(tmp_path, method, name):
    with_flag(make(tmp_path / "x.zip", {"a": b"a"}), method=method)
    refuses(tmp_path / "x.zip", tmp_path, f"compressed by the method {name}, which is not read")


def test_a_zip_whose_name_is_not_in_its_encoding_is_refused(tmp_path):
    make_zip(tmp_path / "x.zip", {"\u00e9": b"a"})
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace("\u00e9".encode(), b"\xff\xfe"))
    refuses(tmp_path / "x.zip", tmp_path, "get it again")


def test_a_zip_that_is_larger_than_it_states_is_refused(tmp_path):
    make_zip(tmp_path / "x.zip", {"a": zeros(50_000)})
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace(struct.pack("<I", 50_000), struct.pack("<I", 10)))
    refuses(tmp_path / "x.zip", tmp_path, "get it again")


def tar_header(name, kind, size):
    """Return a header whose size is any number, negative ones in the notation of GNU tar."""
    member = tarfile.TarInfo(name)
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size % 256**12).to_bytes(12, "big") if size < 0 else b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_record_of_a_tar_is_not_read_into_memory_if_it_is_large(tmp_path, kind):
    (tmp_path / "x.tar").write_bytes(tar_header("a", kind, 2**32) + b"\0" * 10240)
    refuses(tmp_path / "x.tar", tmp_path, "the description of a member has 4294967296 bytes", "Do not trust")


def test_a_negative_size_in_a_tar_is_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_header("a", tarfile.REGTYPE, -512) + b"\0" * 10240)
    refuses(tmp_path / "x.tar", tmp_path, "negative size")


def test_a_negative_size_in_an_extended_header_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"size": "-1024"}
        archive.addfile(member)
    refuses(tmp_path / "x.tar", tmp_path, "negative size")


def test_a_sparse_file_counts_with_its_full_size(tmp_path):
    """A file of one terabyte of which a tar holds nothing."""
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1"}
        archive.addfile(member)
    refuses(tmp_path / "x.tar", tmp_path, "it expands to 1 TB")


def test_a_full_disk_is_not_a_broken_archive(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match=r"is full .* then run the same command again"):
        archives.extract(make(tmp_path / "x.zip"), tmp_path / "out")
