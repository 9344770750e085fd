"""Keras trains its networks as torch does: the same steps, and the same bits for the same seed, also when resumed."""

import importlib.util
import math
import shutil
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import tiny_study
from damage import DAMAGES
from tiny_study import assert_same, timeless

from variability import registry, seeding
from variability.config import recipe
from variability.data import kinds
from variability.errors import Interrupted, UserError
from variability.models.providers.keras import Keras as KerasProvider
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.training import frameworks, optimizers
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.saving import Saving

if not all(importlib.util.find_spec(name) for name in KerasProvider.NEEDS):
    pytest.skip("Keras and TensorFlow are an extra: make .venv/.tensorflow", allow_module_level=True)

pytestmark = pytest.mark.slow

MODEL = {"name": "small", "provider": "tiny", "architecture": "tiny", "weights": "none", "options": {}}
RECIPE = {"epochs": 3, "lr": 0.01, "batch_size": 32, "label_smoothing": 0.1, "clip_norm": 1.0}
NEVER = Saving(math.inf)
AUGMENTED = {"flip": True, "crop": 1, "randaugment": None, "views": 0}


class Tiny(tiny_study.Tiny):
    """Two convolutions with BatchNorm and dropout, in Keras."""

    FRAMEWORK = "keras"

    def build(self, outputs, weights, seed, facts=None):
        import keras

        from variability.models.providers import _keras_networks as networks

        with networks.constructing(seed):
            image = keras.Input((8, 8, 3))
            x = image
            for block in (1, 2):
                x = keras.layers.Conv2D(4, 3, name=f"block{block}_conv")(x)
                x = keras.layers.BatchNormalization(name=f"block{block}_bn", momentum=0.9)(x)
                x = keras.layers.ReLU(name=f"block{block}_relu")(x)
            x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
            network = networks.attach_head(keras.Model(image, x), outputs, seed)
        if weights is not None:
            import safetensors.numpy

            tensors = safetensors.numpy.load_file(weights)
            for weight in network.model.weights:
                if not weight.path.startswith("head"):
                    weight.assign(tensors[weight.path])
        return network

    def sample_head(self, network, seed):
        from variability.models.providers import _keras_networks as networks

        networks.sample_head(network, seed)


@pytest.fixture(autouse=True)
def tiny(monkeypatch, keras_process):
    monkeypatch.setattr(registry, "find", registry.find)
    tiny_study.install(Tiny)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_study.prepare(tmp_path_factory.mktemp("task") / "digits")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the weights of a network of another seed."""
    import safetensors.numpy

    from variability.models.providers import _keras_networks as networks

    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors.numpy.save_file(networks.tensors(Tiny(MODEL).build(10, None, 99).model), path)
    return path


def framework_of(task, method="full", weights=None, **options):
    return frameworks.of(MODEL)(MODEL, {"name": method, "kind": method} | options, InputFiles(task, weights), "cpu")


def fit(framework, folder, seed=0, saving=NEVER, **changed):
    """Return the result of a fit, and the tensors of the network after it."""
    from variability.models.providers import _keras_networks as networks

    settings = recipe.resolve(RECIPE, changed)
    result = framework.fit(
        FitSpec(framework.data(seed), settings, seed, folder / "state.safetensors", "fingerprint", saving=saving)
    )
    return result, networks.tensors(framework._network.model)


@pytest.mark.parametrize("augmentation", [recipe.DEFAULTS["augmentation"], AUGMENTED])
def test_the_same_seed_gives_the_same_bits_after_another_seed(tmp_path, task, augmentation):
    framework = framework_of(task)
    runs = []
    for seed in (0, 1, 0):
        result, _ = fit(framework, tmp_path, seed, augmentation=augmentation)
        framework.save_trained(tmp_path / "checkpoint", "f")
        rows = {"test": framework.task.rows("test", seed)}
        predictions = framework.predictions(seed, tmp_path / "checkpoint", rows)
        runs.append((timeless(result.history), *(summaries for *_, summaries in predictions)))
    first, other, again = runs
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert np.array_equal(first[2], again[2])
    assert not np.array_equal(first[1], other[1])
    assert not np.array_equal(first[1], first[2]), "training changed nothing"
    alone, _ = fit(framework_of(task), tmp_path, 0, augmentation=augmentation)
    assert timeless(alone.history) == first[0], "an earlier seed of the process changed this one"


def test_a_batch_of_one_image_is_an_error_if_batchnorm_sees_one_value(tmp_path, task, monkeypatch):
    framework = framework_of(task)
    assert fit(framework, tmp_path, epochs=1, batch_size=1)[0].status == "completed"
    monkeypatch.setattr(
        "variability.models.providers._keras_networks.one_value_normalisation", lambda network, parts: "block2_bn"
    )
    fit(framework, tmp_path, epochs=1, batch_size=32)
    with pytest.raises(UserError, match=r"recipe\.batch_size: 1 example leaves block2_bn of .*, a BatchNorm"):
        fit(framework, tmp_path, epochs=1, batch_size=1)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_fit_interrupted_every_other_step_resumes_bit_for_bit(tmp_path, task, optimizer):
    settings = {"epochs": 4, "checkpoint": "best", "optimizer": optimizer, "augmentation": AUGMENTED}
    (tmp_path / "whole").mkdir()
    whole, tensors = fit(framework_of(task), tmp_path / "whole", **settings)
    framework, positions = framework_of(task), []
    while True:
        questions = iter([False, False])
        saving = Saving(math.inf, should_stop=lambda questions=questions: next(questions, True))
        try:
            resumed, after = fit(framework, tmp_path, saving=saving, **settings)
            break
        except Interrupted as interrupted:
            positions.append(str(interrupted).removesuffix("; state saved"))
            # Another seed in between, whose dropout and optimizer must leave no trace.
            fit(framework, tmp_path / "whole", seed=1, epochs=1)
    assert "at step 2 of 4 of epoch 1" in positions and len(positions) >= 6
    assert (whole.resumed, resumed.resumed) == (False, True)
    assert timeless(resumed.history) == timeless(whole.history)
    assert resumed.best_epoch == whole.best_epoch
    assert_same(after, tensors)


def test_a_state_of_other_settings_or_a_damaged_one_is_ignored(tmp_path, task):
    fit(framework_of(task), tmp_path, saving=Saving(0.0))
    framework, state = framework_of(task), tmp_path / "state.safetensors"
    other = FitSpec(framework.data(0), recipe.resolve(RECIPE), 0, state, "another", saving=Saving(0.0))
    assert not framework.fit(other).resumed
    assert framework.fit(other).resumed
    state.write_bytes(state.read_bytes()[:-3])
    assert not framework_of(task).fit(other).resumed


def test_frozen_parts_keep_every_bit(tmp_path, task, weights):
    for method, options, trains in (("linear_probe", {}, ("head",)), ("partial", {"blocks": 1}, ("head", "block2"))):
        framework = framework_of(task, method, weights, **options)
        framework._reset(0)
        from variability.models.providers import _keras_networks as networks

        before = networks.tensors(framework._network.model)
        _, after = fit(framework, tmp_path / method, augmentation=AUGMENTED)
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert changed == {name for name in before if name.startswith(trains)}, method


def test_a_pretrained_backbone_starts_from_its_weights_for_every_seed(tmp_path, task, weights):
    framework, runs = framework_of(task, "full", weights), []
    for seed in (0, 1):
        fit(framework, tmp_path / str(seed), seed)
        rows = {"validation": framework.task.rows("validation", seed)}
        runs.append(next(summaries for *_, summaries in framework.predictions(seed, None, rows)))
    alone = next(iter(framework_of(task, "full", weights).predictions(1, None, rows)))[2]
    assert np.array_equal(runs[1], alone)
    assert not np.array_equal(runs[0], runs[1]), "the heads are not of their seeds"


def test_history_order_and_learning_rates_are_those_of_torch(tmp_path, task, monkeypatch):
    from variability.training.frameworks import _keras_training

    seen, make_step = [], _keras_training.KerasFitLoop.step
    monkeypatch.setattr(
        _keras_training.KerasFitLoop, "step", lambda self, step: seen.append(step) or make_step(self, step)
    )
    settings = {"schedule": "one_cycle", "batch_size": 33}
    result, _ = fit(framework_of(task), tmp_path, seed=3, **settings)
    resolved, train = recipe.resolve(RECIPE, settings), framework_of(task).data(3).train
    assert list(result.history[1]) == [
        *("epoch", "train_loss", "validation_loss", "validation_accuracy", "lr", "seconds", "examples_per_second")
    ]
    assert [step.number for step in seen] == list(range(9))
    for epoch in (1, 2, 3):
        steps = seen[3 * (epoch - 1) : 3 * epoch]
        order = seeding.example_order(3, epoch).generator().permutation(train)
        # A last batch of a single row joins the one before.
        assert [len(step.rows) for step in steps] == [33, 33, 34]
        assert np.array_equal(np.concatenate([step.rows for step in steps]), order)
        expected = [optimizers.learning_rate((epoch - 1) * 3 + at, 9, resolved) for at in range(3)]
        assert [step.lr for step in steps] == expected
        assert result.history[epoch]["lr"] == expected[-1]


@pytest.mark.parametrize(
    ("changed", "tolerance"),
    [
        ({"optimizer": "adamw", "weight_decay": 0.1}, 1e-6),
        ({"optimizer": "adam", "weight_decay": 0.1}, 1e-6),
        ({"optimizer": "sgd", "weight_decay": 0.1}, 1e-6),
        ({"optimizer": "adamw", "clip_norm": 0.05, "label_smoothing": 0.2}, 1e-6),
    ],
)
def test_steps_are_those_of_torch(changed, tolerance):
    import keras
    import torch

    from variability.training.frameworks._keras_training import Steps

    settings = recipe.resolve({"lr": 0.01}, changed)
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(16, 5)).astype(np.float32)
    labels = generator.integers(3, size=16)
    layer = keras.layers.Dense(3)
    source = keras.Input((5,))
    steps = Steps(keras.Model(source, layer(source)), settings, "cross_entropy")
    module = torch.nn.Linear(5, 3)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(layer.kernel.value.numpy().T.copy()))
        module.bias.copy_(torch.from_numpy(layer.bias.value.numpy()))
    optimizer = optimizers.make_optimizer(module.parameters(), settings)
    kind = kinds.find("classification")
    for rate in (0.002, 0.01, 0.004, 0.001):
        stepped = float(steps.step(inputs, labels, np.float32(rate)))
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[-1]["lr"] = rate
        loss = kind.loss(module(torch.from_numpy(inputs)), kind.targets(labels), settings["label_smoothing"])
        assert stepped == pytest.approx(loss.item(), abs=1e-6)
        optimizer.zero_grad()
        loss.backward()
        if settings["clip_norm"]:
            torch.nn.utils.clip_grad_norm_(module.parameters(), settings["clip_norm"])
        optimizer.step()
        assert np.abs(layer.kernel.value.numpy().T - module.weight.detach().numpy()).max() < tolerance
        assert np.abs(layer.bias.value.numpy() - module.bias.detach().numpy()).max() < tolerance


def test_regression_is_fitted_by_its_squared_error(tmp_path):
    task = tiny_study.prepare(tmp_path / "digits", kind="regression")
    result, _ = fit(framework_of(task), tmp_path, epochs=15, label_smoothing=0.0)
    first, last = result.history[0], result.history[-1]
    assert last["validation_rmse"] == pytest.approx(2.8 * np.sqrt(last["validation_loss"]))
    assert last["validation_rmse"] < first["validation_rmse"]


def test_a_checkpoint_holds_the_trained_network(tmp_path, task, weights):
    framework = framework_of(task, "partial", weights, blocks=1)
    fit(framework, tmp_path)
    rows = framework.task.rows("test", 0)
    trained = framework._outputs(rows)
    checkpoint = tmp_path / "checkpoint.safetensors"
    framework.save_trained(checkpoint, "f")
    loaded = framework_of(task, "partial", weights, blocks=1).predictions(0, checkpoint, {"test": rows})
    summaries = {phase: of_phase for phase, _, of_phase in loaded}
    assert np.array_equal(summaries["after"], trained)
    with pytest.raises(UserError, match="does not fit the network"):
        list(framework_of(task, "linear_probe", weights).predictions(0, checkpoint, {"test": rows}))
    with pytest.raises(UserError, match="another backbone"):
        list(framework_of(task, "partial", None, blocks=1).predictions(0, checkpoint, {"test": rows}))
    checkpoint.write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        list(framework_of(task, "partial", weights, blocks=1).predictions(0, checkpoint, {"test": rows}))


def test_a_network_is_built_from_the_file_that_pretraining_writes(tmp_path, task):
    framework = framework_of(task)
    _, trained = fit(framework, tmp_path)
    framework.save_whole(tmp_path / "whole.safetensors")
    from variability.models.providers import _keras_networks as networks

    built = networks.tensors(Tiny(MODEL).build(10, tmp_path / "whole.safetensors", 5).model)
    backbone = {name for name in built if not name.startswith("head")}
    assert_same({name: built[name] for name in backbone}, {name: trained[name] for name in backbone})


def test_a_fit_that_diverges_ends_with_finite_weights(tmp_path, task):
    result, tensors = fit(framework_of(task), tmp_path, optimizer="sgd", lr=1e30, clip_norm=None)
    assert (result.status, result.best_epoch) == ("diverged", 0)
    assert all(np.isfinite(array).all() for array in tensors.values())


def test_predictions_are_probabilities(task):
    framework = framework_of(task)
    rows = framework.task.rows("test", 0)
    _, _, summaries = next(framework.predictions(0, None, {"test": rows}))
    assert summaries.dtype == np.float32
    columns = framework.task.kind.columns(summaries, framework.task.labels[rows])
    table = pa.table(columns)
    assert np.allclose(np.stack(table["probabilities"].to_pylist()).sum(axis=1), 1, atol=1e-6)


def test_methods_and_recipes_that_keras_does_not_support_are_refused(tmp_path, task):
    class Lora(registry.find("methods", "full")):
        BY_BLOCKS = False

    framework = frameworks.of(MODEL)
    assert [str(problem) for problem in framework.problems(Lora({}), recipe.DEFAULTS)] == [
        "method: it requires torch modules, which Keras networks do not have"
    ]
    wrong = {
        "precision": "bf16",
        "augmentation": AUGMENTED | {"views": 2},
        "adam_bias_correction": False,
        "micro_batch": 4,
    }
    keys = [problem.key for problem in framework.problems(registry.find("methods", "full")({}), recipe.resolve(wrong))]
    assert keys == [
        "recipe.adam_bias_correction",
        "recipe.precision",
        "recipe.micro_batch",
        "recipe.augmentation.views",
    ]
    with pytest.raises(UserError, match="bf16"):
        fit(framework_of(task), tmp_path, precision="bf16")


def test_the_device_is_the_selected_one(monkeypatch):
    framework = frameworks.of(MODEL)
    with framework.lease() as device:
        assert device == "cpu"
    monkeypatch.setenv("VARIABILITY_DEVICE", "cpu")
    with framework.lease() as device:
        assert device == "cpu"


@pytest.mark.faults
def test_damaged_checkpoints_are_refused_by_predict_with_the_command(tmp_path, task):
    spec = tiny_study.STUDY | {"model": MODEL, "recipe": recipe.resolve(RECIPE), "seeds": [0, 1]}
    fitted, files = tmp_path / "finetune", InputFiles(task)
    with tiny_study.workplace(model=MODEL) as workplace:
        finetune(spec, files, "code", fitted / "b.json", workplace)
        checkpoint = fitted / "0/checkpoint.safetensors"
        another = partial(shutil.copyfile, fitted / "1/checkpoint.safetensors")
        for number, damage in enumerate((*DAMAGES, another)):
            whole, folder = checkpoint.read_bytes(), tmp_path / str(number)
            damage(checkpoint)
            with pytest.raises(UserError, match=rf"{checkpoint} is (not the file|missing).*--forcerun finetune"):
                predict(spec, files, fitted / "b.json", "code", folder, folder / "b.json", workplace)
            assert not (folder / "0.parquet").exists() and (folder / "1.parquet").is_file()
            checkpoint.write_bytes(whole)
