"""Partitions and classes follow from the names of folders; what is ambiguous is refused with its names."""

import pytest

from variability.data.datasets._class_folders import arrange, split_of


def arranged(*files, partitions=None, empty=()):
    folders = {*empty}
    for file in files:
        parts = file.split("/")[:-1]
        folders |= {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return arrange("photos", sorted(files), sorted(folders), partitions)


def classes(*folders, suffix=".png"):
    return [f"{folder}/{name}/1{suffix}" for folder in folders for name in ("cat", "dog")]


def splits_of(result):
    assert result.problems == []
    return {file: split for file, split, _ in result.files}


def test_class_folders_may_be_nested_and_have_images_of_several_formats():
    result = arranged("cat/1.jpg", "cat/site a/2.PNG", "dog/3.tiff", "dog/{v2} $x/ü.jfif", "dog/notes.txt")
    assert result.problems == []
    assert result.files == [
        ("cat/1.jpg", "", "cat"),
        ("cat/site a/2.PNG", "", "cat"),
        ("dog/3.tiff", "", "dog"),
        ("dog/{v2} $x/ü.jfif", "", "dog"),
    ]
    assert result.class_names == ["cat", "dog"] and result.others == ["dog/notes.txt"]


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Training_Set", "train"), ("val", "validation"), ("valid", "validation"),
     ("dev", "validation"), ("test-images", "test"), ("testset", "test"), (" TEST ", "test"), ("cats", None),
     ("train_extra", None), ("set", None)],
)  # fmt: skip
def test_partition_folders_have_usual_names(name, split):
    assert split_of(name) == split


def test_partitions_with_usual_names_are_detected_below_other_folders():
    files = classes("data/v1/training_set/images", "data/v1/test_set/images")
    expected = {file: "train" if "training" in file else "test" for file in files}
    assert splits_of(arranged(*files)) == expected


def test_a_folder_is_assigned_to_a_partition_by_the_config():
    files = classes("train", "val")
    assert set(splits_of(arranged(*files, partitions={"val": "test"})).values()) == {"train", "test"}
    files = classes("2019", "2020", "2021", "raw")
    wanted = {"2019": "train", "2020": "train", "2021": "val", "raw": "ignore"}
    result = arranged(*files, partitions=wanted)
    assert {file.split("/")[0]: split for file, split in splits_of(result).items()} == {
        "2019": "train",
        "2020": "train",
        "2021": "validation",
    }
    assert result.ignored == classes("raw")


@pytest.mark.parametrize(
    ("folders", "partitions", "message"),
    [
        (("train", "tset"), {"test": "test"}, r"names 'test', and photos has no such folder; did you mean 'tset'"),
        (
            ("train", "val", "test"),
            {"val": "test"},
            r"another one with that name; name it, too, such as `test: ignore`",
        ),
        (("a", "b"), {"a": "test"}, r"holds 'b', which partitions does not name"),
        (("val", "test"), {"val": "test", "test": "ignore"}, "no folder for training"),
        (("train", "up"), None, r"'up'.*not both.*partitions: \{up: ignore\}"),
        (("train", "dev", "val"), None, "'dev' and 'val', which are both for validation"),
        (("val", "test"), None, "no folder for training that contains class folders"),
        (("ILSVRC_train", "holdout"), None, r"partitions: \{ILSVRC_train: train, holdout: ignore\}"),
    ],
)
def test_ambiguous_partitions_are_refused_by_name(folders, partitions, message):
    import re

    problems = arranged(*classes(*folders), partitions=partitions).problems
    assert any(re.search(message, problem) for problem in problems), problems


def test_a_class_may_have_the_name_of_a_partition():
    result = arranged("train/1.png", "airplane/1.png", "test/2.png")
    assert result.problems == [] and result.class_names == ["airplane", "test", "train"]


def test_partitions_without_class_folders_are_refused():
    assert "photos/test has no class folder" in arranged(*classes("train"), "test/1.png").problems
    assert "named like partitions" in arranged("train/1.png", "test/1.png").problems[0]


def test_images_outside_of_class_folders_are_listed():
    result = arranged(*classes("train", "test"), "cover.jpg", "train/loose.png")
    assert result.problems == [] and result.ignored == ["cover.jpg", "train/loose.png"]


def test_empty_classes_classes_unseen_in_training_and_colliding_names_are_refused_together():
    files = [*classes("train"), "test/Dog/1.png", "test/cat/1.png", "test/fox/1.png", "train/bird/1.heic"]
    problems = arranged(*files).problems
    assert len(problems) == 3
    assert problems[0].startswith("photos/train/bird holds no images")
    assert "'Dog' and 'dog' of photos differ only in case" in problems[1]
    # Not 'Dog', of which the second problem is.
    assert "1 of the classes of test has no folder for training: 'fox'" in problems[2]


def test_a_test_partition_may_lack_classes():
    assert arranged(*classes("train"), "test/cat/1.png").problems == []


def test_images_in_formats_that_are_not_read_are_listed():
    assert arranged(*classes("a/b"), "a/b/cat/2.HEIC").other_formats == ["a/b/cat/2.HEIC"]


def test_one_class_is_refused():
    assert "one class folder" in arranged("cat/1.png").problems[0]
    assert "no class folder" in arranged("1.png").problems[0]


@pytest.mark.parametrize("names", [("inner.zip", "inner.TAR.GZ"), ("a/inner.zip", "b/inner.TAR.GZ")])
def test_archives_inside_are_named_where_there_are_no_images(names):
    (problem,) = arranged(*names).problems
    assert all(f"photos/{name}" in problem for name in names) and "unpack it yourself" in problem
