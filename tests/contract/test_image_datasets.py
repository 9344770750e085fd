"""Data sets of images: the examples that they read, and the options and files that they refuse."""

import zipfile

import numpy as np
import pytest
from data_sets import plugin, problems
from PIL import Image

from variability.errors import UserError
from variability.io.fetcher import Fetcher
from variability.io.files import sha256

# digits and glyphs --------------------------------------------------------------------------------------------------


def test_digits_equal_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    shipped, examples = load_digits(), plugin("digits").load(None)
    assert (examples.labels == shipped.target).all()
    read = np.stack([examples.read(index) for index in range(len(examples))])
    assert (read == np.round(shipped.images * 255 / 16)).all()


def test_glyphs_depend_on_their_seed_only():
    one, again, other = (
        plugin("glyphs", letters="aB", per_font=2, **more).load(None) for more in ({}, {}, {"seed": 1})
    )
    stacked = [np.stack([part.read(index) for index in range(len(part))]) for part in (one, again, other)]
    assert (stacked[0] == stacked[1]).all()
    assert (stacked[0] != stacked[2]).any()


def test_a_glyph_does_not_depend_on_the_other_glyphs():
    few = plugin("glyphs", letters="k", fonts=["cmr10"], per_font=1, target="family").load(None)
    many = plugin("glyphs", letters="abk", fonts=["sans", "cmr10"], per_font=3, target="family").load(None)
    assert (few.read(0) == many.read(len(many) - 3)).all()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"target": "letter"}, ["a", "b"]),
        ({"target": "letter", "case_sensitive": True}, ["A", "a", "b"]),
        ({"target": "case"}, ["lower", "upper"]),
        ({"target": "family"}, ["sans", "serif", "mono"]),
    ],
)
def test_glyphs_are_labelled_by_the_requested_target(options, names):
    assert plugin("glyphs", letters="abA", per_font=1, **options).load(None).class_names == names


def test_every_font_renders_every_letter_differently():
    still = dict.fromkeys(("rotation", "scale", "translation", "shear"), 0)
    examples = plugin("glyphs", per_font=1, jitter=still, size=48).load(None)
    rendered = np.stack([examples.read(index) for index in range(len(examples))]).reshape(20, 52, 48, 48)
    assert rendered.max(axis=(2, 3)).min() > 120
    for font in rendered:
        assert len({image.tobytes() for image in font}) == 52
    # Letters missing from a font would all be rendered as the same box.
    assert rendered[:, :, 0].max() == rendered[:, :, -1].max() == 0, "a letter touches the edge"


def test_test_fonts_do_not_occur_in_training():
    dataset = plugin("glyphs", letters="ab", per_font=1, test_fonts=["mono", "cmr10"], target="letter")
    assert dataset.size() == {"train": 28, "test": 12}
    assert list(dataset.load(None).partition) == ["train"] * 28 + ["test"] * 12


def test_glyph_options_that_make_no_task_are_refused():
    assert "none is left to train on" in problems("glyphs", test_fonts=["sans", "serif", "mono"])[0]
    assert "'mono' is left to train on" in problems("glyphs", target="family", test_fonts=["mono"])[0]
    assert "every image would be of class 'a'" in problems("glyphs", letters="aA")[0]


# npz ----------------------------------------------------------------------------------------------------------------


def test_arrays_have_their_partitions_labels_and_names(arrays):
    examples = plugin("npz", path=str(arrays), class_names=["ill", "well"]).load(None)
    assert list(examples.partition) == ["train"] * 12 + ["validation"] * 4 + ["test"] * 6
    assert examples.class_names == ["ill", "well"]
    assert (examples.read(12) == np.load(arrays)["val_images"][0]).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_labels": np.zeros((12, 3), int)}, "several labels per image"),
        ({"train_labels": np.zeros(5, int)}, "each of 12 images"),
        ({"train_images": np.zeros((12, 4, 4, 4), np.uint8)}, r"\(12, 4, 4, 4\)"),
        ({"train_images": np.zeros((12, 4, 4))}, "float64"),
        ({"train_images": np.array([object()] * 12)}, "plain arrays"),
        ({"train_labels": np.full(12, 7)}, "labels from 0 to 7"),
        ({"train_labels": np.full(12, -1)}, "labels from -1 to"),
        ({"train_labels": np.full(12, 2**63, np.uint64)}, "9223372036854775808, which is not the number of a class"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8), "train_labels": np.zeros(0, int)}, r"\(0, 8, 8\) and has no"),
        ({"train_images": np.zeros((12, 0, 8), np.uint8)}, "has no pixels"),
    ],
)
def test_arrays_of_another_layout_are_refused(arrays, changed, message):
    np.savez(arrays, **(dict(np.load(arrays)) | changed))
    with pytest.raises(UserError, match=message) as raised:
        plugin("npz", path=str(arrays), class_names=["ill", "well"]).load(None)
    assert str(arrays) in str(raised.value)


def test_there_are_no_more_classes_than_images(arrays):
    """A billion names of classes would take more memory than most machines have."""
    np.savez(arrays, **(dict(np.load(arrays)) | {"train_labels": np.full(12, 10**9)}))
    with pytest.raises(UserError, match=r"small\.npz has the label 1000000000, but only 22 images; .* correct"):
        plugin("npz", path=str(arrays)).load(None)


def test_a_local_npz_file_is_checked_before_the_first_job(arrays):
    assert problems("npz", path=str(arrays)) == []
    np.savez(arrays, train_images=np.array([object()]))
    (problem,) = problems("npz", path=str(arrays))
    assert f"{arrays} cannot be read" in problem and "has Python objects" in problem


def test_the_checksum_decides_between_files_of_one_name_which_are_refused_without_it(arrays, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    (tmp_path / "mirror" / "a" / "small.npz").write_bytes(b"another")
    arrays.rename(tmp_path / "mirror" / "b" / "small.npz")
    fetcher, wanted = Fetcher([tmp_path / "mirror"]), tmp_path / "mirror" / "b" / "small.npz"
    plugin("npz", path="small.npz", sha256=sha256(wanted)).download(tmp_path / "got", fetcher)
    assert sha256(tmp_path / "got" / "data.npz") == sha256(wanted)
    for name in ("npz", "image_folder"):
        with pytest.raises(UserError, match=r"different files named 'small\.npz'"):
            plugin(name, path="small.npz").download(tmp_path / "unsure", fetcher)


def test_a_damaged_npz_file_is_refused(arrays):
    arrays.write_bytes(arrays.read_bytes()[:-100])
    with pytest.raises(UserError, match="get it again"):
        plugin("npz", path=str(arrays)).load(None)
    arrays.rename(arrays.with_name("data.npz"))
    with pytest.raises(UserError, match=r"data\.npz .*`snakemake --forcerun download`"):
        plugin("npz", path="small.npz").load(arrays.parent)


@pytest.mark.parametrize("name", ["npz", "image_folder"])
def test_the_source_must_be_unique_and_exist(name, tmp_path):
    assert "either path" in problems(name)[0]
    assert "either path" in problems(name, path="x.zip", url="https://x.invalid/x.zip")[0]
    assert "must be verified" in problems(name, url="https://x.invalid/x.zip")[0]
    missing = problems(name, [tmp_path], path="absent-of-this-name.zip")[0]
    assert "absent-of-this-name.zip" in missing and str(tmp_path) in missing
    with zipfile.ZipFile(tmp_path / "absent-of-this-name.zip", "w") as archive:
        archive.writestr("a/1.png", b"")
        archive.writestr("b/1.png", b"")
    assert problems(name, [tmp_path], path="absent-of-this-name.zip") == []


# image_folder -------------------------------------------------------------------------------------------------------


def test_partition_folders_are_recognised_also_inside_another_folder(photos):
    outer = photos.parent / "outer"
    outer.mkdir()
    photos.rename(outer / "photos")
    (outer / "photos" / ".cache").mkdir()
    (outer / "photos" / "train" / "left" / "notes.txt").write_text("not an image")
    examples = plugin("image_folder", path=str(outer)).load(None)
    assert examples.class_names == ["left", "right"]
    assert sorted(examples.partition) == ["test"] * 4 + ["train"] * 4 + ["validation"] * 4


def test_class_folders_without_partitions_are_split_by_the_workflow(photos):
    assert set(plugin("image_folder", path=str(photos / "train")).load(None).partition) == {""}


def test_a_folder_with_neither_or_both_structures_is_refused(photos, tmp_path):
    (photos / "up").mkdir()
    with pytest.raises(UserError, match=r"'up'.*not both"):
        plugin("image_folder", path=str(photos)).load(None)
    (photos / "up").rename(photos / "train" / "up")
    with pytest.raises(UserError, match="up holds no images"):
        plugin("image_folder", path=str(photos)).load(None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no class folder"):
        plugin("image_folder", path=str(tmp_path / "empty")).load(None)


def test_a_path_that_is_neither_a_directory_nor_an_archive_is_refused(tmp_path):
    assert "archive; there is nothing of this name" in problems("image_folder", path=str(tmp_path / "typo"))[0]
    (tmp_path / "photo.png").write_bytes(b"")
    assert problems("image_folder", path=str(tmp_path / "photo.png"))[0].endswith("zip or tar archive")


def test_the_check_of_a_config_lists_what_a_folder_lacks(photos):
    assert problems("image_folder", path=str(photos)) == []
    assert plugin("image_folder", path=str(photos)).size() == {"train": 4, "validation": 4, "test": 4}
    (photos / "test" / "Left").mkdir()
    (photos / "test" / "Left" / "1.png").symlink_to("nowhere.png")
    (photos / "test" / "up").mkdir()
    (photos / "train" / "left" / "empty.jpg").write_bytes(b"")
    messages = problems("image_folder", path=str(photos))
    assert "path: 2 of 14 images cannot be read" in messages[0]
    assert "Left/1.png (a link without a target)" in messages[0] and "empty.jpg (it is empty)" in messages[0]
    assert "test/Left" in messages[1] and "test/up hold no images" in messages[1]
    assert len(problems("image_folder", path=str(photos), unreadable="skip")) == 1


def test_the_check_of_a_config_lists_what_a_local_zip_lacks(photos, tmp_path):
    import shutil

    (photos / "test" / "up").mkdir()
    (photos / "test" / "up" / "1.png").write_bytes(b"")
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    assert "1 of the classes of test has no folder for training: 'up'" in problems("image_folder", path=archive)[0]
    assert problems("image_folder", path=archive, partitions={"test": "ignore"}) == []


def test_a_link_that_was_stored_as_text_is_not_lost(photos):
    (photos / "train" / "left" / "more").write_text("../../val/left")
    assert "train/left/more: the text of these files is the path" in problems("image_folder", path=str(photos))[0]


def test_names_with_special_characters_are_read(photos):
    odd = photos.parent / "my {photos} $1 [x] ü"
    photos.rename(odd)
    (odd / "train" / "left").rename(odd / "train" / "{left} $x")
    for part in ("val", "test"):
        (odd / part / "left").rename(odd / part / "{left} $x")
    assert problems("image_folder", path=str(odd)) == []
    assert plugin("image_folder", path=str(odd)).load(None).class_names == ["right", "{left} $x"]


def test_a_folder_is_another_partition_by_the_config(photos):
    examples = plugin("image_folder", path=str(photos), partitions={"val": "test", "test": "ignore"}).load(None)
    assert sorted(set(examples.partition)) == ["test", "train"] and len(examples) == 8


# glyphs as numbers ----------------------------------------------------------------------------------------------------


def test_the_label_of_a_glyph_is_its_angle_of_rotation():
    """Measure the angle by the direction in which the pixels are spread most."""
    alone = {"rotation": 40, "scale": 0, "translation": 0, "shear": 0}
    options = {"letters": "l", "fonts": ["cmss10"], "per_font": 12, "size": 128, "jitter": alone, "target": "rotation"}
    examples = plugin("glyphs", **options).load(None)
    assert examples.class_names == [] and examples.labels.dtype == np.float64
    assert examples.labels.min() < -10 and examples.labels.max() > 10
    for index, angle in enumerate(examples.labels):
        ink = examples.read(index).astype(float)
        row, column = np.indices(ink.shape)
        x, y = column - (ink * column).sum() / ink.sum(), (ink * row).sum() / ink.sum() - row
        spread = np.array([[(ink * a * b).sum() for a in (x, y)] for b in (x, y)])
        along = np.linalg.eigh(spread)[1][:, 1]
        # An upright stroke points up; one turned anticlockwise points to the left of that.
        turned = np.rad2deg(np.arctan2(*(along * np.sign(along[1]) * [-1, 1])))
        assert turned == pytest.approx(angle, abs=0.5)


def test_the_target_does_not_change_the_images():
    numbers, letters = (plugin("glyphs", per_font=2, **more).load(None) for more in ({"target": "rotation"}, {}))
    assert len(numbers) == len(letters)
    assert all((numbers.read(index) == letters.read(index)).all() for index in range(0, len(numbers), 97))
    assert plugin("glyphs", target="rotation").kinds() == ("regression",)
    assert plugin("glyphs").kinds() == ("classification",)


def test_glyphs_without_rotation_cannot_have_it_as_a_target():
    assert "allow some degrees" in problems("glyphs", target="rotation", jitter={"rotation": 0})[0]
    assert problems("glyphs", target="rotation", letters="aA") == []


def test_images_without_the_suffix_of_an_image_are_named(tmp_path):
    for name in ("cat/1.png", "dog/1.png", "cat/other", "dog/1.png.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with open(tmp_path / name, "wb") as file:
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    (tmp_path / "cat/notes.txt").write_text("no image")
    examples = plugin("image_folder", path=str(tmp_path)).load(None)
    (remark,) = examples.remarks
    assert len(examples) == 2
    assert remark.startswith(
        "2 images are not read, because their names have no suffix of an image: cat/other, dog/1.png"
    )


def test_folders_that_were_links_are_one_problem(tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        (tmp_path / "originals" / name).parent.mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "originals" / name)
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        # As git writes a link where links are not possible.
        (tmp_path / "data" / split).write_text("../originals")
    (problem,) = problems("image_folder", path=str(tmp_path / "data"))
    assert "data/test" in problem and "data/train: the text of these files is the path of a folder" in problem
