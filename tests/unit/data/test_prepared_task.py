import numpy as np
import pytest

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.stages.prepare import prepare


def prepared(folder, **split):
    task = {
        "name": "digits",
        "dataset": "digits",
        "options": {},
        "kind": "classification",
        "modality": "image",
        "input": {"size": 8, "color": "grey"},
        "split": {"train": 50, "validation": 40, "test": 30, "seed": 0, "resample": False} | split,
    }
    prepare(task, None, folder)
    return PreparedTask.open(folder / "task.json")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("fixed"))


@pytest.fixture(scope="module")
def resampled(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("resampled"), resample=True)


def test_a_fixed_split_is_the_same_for_every_seed(fixed):
    for split, count in (("train", 50), ("validation", 40), ("test", 30)):
        rows = fixed.rows(split, 0)
        assert rows.dtype == np.int64
        assert len(rows) == count == fixed.counts[split]
        assert (rows == fixed.rows(split, 1)).all()
    assert len(fixed.labels) == len(fixed.inputs) == 120


def test_a_resampled_split_depends_on_the_seed_except_for_the_test(resampled):
    assert len(resampled.inputs) == 1797
    assert (resampled.rows("test", 0) == resampled.rows("test", 1)).all()
    assert set(resampled.rows("train", 0)) != set(resampled.rows("train", 1))
    assert (resampled.rows("train", 1) == resampled.rows("train", 1)).all()
    rows_of = [resampled.rows(split, 1) for split in ("train", "validation", "test")]
    assert [len(rows) for rows in rows_of] == [50, 40, 30]
    assert len(set(np.concatenate(rows_of))) == 120


def test_resampling_does_not_choose_other_test_examples(fixed, resampled):
    assert (fixed.example_ids[fixed.rows("test", 0)] == resampled.example_ids[resampled.rows("test", 0)]).all()


def test_images_labels_and_ids_match(fixed):
    from variability.data.datasets.digits import Digits

    shipped = Digits({}).load(None)
    assert (fixed.labels == shipped.labels[fixed.example_ids]).all()
    assert all((fixed.inputs[row, 0] == shipped.read(example)).all() for row, example in enumerate(fixed.example_ids))
    assert fixed.class_names == shipped.class_names
    assert (fixed.kind_name, fixed.modality_name) == ("classification", "image")
    assert fixed.facts == {"channels": 1, "size": 8}


def test_stored_images_are_read_only(fixed):
    with pytest.raises(ValueError, match="read-only"):
        fixed.inputs[0] = 0


def test_an_unknown_split_is_an_error(fixed):
    with pytest.raises(ValueError, match="unknown split"):
        fixed.rows("valid", 0)


@pytest.mark.parametrize("name", ["inputs.npy", "examples.parquet", "task.json"])
def test_a_missing_file_is_reported_with_the_command_that_restores_it(tmp_path, name):
    prepared(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError) as raised:
        PreparedTask.open(tmp_path / "task.json")
    assert str(tmp_path / name) in str(raised.value)
    assert "`snakemake --forcerun prepare`" in str(raised.value)


def test_a_changed_file_is_detected_and_reported(tmp_path):
    task = prepared(tmp_path)
    task.verify()
    images = tmp_path / "inputs.npy"
    images.write_bytes(images.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=str(images)):
        task.verify()
