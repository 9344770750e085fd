import os

import pytest

from variability import mirrors
from variability.errors import UserError


def test_mirrors_come_from_the_config_then_from_the_environment(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    environ = {"VARIABILITY_MIRROR": os.pathsep.join(map(str, folders[1:]))}
    assert mirrors.mirrors_from([str(folders[0])], environ) == folders


def test_a_mirror_that_is_not_there_is_an_error_naming_where_it_was_set(tmp_path):
    with pytest.raises(UserError, match=r"VARIABILITY_MIRROR: '.*nowhere' is not a directory"):
        mirrors.mirrors_from([], {"VARIABILITY_MIRROR": str(tmp_path / "nowhere")})


def test_a_file_is_taken_from_its_path_before_a_mirror(tmp_path, monkeypatch):
    (tmp_path / "mirror/deep").mkdir(parents=True)
    (tmp_path / "mirror/deep/net.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    found = mirrors.find_file("weights/net.safetensors", [tmp_path / "mirror"])
    assert found == tmp_path / "mirror/deep/net.safetensors"
    assert mirrors.find_file("mirror/deep/net.safetensors", []).is_file()
    assert mirrors.find_file("other.safetensors", [tmp_path / "mirror"]) is None
