"""Links are followed, loops are not, and everything that is left out has a name."""

import os

import pytest

from variability.io.folder_walk import walk


def write(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "root" / "b" / "1.txt")
    write(tmp_path / "root" / "a.txt")
    write(tmp_path / "elsewhere" / "deep" / "2.txt")
    return tmp_path / "root"


def test_files_behind_links_to_folders_files_and_links_are_listed_under_their_name_here(root, tmp_path):
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "middle").symlink_to(tmp_path / "elsewhere" / "deep")
    (root / "b" / "twice").symlink_to(tmp_path / "middle")
    (root / "d.txt").symlink_to(tmp_path / "elsewhere" / "deep" / "2.txt")
    below = walk(root)
    assert below.files == ["a.txt", "b/1.txt", "b/twice/2.txt", "c/deep/2.txt", "d.txt"]
    assert below.folders == ["b", "b/twice", "c", "c/deep"]
    assert dict(below.paths())["c/deep/2.txt"].read_text() == "x"


def test_a_root_that_is_a_link_is_entered(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert walk(tmp_path / "link").files == walk(root).files == ["a.txt", "b/1.txt"]


@pytest.mark.parametrize("target", [".", "..", "../../root", "../b"])
def test_a_link_to_a_folder_around_it_is_a_loop(root, target):
    (root / "b" / "again").symlink_to(target)
    below = walk(root)
    if target == "..":
        # b/again is the root, whose folder b is entered once more only if it were no loop.
        assert below.files == ["a.txt", "b/1.txt"]
    assert below.files == ["a.txt", "b/1.txt"] and below.loops == ["b/again"]


def test_links_that_lead_nowhere_are_dangling(root):
    (root / "b" / "gone.jpg").symlink_to("absent.jpg")
    (root / "self").symlink_to("self")
    below = walk(root)
    assert below.dangling == ["b/gone.jpg", "self"]
    assert below.files == ["a.txt", "b/1.txt"]


def test_hidden_files_are_named_and_entered_on_request(root):
    for name in (".DS_Store", "b/.cache/x.png", "b/@eaDir/1.png", "__MACOSX/._1.png"):
        write(root / name)
    below = walk(root)
    assert below.hidden == [".DS_Store", "__MACOSX", "b/.cache", "b/@eaDir"]
    assert below.files == ["a.txt", "b/1.txt"]
    assert "b/.cache/x.png" in walk(root, hidden=True).files


def test_pipes_are_named_and_not_opened(root):
    os.mkfifo(root / "pipe")
    assert walk(root).special == ["pipe"]


def test_closed_folders_are_named(root, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("variability.io.folder_walk.os.scandir", closed)
    below = walk(root)
    assert below.unreadable == ["b"] and below.files == ["a.txt"]
    assert walk(root / "absent").unreadable == ["."]


def test_two_links_to_one_folder_are_two_folders_unless_it_is_entered_once(root):
    for name in ("x", "y"):
        (root / name).symlink_to("b")
    assert [name for name in walk(root).files if name.endswith("1.txt")] == ["b/1.txt", "x/1.txt", "y/1.txt"]
    assert [name for name in walk(root, once=True).files if name.endswith("1.txt")] == ["b/1.txt"]


def test_the_order_is_that_of_the_parts_of_names(tmp_path):
    for name in ("a-b/1", "a/2", "a.b/3", "a/b/4", "B/5"):
        write(tmp_path / name)
    assert walk(tmp_path).files == ["B/5", "a/2", "a/b/4", "a-b/1", "a.b/3"]
