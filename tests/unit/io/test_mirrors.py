import hashlib
import os

import pytest

from variability.errors import UserError
from variability.io import mirrors


def test_mirrors_come_from_the_config_then_from_the_environment(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    environ = {"VARIABILITY_MIRROR": os.pathsep.join(map(str, folders[1:]))}
    assert mirrors.mirrors_from([str(folders[0])], environ) == folders


def test_a_missing_mirror_is_reported_with_its_source(tmp_path):
    with pytest.raises(UserError, match=r"VARIABILITY_MIRROR: '.*nowhere' is not a directory"):
        mirrors.mirrors_from([], {"VARIABILITY_MIRROR": str(tmp_path / "nowhere")})


def test_the_path_of_a_file_has_priority_over_mirrors(tmp_path, monkeypatch):
    (tmp_path / "mirror/deep").mkdir(parents=True)
    (tmp_path / "mirror/deep/net.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    path = mirrors.find_file("weights/net.safetensors", [tmp_path / "mirror"])
    assert path == tmp_path / "mirror/deep/net.safetensors"
    assert mirrors.find_file("mirror/deep/net.safetensors", []).is_file()
    assert mirrors.find_file("other.safetensors", [tmp_path / "mirror"]) is None


def write(folder, content, name="net.pth"):
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_the_checksum_decides_between_files_of_one_name(tmp_path):
    write(tmp_path / "a", b"first")
    expected = write(tmp_path / "b" / "deep", b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    folders = [tmp_path / "a", tmp_path / "b"]
    assert mirrors.get_file("net.pth", folders, f"sha256:{digest}") == expected
    with pytest.raises(UserError, match="not the file expected") as raised:
        mirrors.get_file("net.pth", folders, "sha256:" + "0" * 64)
    assert str(expected) in str(raised.value)


def test_without_a_checksum_only_copies_may_have_one_name(tmp_path):
    first = write(tmp_path / "mirror" / "a", b"first")
    write(tmp_path / "mirror" / "b", b"first")
    assert mirrors.get_file("net.pth", [tmp_path / "mirror"]) == first
    other = write(tmp_path / "mirror" / "c", b"other")
    with pytest.raises(UserError, match="give its sha256") as raised:
        mirrors.get_file("net.pth", [tmp_path / "mirror"])
    assert str(first) in str(raised.value) and str(other) in str(raised.value)


def test_the_checksum_of_a_file_at_its_path_is_verified(tmp_path):
    path = write(tmp_path / "a", b"first")
    assert mirrors.get_file(str(path), [], "md5:" + hashlib.md5(b"first").hexdigest()) == path
    with pytest.raises(UserError, match="not the file expected"):
        mirrors.get_file(str(path), [], "md5:" + "0" * 32)


def test_a_name_is_not_interpreted_as_a_pattern(tmp_path):
    path = write(tmp_path / "mirror", b"first", "net[1].pth")
    assert mirrors.find_file("net[1].pth", [tmp_path / "mirror"]) == path
    assert mirrors.find_file("*.pth", [tmp_path / "mirror"]) is None


def test_folders_behind_links_are_searched_once(tmp_path):
    expected = write(tmp_path / "disk" / "weights", b"first")
    (tmp_path / "mirror").mkdir()
    for name in ("a", "b"):
        (tmp_path / "mirror" / name).symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "mirror")
    index = mirrors.Index([tmp_path / "mirror"])
    assert [path.resolve() for path in index.named("net.pth")] == [expected]
    assert mirrors.get_file("net.pth", [tmp_path / "mirror"]) == tmp_path / "mirror" / "a" / "weights" / "net.pth"


def test_a_path_with_a_typing_mistake_gets_the_name_in_its_folder(tmp_path):
    (tmp_path / "reviews.csv").write_text("")
    message = mirrors.missing_file(str(tmp_path / "review.csv"), [])
    assert message.endswith(f"(none is set); did you mean {str(tmp_path / 'reviews.csv')!r}?")
    for path in ("nothing-like-it", "gone/review.csv", "reviews.csv/review.csv", "null\0.csv"):
        assert mirrors.missing_file(str(tmp_path / path), []).endswith("; see VARIABILITY_MIRROR")
    assert mirrors.did_you_mean(str(tmp_path / "reviews.csv")) == ""
