"""Preparing a task of images: scaling and colours, archives, and images that cannot be read."""

import zipfile

import numpy as np
import pytest
from data_sets import class_folders, task_spec
from PIL import EpsImagePlugin, Image

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io import image_files
from variability.io.fetcher import Fetcher
from variability.io.files import read_json, sha256
from variability.stages.download import download
from variability.stages.prepare import prepare


def pictures(folder, count, offset=0):
    """Images that are all different, also from those of another offset below 5."""
    for label, name in enumerate(("left", "right")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((20, 30, 3), 5 * number + 2 * offset + label, np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def test_grey_digits_fill_three_equal_channels_when_rgb_is_wanted(tmp_path):
    prepare(task_spec(train=30), None, tmp_path)
    stored = PreparedTask.open(tmp_path / "task.json").inputs
    assert stored.shape == (40, 3, 12, 12)
    assert (stored[:, 0] == stored[:, 1]).all() and (stored[:, 1] == stored[:, 2]).all()


def test_the_shorter_side_is_scaled_and_the_centre_cropped():
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 12:28] = 200
    assert (image_files.fit(wide, 5, "rgb") == 200).all()
    assert image_files.fit(wide, 5, "grey").shape == (1, 5, 5)
    assert image_files.fit(wide.transpose(1, 0, 2), 5, "rgb").shape == (3, 5, 5)


def test_downscaling_averages_instead_of_skipping_pixels():
    chequers = np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255
    assert np.abs(image_files.fit(chequers, 8, "grey").astype(int) - 127).max() < 6


def test_an_image_of_the_right_size_is_stored_unchanged():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (image_files.fit(image, 8, "grey")[0] == image).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "HSV"])
def test_images_of_any_mode_become_grey_or_rgb(mode):
    grey = Image.new("L", (4, 3), 255)
    image = Image.new("I;16", (4, 3), 65535) if mode == "I;16" else grey.convert("RGB").convert(mode)
    array = image_files.to_array(image)
    assert array.dtype == np.uint8
    assert array.shape == ((3, 4) if mode in ("1", "L", "LA", "I;16") else (3, 4, 3))
    assert array.min() > 250


def test_a_photo_is_rotated_by_its_exif_orientation(tmp_path):
    upright = np.zeros((20, 10, 3), dtype=np.uint8)
    upright[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright, 1)).save(tmp_path / "photo.png", exif=exif)
    assert (image_files.read_file(tmp_path / "photo.png") == upright).all()


def test_a_photo_with_the_suffix_of_another_format_is_read(tmp_path):
    Image.new("L", (4, 3), 7).save(tmp_path / "photo.jpg", format="PNG")
    assert (image_files.read_file(tmp_path / "photo.jpg") == 7).all()


def test_class_folders_behind_links_are_read(tmp_path):
    real = pictures(tmp_path / "real", 10)
    (tmp_path / "photos").mkdir()
    for name in ("left", "right"):
        (tmp_path / "photos" / name).symlink_to(real / name)
    (real / "left" / "more").mkdir()
    (tmp_path / "extra").mkdir()
    (real / "left" / "0.png").rename(tmp_path / "extra" / "0.png")
    (real / "left" / "more" / "linked").symlink_to(tmp_path / "extra")
    prepare(task_spec("image_folder", {"path": str(tmp_path / "photos")}, test="all", train=4), None, tmp_path / "out")
    assert PreparedTask.open(tmp_path / "out" / "task.json").counts == {"train": 4, "validation": 4, "test": 12}


# Archives and downloads -----------------------------------------------------------------------------------------------


def zipped(folder, archive):
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(folder.rglob("*")):
            opened.write(path, f"wrapped/{path.relative_to(folder)}")
        opened.writestr("__MACOSX/wrapped/._1.png", "junk")
        opened.writestr("wrapped/left/.hidden.png", "junk")
        opened.writestr("LICENCE", "text")
    return archive


def test_an_archive_named_in_the_config_is_found_in_a_mirror_unpacked_and_prepared(tmp_path):
    (tmp_path / "mirror").mkdir()
    zipped(class_folders(tmp_path / "photos"), tmp_path / "mirror" / "photos-to-unpack.zip")
    folder, manifest = tmp_path / "data" / "files", tmp_path / "data" / "manifest.json"
    options = {"path": "photos-to-unpack.zip"}
    download("image_folder", options, folder, manifest, Fetcher([tmp_path / "mirror"]))
    written = read_json(manifest)
    assert written["options"] == options
    assert written["files"]["images/wrapped/left/3.png"] == sha256(tmp_path / "photos" / "left" / "3.png")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["files", "manifest.json"]
    prepare(task_spec("image_folder", options), folder, tmp_path / "out")
    prepared = PreparedTask.open(tmp_path / "out" / "task.json")
    assert prepared.class_names == ["left", "right"]
    assert prepared.counts == {"train": 10, "validation": 4, "test": 6}


@pytest.mark.parametrize("missing", [".", "images/wrapped", "images/wrapped/left/3.png"])
def test_missing_downloads_are_reported_with_the_command_that_restores_them(tmp_path, missing):
    source = zipped(class_folders(tmp_path / "photos"), tmp_path / "photos.zip")
    folder, options = tmp_path / "data" / "files", {"path": str(source)}
    download("image_folder", options, folder, tmp_path / "data" / "manifest.json", Fetcher())
    (folder / missing).rename(tmp_path / "moved")
    with pytest.raises(UserError) as raised:
        prepare(task_spec("image_folder", options), folder, tmp_path / "out")
    assert str(folder) in str(raised.value)
    assert "`snakemake --forcerun download`" in str(raised.value)


def test_a_download_that_fails_leaves_neither_folder_nor_manifest(tmp_path):
    source = zipped(class_folders(tmp_path / "photos"), tmp_path / "photos.zip")
    options = {"path": str(source), "sha256": "0" * 64}
    with pytest.raises(UserError, match="not the file expected"):
        download("image_folder", options, tmp_path / "data" / "files", tmp_path / "data" / "manifest.json", Fetcher())
    assert list((tmp_path / "data").iterdir()) == []


def test_an_archive_made_on_windows_is_prepared(tmp_path):
    source = pictures(tmp_path / "photos", 6)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(source.rglob("*.png")):
            archive.writestr("my photos\\" + "\\".join(path.relative_to(source).parts), path.read_bytes())
    options = {"path": str(tmp_path / "photos.zip")}
    download("image_folder", options, tmp_path / "data" / "files", tmp_path / "data" / "manifest.json", Fetcher())
    prepare(
        task_spec("image_folder", options, train=4, validation=2, test="all"),
        tmp_path / "data" / "files",
        tmp_path / "o",
    )
    prepared = PreparedTask.open(tmp_path / "o" / "task.json")
    assert prepared.class_names == ["left", "right"] and prepared.counts["test"] == 6


# Images that cannot be read -------------------------------------------------------------------------------------------


def test_a_photo_that_does_not_decode_is_reported_and_nothing_is_left(tmp_path):
    source = class_folders(tmp_path / "photos", suffix=".jpg")
    broken = source / "left" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(UserError) as raised:
        prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert str(broken) in str(raised.value)
    assert "1 of 20 images cannot be read" in str(raised.value) and "replace or remove" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_postscript_program_named_like_a_photo_is_not_run(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **_: started.append(arguments))
    source = class_folders(tmp_path / "photos")
    Image.new("RGB", (20, 20)).save(source / "left" / "3.jpg", format="EPS")
    with pytest.raises(UserError, match=r"3\.jpg \(it has none of the formats"):
        prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert not started


def test_examples_that_no_split_takes_are_in_the_log(tmp_path, caplog):
    caplog.set_level("INFO")
    source = pictures(tmp_path / "photos" / "train", 20)
    pictures(tmp_path / "photos" / "val", 10, offset=1)
    (source / "left" / "3.png").write_bytes(b"")
    options = {"path": str(tmp_path / "photos"), "unreadable": "skip"}
    prepare(task_spec("image_folder", options, train=20, validation=0.5, test="all"), None, tmp_path / "out")
    # A fraction of the validation folder is half of its 20 images; the test is what is left of 39 in training.
    assert "20 train, 10 validation, 19 test, 10 in none of these, 2 classes" in caplog.text
    prepare(task_spec("image_folder", options, train="all", validation="all", test=5), None, tmp_path / "out")
    assert "34 train, 20 validation, 5 test, 2 classes" in caplog.text


def test_all_images_that_do_not_decode_are_listed_at_once(tmp_path):
    source = pictures(tmp_path / "photos", 20)
    broken = [source / name / f"{number}.png" for name in ("left", "right") for number in range(13)]
    for path in broken:
        # The header is whole: only decoding shows the damage.
        path.write_bytes(path.read_bytes()[:-30])
    everything = task_spec("image_folder", {"path": str(source)}, train=30, validation=4, test="all")
    with pytest.raises(UserError) as raised:
        prepare(everything, None, tmp_path / "out")
    message = str(raised.value)
    assert "some: 26 of 40 examples cannot be read" in message and "and 6 more" in message
    assert sum(str(path) in message for path in broken) == 20
    assert list((tmp_path / "out").iterdir()) == []


def test_unreadable_images_are_left_out_and_counted_on_request(tmp_path):
    source = pictures(tmp_path / "photos", 20)
    prepare(task_spec("image_folder", {"path": str(source)}, test="all", train=20), None, tmp_path / "whole")
    (source / "left" / "3.png").write_bytes((source / "left" / "3.png").read_bytes()[:-30])
    (source / "right" / "5.png").write_bytes(b"")
    (source / "right" / "gone.jpg").symlink_to("nowhere")
    (source / "right" / "phone.heic").write_bytes(b"heic")
    options = {"path": str(source), "unreadable": "skip"}
    prepare(task_spec("image_folder", options, test="all", train=20), None, tmp_path / "out")
    prepared = PreparedTask.open(tmp_path / "out" / "task.json")
    written = read_json(tmp_path / "out" / "task.json")
    assert written["left_out"] == {"cannot be read": 4} and len(written["unreadable"]) == 4
    for name in ("left/3.png", "right/5.png", "right/gone.jpg", "right/phone.heic"):
        assert any(name in reason for reason in written["unreadable"])
    assert prepared.counts == {"train": 20, "validation": 4, "test": 14}
    # Sorted as text, 3 is the 14th of its folder and 5 the 16th.
    assert not {13, 35} & set(prepared.example_ids.tolist())
    whole = PreparedTask.open(tmp_path / "whole" / "task.json")
    assert whole.counts == {"train": 20, "validation": 4, "test": 16}
    ids = [set(part.example_ids[part.rows("train", 0)]) for part in (whole, prepared)]
    assert len(ids[0] - ids[1]) <= 2, "the other examples keep their split"


def test_rows_of_a_table_without_an_image_are_left_out_and_counted_on_request(tmp_path):
    folder = pictures(tmp_path / "photos", 12)
    rows = [f"{name}/{number}.png,{name}" for name in ("left", "right") for number in range(12)]
    rows[4], rows[7] = "absent.png,left", "left/7.png,"
    (folder / "table.csv").write_text("\n".join(["image,label", *rows]) + "\n")
    options = {"path": str(folder / "table.csv"), "target": "class"}
    with pytest.raises(UserError) as raised:
        prepare(task_spec("image_table", options), None, tmp_path / "out")
    message = str(raised.value)
    assert "2 of 24 rows cannot be used" in message
    assert "line 6 names 'absent.png'" in message and "line 9 has no value in 'label'" in message
    prepare(task_spec("image_table", options | {"unreadable": "skip"}, test="all", train=10), None, tmp_path / "out")
    prepared = PreparedTask.open(tmp_path / "out" / "task.json")
    assert prepared.counts == {"train": 10, "validation": 4, "test": 8}
    assert read_json(tmp_path / "out" / "task.json")["left_out"] == {"cannot be read": 2}
    assert not {4, 7} & set(prepared.example_ids.tolist())
