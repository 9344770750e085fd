"""Files and folders are read once, and again only after a change of their contents or state."""

import hashlib
import json
import os

import pytest

from variability.io import content_hash as module
from variability.io.artefacts import read_cached, write_record
from variability.io.content_hash import content_hash


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    (data / "cat").mkdir(parents=True)
    (data / "cat" / "1.txt").write_bytes(b"a" * 400_000)
    (data / "2.txt").write_bytes(b"b")
    return data


def edit(path, index):
    data = bytearray(path.read_bytes())
    data[index] ^= 1
    path.write_bytes(bytes(data))


def test_one_byte_in_the_middle_of_a_file_is_a_change(folder, tmp_path):
    for paths in ([folder], [folder / "cat" / "1.txt"], [folder / "2.txt", folder / "cat" / "1.txt"]):
        before = content_hash(paths, tmp_path / "cache")
        edit(folder / "cat" / "1.txt", 200_000)
        after = content_hash(paths, tmp_path / "cache")
        assert after != before
        edit(folder / "cat" / "1.txt", 200_000)
        assert content_hash(paths, tmp_path / "cache") == before


def test_an_edit_with_an_old_modification_time_is_a_change(folder, tmp_path):
    file = folder / "2.txt"
    before, stat = content_hash([folder], tmp_path / "cache"), file.stat()
    edit(file, 0)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_hash([folder], tmp_path / "cache") != before


def test_names_are_hashed_and_the_path_of_the_folder_is_not(folder, tmp_path):
    before = content_hash([folder])
    (folder / "2.txt").rename(folder / "3.txt")
    renamed = content_hash([folder])
    assert renamed != before
    assert content_hash([folder.rename(tmp_path / "moved")]) == renamed


def test_unchanged_files_are_not_read_again_and_a_touch_changes_no_hash(folder, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(module, "sha256", lambda path, real=module.sha256: read.append(path.name) or real(path))
    first = content_hash([folder], tmp_path / "cache")
    assert sorted(read) == ["1.txt", "2.txt"]
    assert content_hash([folder], tmp_path / "cache") == first
    assert len(read) == 2
    os.utime(folder / "2.txt")
    assert content_hash([folder], tmp_path / "cache") == first
    assert len(read) == 4
    (tmp_path / "file").write_text("in the way")
    assert content_hash([folder], tmp_path / "file") == first, "without a writable cache the files are read every time"


def test_a_job_uses_the_checksum_of_a_start_only_lately_and_only_of_the_same_file(folder, tmp_path):
    file, cache = folder / "2.txt", tmp_path / "cache"
    assert module.recent_checksum(file, cache) is None
    content_hash([folder], cache)
    assert module.recent_checksum(file, cache) is None, "a folder's hash is not that of a file"
    content_hash([file], cache)
    expected = hashlib.sha256(b"b").hexdigest()
    assert module.recent_checksum(file, cache) == expected
    (entry,) = (path for path in cache.iterdir() if json.loads(path.read_text())["first"] == str(file))
    os.utime(entry, (0, 0))
    assert module.recent_checksum(file, cache) is None, "it was read long ago"
    os.utime(entry)
    assert module.recent_checksum(file, cache) == expected
    stat = file.stat()
    edit(file, 0)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert module.recent_checksum(file, cache) is None, "its content changed, and its time was set back"
    os.truncate(entry, 20)
    assert module.recent_checksum(file, cache) is None, "the record was cut short"


def test_a_stored_hash_of_another_type_is_not_used(folder, tmp_path):
    file, cache = folder / "2.txt", tmp_path / "cache"
    expected = content_hash([file], cache)
    (entry,) = cache.iterdir()
    write_record(entry, read_cached(entry) | {"sha256": None, "file": 5})
    assert module.recent_checksum(file, cache) is None
    assert content_hash([file], cache) == expected


def test_a_folder_without_files_has_a_hash(tmp_path):
    (tmp_path / "data").mkdir()
    assert content_hash([tmp_path / "data"], tmp_path / "cache") == content_hash([tmp_path / "data"])


def test_files_behind_links_are_part_of_the_content(folder, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "3.txt").write_bytes(b"c")
    (folder / "dog").symlink_to(real)
    before = content_hash([folder], tmp_path / "cache")
    (real / "4.txt").write_bytes(b"d")
    added = content_hash([folder], tmp_path / "cache")
    edit(real / "3.txt", 0)
    replaced = content_hash([folder], tmp_path / "cache")
    assert len({before, added, replaced}) == 3
    (real / "4.txt").unlink()
    edit(real / "3.txt", 0)
    assert content_hash([folder], tmp_path / "cache") == before


def test_a_link_that_begins_to_lead_somewhere_is_a_change(folder, tmp_path):
    (folder / "later.txt").symlink_to(tmp_path / "target")
    before = content_hash([folder], tmp_path / "cache")
    (tmp_path / "target").write_bytes(b"e")
    assert content_hash([folder], tmp_path / "cache") != before


def test_hidden_files_that_programs_write_are_no_change(folder, tmp_path):
    before = content_hash([folder], tmp_path / "cache")
    (folder / ".DS_Store").write_bytes(b"f")
    assert content_hash([folder], tmp_path / "cache") == before


def test_a_file_that_cannot_be_read_is_no_error_here(folder, tmp_path, monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    before = content_hash([folder])
    monkeypatch.setattr(module, "sha256", closed)
    assert content_hash([folder]) != before
