"""Predictions of finished runs for files outside their study."""

import copy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_study
from PIL import Image

import variability
from variability.data import modalities
from variability.errors import UserError
from variability.io import artefacts, files
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.prepare import prepare
from variability.training.input_files import InputFiles

pytestmark = pytest.mark.usefixtures("tiny_provider")

FOLDER = Path("results/shapes/finetune/small/photos/everything")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of photos of unequal size, trained in the working directory; returns its predictions of seed 0."""
    monkeypatch.chdir(tmp_path)
    sampler = np.random.default_rng(0)
    for index in range(40):
        path = Path(f"photos/{'dark' if index % 2 else 'light'}/{index}.{'png' if index % 3 else 'jpg'}")
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = sampler.integers(9, 40, 2)
        low, high = ((0, 150), (100, 256))[index % 2 == 0]
        Image.fromarray(sampler.integers(low, high, (height, width, 3), dtype=np.uint8)).save(path)
    task = {
        "name": "photos",
        "dataset": "image_folder",
        "options": {"path": "photos"},
        "kind": "classification",
        "modality": "image",
        "input": modalities.find("image", {"size": 8}).options,
        "split": {"train": 0.5, "validation": 0.2, "test": "all", "seed": 0, "resample": False},
    }
    prepared = Path("results/shapes/prepare/photos")
    prepared.mkdir(parents=True)
    prepare(task, None, prepared)
    spec = copy.deepcopy(tiny_study.STUDY) | {"task": {"name": "photos", "kind": "classification"}, "seeds": [0]}
    finetune(spec, InputFiles(prepared / "task.json"), "code", FOLDER / "block-0.json", tiny_study.workplace())
    predict(
        spec,
        InputFiles(prepared / "task.json"),
        FOLDER / "block-0.json",
        "code",
        Path("predict"),
        None,
        tiny_study.workplace(),
    )
    table = pq.read_table("predict/0.parquet").to_pandas()
    return table[(table["phase"] == "after") & (table["split"] == "test")].reset_index(drop=True)


def test_predictions_from_the_original_files_equal_those_of_the_study_bit_for_bit(study, tmp_path, monkeypatch):
    run = variability.load_run(FOLDER / "0")
    assert run.class_names == ["dark", "light"]
    table = run.predict([Path("photos", source) for source in study["source"]])
    assert list(table) == ["source", "y_pred", "class", "probabilities"]
    assert table["source"].tolist() == [f"photos/{source}" for source in study["source"]]
    assert table["y_pred"].tolist() == study["y_pred"].tolist()
    assert table["class"].tolist() == [run.class_names[index] for index in study["y_pred"]]
    assert np.array_equal(np.stack(table["probabilities"]), np.stack(study["probabilities"]))
    # From any directory, and of arrays.
    monkeypatch.chdir("/")
    arrays = [np.asarray(Image.open(tmp_path / "photos" / source)) for source in study["source"]]
    again = variability.load_run(tmp_path / FOLDER / "0").predict(arrays)
    assert np.array_equal(np.stack(again["probabilities"]), np.stack(study["probabilities"]))


def test_a_folder_that_holds_no_usable_run_is_refused(study):
    with pytest.raises(UserError, match="not the folder of a finished run"):
        variability.load_run(FOLDER)
    record = artefacts.read_record(FOLDER / "0/run.json", artefacts.RUN_RECORD)

    def edited(**changes):
        changed = {key: value for key, value in (record | changes).items() if value is not None}
        files.write_json(FOLDER / "0/run.json", changed)
        return FOLDER / "0"

    with pytest.raises(UserError, match="0 diverged: loss is nan; it has nothing to predict with"):
        variability.load_run(edited(status="diverged", fail_reason="loss is nan"))
    with pytest.raises(UserError, match=r"an earlier version; remove .*everything/0 .*--forcerun finetune"):
        variability.load_run(edited(settings=None))
    with pytest.raises(UserError, match=r"was removed, as the config's `checkpoints` says"):
        variability.load_run(edited(checkpoint_dropped=True))
    run = variability.load_run(edited())
    with pytest.raises(UserError, match="the list is empty"):
        run.predict([])
    for single in (
        "photos/dark/1.jpg",
        Path("photos/dark/1.jpg"),
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 3), np.uint8),
    ):
        with pytest.raises(UserError, match=r"put it into a list: predict\(\[\.\.\.\]\)"):
            run.predict(single)
    Path("broken.png").write_bytes(b"no picture")
    with pytest.raises(
        UserError, match=r"2 of 2 examples cannot be read; leave them out(.|\n)*broken\.png(.|\n)*missing\.jpg"
    ):
        run.predict(["broken.png", "missing.jpg"])
    (FOLDER / "0/checkpoint.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"checkpoint\.safetensors is not the file that finetune wrote"):
        variability.load_run(FOLDER / "0")
    Path("results/shapes/prepare/photos/task.json").unlink()
    with pytest.raises(UserError, match=r"checkpoint\.safetensors is not the file"):
        variability.load_run(FOLDER / "0")


def test_numbers_have_no_probabilities(study):
    run = variability.load_run(FOLDER / "0")
    run.task = run.task | {"class_names": []}
    table = run._table(["a.png"], {"y_pred": pa.array([0.5]), "probabilities": pa.nulls(1)})
    assert table.to_dict("list") == {"source": ["a.png"], "y_pred": [0.5]}
