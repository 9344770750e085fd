"""All images that cannot be opened are listed before the first job, and looked at again only after a change."""

import numpy as np
import pytest
from PIL import Image

from variability.io import image_headers
from variability.io.artefacts import read_cached, write_record


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pictures(folder, *brightest, dtype=np.uint16):
    folder.mkdir()
    for index, value in enumerate(brightest):
        Image.fromarray(np.array([[0, value]], dtype)).save(folder / f"{index}.png")
    return folder, sorted(path.name for path in folder.iterdir())


def test_every_file_that_does_not_open_has_its_reason(tmp_path):
    folder, names = pictures(tmp_path / "x", 1, 2, 3, dtype=np.uint8)
    (folder / "1.png").write_bytes(b"")
    (folder / "2.png").unlink()
    assert image_headers.check(folder, names).unreadable == {
        "1.png": "it is empty",
        "2.png": "No such file or directory",
    }


def test_files_are_opened_again_only_after_a_change(tmp_path, monkeypatch):
    folder, names = pictures(tmp_path / "x", 1, 2, dtype=np.uint8)
    opened = []
    real = image_headers.image_files.open_file
    monkeypatch.setattr(image_headers.image_files, "open_file", lambda path, *_: opened.append(path.name) or real(path))
    first = image_headers.check(folder, names)
    assert first == image_headers.check(folder, names) == image_headers.Headers()
    assert sorted(opened) == names
    (folder / "1.png").write_bytes(b"other")
    assert list(image_headers.check(folder, names).unreadable) == ["1.png"]
    assert len(opened) == 4


@pytest.mark.parametrize("headers", [None, {}, {"unreadable": [], "range_problem": None}, {"unreadable": {"a": 1}}])
def test_a_stored_result_of_another_type_is_not_used(headers, tmp_path, monkeypatch):
    monkeypatch.setattr(image_headers, "_cache_file", lambda root: tmp_path / "entry.json")
    folder, names = pictures(tmp_path / "x", 1, dtype=np.uint8)
    image_headers.check(folder, names)
    write_record(tmp_path / "entry.json", read_cached(tmp_path / "entry.json") | {"headers": headers})
    assert image_headers.check(folder, names) == image_headers.Headers()


def test_images_of_sixteen_bits_that_use_few_of_them_need_a_range(tmp_path):
    folder, names = pictures(tmp_path / "x", 250, 260, 4095)
    problem = image_headers.check(folder, names).range_problem
    assert problem is not None and "no value above 4095" in problem and "range: [0, 4095]" in problem
    assert image_headers.check(folder, names, (0, 4095)).range_problem is None
    folder, names = pictures(tmp_path / "y", 250, 260, 4500)
    assert image_headers.check(folder, names).range_problem is None


def test_of_very_many_files_some_are_opened(tmp_path, monkeypatch):
    folder, names = pictures(tmp_path / "x", *range(9), dtype=np.uint8)
    for name in ("3.png", "4.png"):
        (folder / name).write_bytes(b"")
    monkeypatch.setattr(image_headers, "MOST_FILES", 3)
    assert list(image_headers.check(folder, names).unreadable) == ["3.png"]


def test_the_limit_of_pixels_is_part_of_the_check_and_of_what_is_stored(tmp_path):
    folder, names = pictures(tmp_path / "x", 1, 2, dtype=np.uint8)
    assert image_headers.check(folder, names, megapixels=1).unreadable == {}
    reasons = image_headers.check(folder, names, megapixels=1e-6).unreadable
    assert list(reasons) == names and all("the limit is 1e-06" in reason for reason in reasons.values())
