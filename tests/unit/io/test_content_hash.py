"""What files and folders contain is found out once, and again only when something about them changes."""

import os

import pytest

from variability.io import content_hash as module
from variability.io.content_hash import content_hash


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "data"
    (place / "cat").mkdir(parents=True)
    (place / "cat" / "1.txt").write_bytes(b"a" * 400_000)
    (place / "2.txt").write_bytes(b"b")
    return place


def edited(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_one_byte_in_the_middle_of_a_file_is_a_change(folder, tmp_path):
    for paths in ([folder], [folder / "cat" / "1.txt"], [folder / "2.txt", folder / "cat" / "1.txt"]):
        before = content_hash(paths, tmp_path / "memory")
        edited(folder / "cat" / "1.txt", 200_000)
        after = content_hash(paths, tmp_path / "memory")
        assert after != before
        edited(folder / "cat" / "1.txt", 200_000)
        assert content_hash(paths, tmp_path / "memory") == before


def test_an_edit_whose_time_was_set_back_is_a_change(folder, tmp_path):
    file = folder / "2.txt"
    before, stat = content_hash([folder], tmp_path / "memory"), file.stat()
    edited(file, 0)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_hash([folder], tmp_path / "memory") != before


def test_a_name_is_content_and_where_a_folder_lies_is_not(folder, tmp_path):
    before = content_hash([folder])
    (folder / "2.txt").rename(folder / "3.txt")
    renamed = content_hash([folder])
    assert renamed != before
    assert content_hash([folder.rename(tmp_path / "elsewhere")]) == renamed


def test_what_is_untouched_is_not_read_again_and_what_is_touched_is_the_same(folder, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(module, "sha256", lambda path, real=module.sha256: read.append(path.name) or real(path))
    first = content_hash([folder], tmp_path / "memory")
    assert sorted(read) == ["1.txt", "2.txt"]
    assert content_hash([folder], tmp_path / "memory") == first
    assert len(read) == 2
    os.utime(folder / "2.txt")
    assert content_hash([folder], tmp_path / "memory") == first
    assert len(read) == 4
    (tmp_path / "file").write_text("in the way")
    assert content_hash([folder], tmp_path / "file") == first, "what cannot be kept is found out each time"
