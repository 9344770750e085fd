import zipfile

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io import image_files
from variability.io.fetcher import Fetcher
from variability.io.files import read_json, sha256
from variability.stages.download import download
from variability.stages.prepare import prepare


def task(dataset="digits", options=None, size=12, color="rgb", **split):
    return {
        "name": "some",
        "dataset": dataset,
        "options": options or {},
        "kind": "classification",
        "modality": "image",
        "input": {"size": size, "color": color},
        "split": {"train": "all", "validation": 4, "test": 6, "seed": 0, "resample": False} | split,
    }


def photos(folder, count=10, classes=("left", "right"), suffix=".png"):
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((20, 30, 3), 20 * number % 200 + label, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}{suffix}")
    return folder


def test_the_result_does_not_depend_on_the_number_of_threads(tmp_path):
    source = photos(tmp_path / "photos", 150)
    for name, threads in (("one", 1), ("four", 4)):
        prepare(task("image_folder", {"path": str(source)}), None, tmp_path / name, threads)
    for name in ("inputs.npy", "examples.parquet", "task.json"):
        assert sha256(tmp_path / "one" / name) == sha256(tmp_path / "four" / name)


def test_grey_digits_fill_three_equal_channels_when_rgb_is_wanted(tmp_path):
    prepare(task(train=30), None, tmp_path)
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


def test_a_photo_that_does_not_decode_is_reported_and_nothing_is_left(tmp_path):
    source = photos(tmp_path / "photos", suffix=".jpg")
    broken = source / "left" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(UserError) as raised:
        prepare(task("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert str(broken) in str(raised.value)
    assert "does not decode" in str(raised.value) and "replace the file or remove it" in str(raised.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_split_larger_than_the_data_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"split.train.*5000.*1787"):
        prepare(task(train=5000), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_missing_from_training_is_reported(tmp_path):
    source = photos(tmp_path / "photos" / "train")
    photos(tmp_path / "photos" / "test", classes=("left", "right", "up"))
    with pytest.raises(UserError, match="'up'"):
        prepare(task("image_folder", {"path": str(source.parent)}, test="shipped"), None, tmp_path / "out")


def test_after_a_failure_no_earlier_task_is_left(tmp_path):
    source = photos(tmp_path / "photos")
    prepare(task("image_folder", {"path": str(source)}), None, tmp_path / "out")
    (source / "left" / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError):
        prepare(task("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert not (tmp_path / "out" / "task.json").exists()


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
    zipped(photos(tmp_path / "photos"), tmp_path / "mirror" / "photos-to-unpack.zip")
    folder, manifest = tmp_path / "data" / "files", tmp_path / "data" / "manifest.json"
    options = {"path": "photos-to-unpack.zip"}
    download("image_folder", options, folder, manifest, Fetcher([tmp_path / "mirror"]))
    written = read_json(manifest)
    assert written["options"] == options
    assert written["files"]["images/wrapped/left/3.png"] == sha256(tmp_path / "photos" / "left" / "3.png")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["files", "manifest.json"]
    prepare(task("image_folder", options), folder, tmp_path / "out")
    prepared = PreparedTask.open(tmp_path / "out" / "task.json")
    assert prepared.class_names == ["left", "right"]
    assert prepared.counts == {"train": 10, "validation": 4, "test": 6}


@pytest.mark.parametrize("missing", [".", "images/wrapped", "images/wrapped/left/3.png"])
def test_missing_downloads_are_reported_with_the_command_that_restores_them(tmp_path, missing):
    source = zipped(photos(tmp_path / "photos"), tmp_path / "photos.zip")
    folder, options = tmp_path / "data" / "files", {"path": str(source)}
    download("image_folder", options, folder, tmp_path / "data" / "manifest.json", Fetcher())
    (folder / missing).rename(tmp_path / "moved")
    with pytest.raises(UserError) as raised:
        prepare(task("image_folder", options), folder, tmp_path / "out")
    assert str(folder) in str(raised.value)
    assert "`snakemake --forcerun download`" in str(raised.value)


def test_a_postscript_program_named_like_a_photo_is_not_run(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **_: started.append(arguments))
    source = photos(tmp_path / "photos")
    Image.new("RGB", (20, 20)).save(source / "left" / "3.jpg", format="EPS")
    with pytest.raises(UserError, match=r"3\.jpg does not decode"):
        prepare(task("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert not started


def test_a_photo_with_the_suffix_of_another_format_is_read(tmp_path):
    Image.new("L", (4, 3), 7).save(tmp_path / "photo.jpg", format="PNG")
    assert (image_files.read_file(tmp_path / "photo.jpg") == 7).all()


def test_a_download_that_fails_leaves_neither_folder_nor_manifest(tmp_path):
    source = zipped(photos(tmp_path / "photos"), tmp_path / "photos.zip")
    options = {"path": str(source), "sha256": "0" * 64}
    with pytest.raises(UserError, match="not the file expected"):
        download("image_folder", options, tmp_path / "data" / "files", tmp_path / "data" / "manifest.json", Fetcher())
    assert list((tmp_path / "data").iterdir()) == []


def test_images_of_one_person_are_in_one_split(tmp_path):
    folder = photos(tmp_path / "photos", 30)
    rows = [f"{name}/{number}.png,{name},{number % 10}" for name in ("left", "right") for number in range(30)]
    (folder / "table.csv").write_text("\n".join(["image,label,person", *rows]) + "\n")
    options = {"path": str(folder / "table.csv"), "group": "person", "target": "class"}
    prepare(task("image_table", options, validation=0.2, test=0.2), None, tmp_path / "prepared")
    prepared = PreparedTask.open(tmp_path / "prepared" / "task.json")
    people = {split: set(prepared.groups[prepared.rows(split, 0)]) for split in ("train", "validation", "test")}
    assert {split: len(groups) for split, groups in people.items()} == {"train": 6, "validation": 2, "test": 2}
    assert len(set.union(*people.values())) == 10
    assert prepared.counts == {"train": 36, "validation": 12, "test": 12}
