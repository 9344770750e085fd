"""Stored activations are those of the network, row by row and view by view, and training on them gives the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import tiny_study
import torch

from variability import registry
from variability.config import recipe
from variability.data.modalities._images import Images
from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io import artefacts, files, storage
from variability.stages import features as stage
from variability.stages.finetune import finetune
from variability.stages.predict import predict, predict_ahead
from variability.training import precision, stored_features
from variability.training.activations import Activations, Feed
from variability.training.fit_loop import FitData, FitSpec
from variability.training.input_files import InputFiles
from variability.training.seeded_network import SeededNetwork
from variability.training.torch_fit import TorchFitLoop

pytestmark = pytest.mark.usefixtures("tiny_provider")

PROBE = {"name": "probe", "kind": "linear_probe"}
PLAIN = recipe.DEFAULTS["augmentation"]
AUGMENTED = PLAIN | {"flip": True, "crop": 1, "views": 3}


@pytest.fixture(scope="module")
def task(task_json):
    return PreparedTask.open(task_json)


@pytest.fixture
def weights(tmp_path):
    return tiny_study.pretrained(tmp_path)


@pytest.fixture
def network(task, weights):
    network = SeededNetwork(tiny_study.STUDY["model"], PROBE, task, InputFiles(task.path, weights), "cpu")
    network.reset(0).module.eval()
    return network


def images(task, network, augmentation=PLAIN):
    return task.modality.inputs(task, network.provider, None, "cpu", augmentation)


def stored(task, network, folder, number_format="fp32", augmentation=PLAIN):
    prefix = stored_features.FrozenPrefix(network.cut.prefix, images(task, network, augmentation), number_format)
    layout = prefix.store(task.may_train, folder / stored_features.FILE)
    assert (folder / stored_features.FILE).stat().st_size - 128 == prefix.size(task.may_train)
    checksum = files.sha256(folder / stored_features.FILE)
    files.write_json(folder / "features.json", {"stored": True, "activations": layout, "sha256": checksum})
    return stored_features.read(folder / "features.json", task.may_train, "cpu")


def test_stored_activations_are_those_of_the_prefix_for_each_row(task, network, tmp_path):
    activations = stored(task, network, tmp_path)
    rows = np.array([150, 3, 77])
    expected = network.cut.prefix(images(task, network).plain(rows))
    torch.testing.assert_close(activations.plain(rows), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(activations.training(rows, seed=0, epoch=1, batch=0), activations.plain(rows))


def test_half_precision_comes_back_bit_for_bit_and_close_to_full_precision(task, network, tmp_path):
    rows = np.arange(200)
    half, full = stored(task, network, tmp_path, "bf16"), network.cut.prefix(images(task, network).plain(rows))
    assert half.plain(rows).dtype == torch.bfloat16
    # Eight bits of mantissa, in the convolution's inputs and in the stored activations.
    assert (half.plain(rows).float() - full).abs().max() <= 0.02 * full.abs().max()


def test_a_run_trains_on_the_same_views_whether_they_are_stored_or_not(task, network, tmp_path):
    activations = stored(task, network, tmp_path, augmentation=AUGMENTED)
    streamed = images(task, network, AUGMENTED)
    rows = np.flatnonzero(task.may_train)[[70, 5, 31, 5]]
    for position in ((0, 1, 0), (0, 1, 1), (0, 2, 0), (9, 1, 0)):
        expected = network.cut.prefix(streamed.training(rows, *position))
        torch.testing.assert_close(activations.training(rows, *position), expected, rtol=1e-6, atol=1e-6)


def test_a_seed_chooses_among_the_views_of_each_row(task, network, tmp_path):
    activations = stored(task, network, tmp_path, augmentation=AUGMENTED)
    rows = np.flatnonzero(task.may_train)
    assert len(activations.stored) == 200 + 3 * len(rows)
    first = activations.training(rows, seed=5, epoch=1, batch=0)
    assert torch.equal(activations.training(rows, 5, 1, 0), first)
    assert not torch.equal(activations.training(rows, 6, 1, 0), first)
    assert not torch.equal(activations.training(rows, 5, 2, 0), first)
    without_views = stored(task, network, tmp_path).plain(rows)
    assert torch.equal(activations.plain(rows), without_views), "evaluation uses no views"


def test_autocast_applies_to_the_network_and_not_to_the_images(task, network):
    turned = PLAIN | {"randaugment": {"num_ops": 2, "magnitude": 9}, "views": 1}
    streamed, rows = images(task, network, turned), np.arange(20)
    with torch.autocast("cpu", torch.bfloat16):
        half = streamed.training(rows, 0, 1, 0)
    assert torch.equal(half, streamed.training(rows, 0, 1, 0))


def test_a_damaged_file_of_activations_is_refused(task, network, tmp_path):
    stored(task, network, tmp_path)
    content = bytearray((tmp_path / stored_features.FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / stored_features.FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"activations\.npy is (missing|not the file).*--forcerun features"):
        stored_features.read(tmp_path / "features.json", task.may_train, "cpu")


def test_a_disk_without_room_is_reported_before_anything_is_written(task_json, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"need 173 kB and the disk of .* has 1 kB left; make room, or lower compute"):
        run_stage(tmp_path, task_json, weights)


def feed(network, task, rows, activations=None, augmentation=PLAIN):
    inputs = images(task, network, augmentation)
    return stored_features.feed(network.module, network.cut, inputs, activations, rows, "fp32")


def test_a_network_is_fed_stored_activations_held_ones_or_images(task, network, tmp_path, monkeypatch):
    rows = np.arange(10, 60)
    on_disk = stored(task, network, tmp_path)
    assert feed(network, task, rows, on_disk) == Feed(network.cut.suffix, on_disk, images(task, network))
    held = feed(network, task, rows)
    assert isinstance(held.inputs, Activations) and len(held.inputs.stored) == 50
    torch.testing.assert_close(held.inputs.plain(rows[::-1].copy()), on_disk.plain(rows[::-1].copy()))
    assert isinstance(feed(network, task, rows, augmentation=AUGMENTED).inputs, Images)
    monkeypatch.setattr(stored_features, "MEMORY", 10)
    assert feed(network, task, rows).module is network.module


def test_training_from_activations_ends_where_training_from_images_ends(task, network, tmp_path):
    data = FitData(task.labels, task.rows("train", 0), task.rows("validation", 0), task.kind)
    spec, outcomes = FitSpec(data, recipe.resolve({"epochs": 3}), 7), []
    for fed in (
        Feed(network.module, images(task, network)),
        Feed(network.cut.suffix, stored(task, network, tmp_path)),
    ):
        module = network.reset(7).module
        result = TorchFitLoop(spec, network.network, network.trainable, fed).run()
        outcomes.append((module.get_parameter("1.weight").detach().clone(), result.history[-1]["train_loss"]))
    torch.testing.assert_close(outcomes[0][0], outcomes[1][0], rtol=1e-4, atol=1e-5)
    assert outcomes[0][1] == pytest.approx(outcomes[1][1], rel=1e-4)


# The stage -----------------------------------------------------------------------------------------------------------


def spec(**changes):
    model = tiny_study.STUDY["model"]
    return {"model": model, "method": None, "precision": "fp32", "augmentation": PLAIN, "limit_gb": 1} | changes


def run_stage(folder, task_json, weights, **changes):
    stage.features(
        spec(**changes), InputFiles(task_json, weights), folder / "activations.npy", folder / "features.json"
    )
    return files.read_json(folder / "features.json")


def test_the_stage_stores_activations_and_describes_them_in_its_manifest(task_json, weights, tmp_path):
    content = run_stage(tmp_path, task_json, weights)
    assert content["stored"] and content["reason"] is None
    assert content["bytes"] == 200 * 216 * 4
    assert content["activations"] == {
        "each": "example",
        "shape": [216],
        "form": "fp32",
        "layout": "as indexed",
        "views": 0,
    }
    assert content["sha256"] == files.sha256(tmp_path / "activations.npy")
    assert run_stage(tmp_path, task_json, weights) == content, "the stage is repeatable"


def test_a_job_that_reads_activations_keeps_them_while_another_makes_them_again(task_json, weights, tmp_path):
    """A file that is truncated while it is read through memory ends the process that reads it."""
    run_stage(tmp_path, task_json, weights)
    with open(tmp_path / "activations.npy", "rb") as reader:
        before = reader.read()
        run_stage(tmp_path, task_json, weights)
        run_stage(tmp_path, task_json, weights, limit_gb=1e-4)
        reader.seek(0)
        assert reader.read() == before


def test_views_are_stored_where_the_augmentation_asks_for_them(task_json, weights, tmp_path):
    content = run_stage(tmp_path, task_json, weights, augmentation=AUGMENTED)
    assert content["bytes"] == (200 + 3 * 100) * 216 * 4


def test_activations_above_the_limit_are_not_stored_and_the_manifest_gives_the_reason(
    task_json, weights, tmp_path, caplog
):
    content = run_stage(tmp_path, task_json, weights, limit_gb=1e-4)
    assert not content["stored"]
    assert "more than compute.features_gb allows (0.0001)" in content["reason"] and content["reason"] in caplog.text
    assert (tmp_path / "activations.npy").stat().st_size < 200


def test_a_network_that_cannot_be_cut_stores_nothing_and_the_manifest_gives_the_reason(task_json, weights, tmp_path):
    method = {"kind": "full"}
    assert "cannot be cut" in run_stage(tmp_path, task_json, weights, method=method)["reason"]


def test_half_precision_that_the_device_lacks_is_refused(task_json, weights, tmp_path):
    with pytest.raises(UserError, match="fp16 needs a CUDA device"):
        run_stage(tmp_path, task_json, weights, precision="fp16")
    assert not (tmp_path / "features.json").exists()


def test_another_limit_that_is_also_too_small_trains_nothing_again(task_json, weights, tmp_path):
    probe, block = tiny_study.STUDY | {"method": PROBE, "seeds": [0]}, tmp_path / "block-0.json"
    times = set()
    for limit in (1e-4, 1.1e-4):
        run_stage(tmp_path, task_json, weights, limit_gb=limit)
        finetune(
            probe,
            InputFiles(task_json, weights, features=tmp_path / "features.json"),
            "code",
            block,
            tiny_study.workplace(),
        )
        times.add((tmp_path / "0" / "run.json").stat().st_mtime_ns)
    assert len(times) == 1


@pytest.mark.parametrize("limit", [1, 1e-4])
def test_runs_train_and_predict_with_stored_activations_and_without(task_json, weights, tmp_path, limit):
    run_stage(tmp_path, task_json, weights, limit_gb=limit)
    manifest, outcomes = tmp_path / "features.json", {}
    for name, stored_manifest in (("with", manifest), ("without", None)):
        fitted, folder = tmp_path / f"{name}-finetune", tmp_path / name
        probe = tiny_study.STUDY | {"method": PROBE, "seeds": [0, 1]}
        finetune(
            probe,
            InputFiles(task_json, weights, features=stored_manifest),
            "code",
            fitted / "block-0.json",
            tiny_study.workplace(),
        )
        block = fitted / "block-0.json"
        predict(
            probe,
            InputFiles(task_json, weights, features=stored_manifest),
            block,
            "code",
            folder,
            folder / "block-0.json",
            tiny_study.workplace(),
        )
        tables = [pd.read_parquet(folder / f"{seed}.parquet") for seed in (0, 1)]
        outcomes[name] = [(table["phase"].tolist(), np.stack(table["probabilities"])) for table in tables]
    for stored_run, other in zip(outcomes["with"], outcomes["without"], strict=True):
        assert stored_run[0] == other[0]
        np.testing.assert_allclose(stored_run[1], other[1], atol=1e-4)


# Equal bits, whatever jobs share --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """A small network of torchvision with dropout before its head, its weights, and a task for it."""
    folder = tmp_path_factory.mktemp("squeezenet")
    model = {"name": "net", "provider": "torchvision", "architecture": "squeezenet1_1", "options": {}, "preprocess": {}}
    network = registry.find("providers", "torchvision")(model | {"weights": "none"}).build(10, None, 99)
    safetensors.torch.save_file(network.module.state_dict(), folder / "weights.safetensors")
    task = tiny_study.prepare(folder / "digits", size=32)
    return model | {"weights": "pretrain:letters"}, folder / "weights.safetensors", task


LAST = {"name": "last", "kind": "partial", "blocks": 1}
RECIPES = {"plain": {}, "bf16": {"precision": "bf16"}, "views": {"augmentation": {"flip": True, "crop": 2, "views": 2}}}


@pytest.mark.slow
@pytest.mark.parametrize("settings", RECIPES)
@pytest.mark.parametrize("method", [PROBE, LAST])
def test_runs_that_share_a_network_and_activations_equal_those_of_separate_jobs(squeezenet, tmp_path, method, settings):
    model, weights, task = squeezenet
    chosen = recipe.resolve({"epochs": 2, "lr": 0.001}, RECIPES[settings])
    spec = {"model": model, "task": {"name": "digits", "kind": "classification"}, "method": method, "recipe": chosen}
    shared = {"model": model, "method": method, "precision": chosen["precision"], "limit_gb": 1}
    shared["augmentation"] = chosen["augmentation"]
    stage.features(shared, InputFiles(task, weights), tmp_path / "activations.npy", tmp_path / "features.json")
    manifest = tmp_path / "features.json"
    assert files.read_json(manifest)["stored"]
    input_files = InputFiles(task, weights, features=manifest)

    def tables(name, *chunks):
        fitted, folder = tmp_path / f"{name}-finetune", tmp_path / name
        for index, seeds in enumerate(chunks):
            cell, block = (spec | {"seeds": seeds}, input_files), fitted / f"block-{index}.json"
            with tiny_study.workplace() as workplace:
                finetune(*cell, "code", block, workplace)
                predict_ahead(*cell, block, "code", folder, workplace)
            before = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
            predict(*cell, block, "code", folder, folder / f"block-{index}.json", tiny_study.workplace())
            assert {path: path.stat().st_mtime_ns for path in before} == before, "predicted ahead and reused"
        return [(folder / f"{seed}.parquet").read_bytes() for seed in (0, 1, 2)]

    assert tables("together", [2, 0, 1]) == tables("apart", [1], [0, 2])


def test_records_of_activations_may_have_every_form_and_layout():
    shape = artefacts.STORED_FEATURES.shape["activations"]
    assert (shape["form"], shape["layout"]) == (frozenset(precision.DTYPES), frozenset(stored_features.LAYOUTS))
