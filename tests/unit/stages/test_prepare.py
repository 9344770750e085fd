"""Preparing a task: its splits, groups, equal examples and sources."""

import numpy as np
import pytest
from data_sets import class_folders, task_spec
from PIL import Image

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io import image_files
from variability.io.files import read_json, sha256
from variability.stages.prepare import prepare


def test_the_result_does_not_depend_on_the_number_of_threads(tmp_path):
    source = class_folders(tmp_path / "photos", 150)
    for name, threads in (("one", 1), ("four", 4)):
        prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / name, threads)
    for name in ("inputs.npy", "examples.parquet", "task.json"):
        assert sha256(tmp_path / "one" / name) == sha256(tmp_path / "four" / name)


def test_a_split_larger_than_the_data_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"split.train.*5000.*1787"):
        prepare(task_spec(train=5000), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_missing_from_training_is_reported(tmp_path):
    source = class_folders(tmp_path / "photos" / "train")
    class_folders(tmp_path / "photos" / "test", classes=("left", "right", "up"))
    with pytest.raises(UserError, match="'up'"):
        prepare(task_spec("image_folder", {"path": str(source.parent)}, test="shipped"), None, tmp_path / "out")


def test_after_a_failure_no_earlier_task_is_left(tmp_path):
    source = class_folders(tmp_path / "photos")
    prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / "out")
    (source / "left" / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError):
        prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / "out")
    assert not (tmp_path / "out" / "task.json").exists()


def test_images_of_one_person_are_in_one_split(tmp_path):
    folder = class_folders(tmp_path / "photos", 30)
    rows = [f"{name}/{number}.png,{name},{number % 10}" for name in ("left", "right") for number in range(30)]
    (folder / "table.csv").write_text("\n".join(["image,label,person", *rows]) + "\n")
    options = {"path": str(folder / "table.csv"), "group": "person", "target": "class"}
    prepare(task_spec("image_table", options, validation=0.2, test=0.2), None, tmp_path / "prepared")
    prepared = PreparedTask.open(tmp_path / "prepared" / "task.json")
    people = {split: set(prepared.groups[prepared.rows(split, 0)]) for split in ("train", "validation", "test")}
    assert {split: len(groups) for split, groups in people.items()} == {"train": 6, "validation": 2, "test": 2}
    assert len(set.union(*people.values())) == 10
    assert prepared.counts == {"train": 36, "validation": 12, "test": 12}


# Equal examples -----------------------------------------------------------------------------------------------------


def texts(folder, rows, name="texts.csv"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


def prepared_texts(path, target, **split):
    spec = task_spec("text_table", {"path": str(path)}, **split) | {"modality": "text", "input": {"max_length": 8}}
    prepare(spec, None, target)
    return PreparedTask.open(target / "task.json"), read_json(target / "task.json")


def contents_of(prepared, seed=0):
    stored = np.array(prepared.inputs).tobytes().split(b"\xff")[:-1]
    rows = {split: prepared.rows(split, seed) for split in ("train", "validation", "test")}
    return {split: {stored[row] for row in rows[split]} for split in rows}


@pytest.mark.parametrize(
    "split",
    [{}, {"train": 20}, {"train": 20, "resample": True}, {"train": 6, "validation": 2, "test": 2}, {"validation": 0.3}],
)
def test_a_text_that_occurs_twice_is_in_one_split(tmp_path, split):
    rows = [(f"text {number}", "ab"[number % 2]) for number in range(30)]
    texts(tmp_path / "data", rows * 2)
    prepared, written = prepared_texts(tmp_path / "data" / "texts.csv", tmp_path / "out", **split)
    for seed in range(3):
        contents = contents_of(prepared, seed)
        assert not contents["train"] & contents["test"]
        assert not contents["train"] & contents["validation"]
        assert not contents["validation"] & contents["test"]
    assert written["counts"]["test"] == split.get("test", 6)
    assert written["duplicates"].get("test_in_training", 0) == 0


def test_without_equal_texts_nothing_is_reported_and_the_split_is_the_same(tmp_path):
    texts(tmp_path / "data", [(f"text {number}", "ab"[number % 2]) for number in range(60)])
    path = tmp_path / "data" / "texts.csv"
    default, written = prepared_texts(path, tmp_path / "out")
    allowed, _ = prepared_texts(path, tmp_path / "allowed", duplicates="allow")
    assert written["duplicates"] == {} and default.sha256 == allowed.sha256
    assert (default.contents == default.example_ids).all()


def test_many_equal_texts_do_not_stop_preparing(tmp_path):
    texts(tmp_path / "data", [(f"text {number % 12}", "ab"[number % 2]) for number in range(600)])
    prepared, _ = prepared_texts(tmp_path / "data" / "texts.csv", tmp_path / "out", train=6, validation=2, test=2)
    contents = contents_of(prepared)
    assert not contents["train"] & (contents["test"] | contents["validation"])
    assert not contents["validation"] & contents["test"]


def test_a_test_copied_from_training_is_refused_by_name(tmp_path, caplog):
    source = class_folders(tmp_path / "data" / "train", 8)
    for name in ("left", "right"):
        (tmp_path / "data" / "test" / name).mkdir(parents=True)
        for path in (source / name).iterdir():
            # As another file: what counts is the picture.
            Image.open(path).save(tmp_path / "data" / "test" / name / f"copy {path.stem}.bmp")
    spec = task_spec("image_folder", {"path": str(tmp_path / "data")}, test="shipped", size=16)
    with pytest.raises(UserError) as raised:
        prepare(spec, None, tmp_path / "out")
    message = str(raised.value)
    assert "of the 16 test examples also occur in training" in message
    assert "train/left/0.png" in message and "copy" in message and "split.duplicates" in message
    assert not (tmp_path / "out" / "task.json").exists()
    prepare(spec | {"split": spec["split"] | {"duplicates": "allow"}}, None, tmp_path / "out")
    assert "test examples also occur in training" in caplog.text
    counted = read_json(tmp_path / "out" / "task.json")["duplicates"]
    assert counted["test_in_training"] + counted["test_in_validation"] == 16


def test_a_few_known_examples_are_counted_and_may_be_dropped(tmp_path):
    rows = [(f"text {number}", "ab"[number % 2]) for number in range(40)]
    texts(tmp_path / "data", rows, "train.csv")
    # One of them with other blanks.
    known = [rows[5], (" text  6\u00a0", "a")]
    texts(tmp_path / "data", [*known, *((f"new {number}", "ab"[number % 2]) for number in range(18))], "test.csv")
    # The four validation examples are sampled from the training examples, and one of them is in the test, too.
    for policy, train in (("group", 36), ("drop", 34)):
        _, written = prepared_texts(
            tmp_path / "data", tmp_path / policy, test="shipped", validation=4, duplicates=policy
        )
        assert written["counts"] == {"train": train, "validation": 4, "test": 20}
        counted = written["duplicates"]
        assert counted["test_in_training"] + counted["test_in_validation"] == (2 if policy == "group" else 0)
    with pytest.raises(UserError, match="2 of the 20 test examples also occur in training"):
        prepared_texts(tmp_path / "data", tmp_path / "refuse", test="shipped", validation=4, duplicates="refuse")


def test_one_text_with_two_labels_is_named(tmp_path, caplog):
    rows = [(f"text {number}", "ab"[number % 2]) for number in range(40)]
    texts(tmp_path / "data", [*rows, ("text 0", "b")])
    _, written = prepared_texts(tmp_path / "data" / "texts.csv", tmp_path / "out")
    assert written["duplicates"]["contents_with_two_labels"] == 1
    assert written["duplicates"]["listed"] == [["texts.csv:2", "texts.csv:42"]]
    assert (
        "texts.csv:2 = texts.csv:42" in caplog.text
        and "Several labels are given to the same content: 1 time" in caplog.text
    )


# Sources ------------------------------------------------------------------------------------------------------------


def test_each_example_has_its_source(tmp_path):
    source = class_folders(tmp_path / "photos")
    prepare(task_spec("image_folder", {"path": str(source)}), None, tmp_path / "out")
    prepared = PreparedTask.open(tmp_path / "out" / "task.json")
    for row, path in enumerate(prepared.sources.to_pylist()):
        assert (image_files.fit(image_files.read_file(source / path), 12, "rgb") == prepared.inputs[row]).all()
    prepare(task_spec(train=30), None, tmp_path / "digits")
    digits = PreparedTask.open(tmp_path / "digits" / "task.json")
    assert digits.sources.to_pylist() == [f"[{example_id}]" for example_id in digits.example_ids]
