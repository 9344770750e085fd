import os

import pytest

from variability.io import files


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "table.csv"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_written_file_has_the_default_permissions(tmp_path):
    files.write_text(tmp_path / "ours", "")
    (tmp_path / "default").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "default").stat().st_mode


def test_equal_values_make_equal_files_and_digests(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": 1, "y": [2]})
    files.write_json(tmp_path / "b.json", {"y": [2], "x": 1})
    assert files.sha256(tmp_path / "a.json") == files.sha256(tmp_path / "b.json")
    assert files.digest({"x": 1, "y": 2}) == files.digest({"y": 2, "x": 1}) != files.digest({"x": 2, "y": 1})


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []
