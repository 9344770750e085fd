"""Networks of keras.applications: facts, construction and weights."""

import importlib.util
import random

import numpy as np
import pytest
from support import objections

from variability.errors import UserError
from variability.models.providers.keras import Keras as KerasProvider

if not all(importlib.util.find_spec(name) for name in KerasProvider.NEEDS):
    pytest.skip("Keras and TensorFlow are an extra: make .venv/.tensorflow", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("keras_process")]


def provider(architecture="MobileNetV2", weights="none", **entry):
    return KerasProvider({"architecture": architecture, "weights": weights} | entry)


def problems(*arguments, **entry):
    return objections(provider(*arguments, **entry))


SMALL = {"alpha": 0.35, "bn_momentum": 0.9, "bn_epsilon": 0.00001}


def test_facts_about_keras_networks_are_those_of_the_imported_library():
    import inspect

    import keras

    from variability.models.providers._keras_facts import architectures

    public = {
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and "weights" in inspect.signature(value).parameters
    }
    assert set(architectures()) == public
    for name, known in architectures().items():
        assert list(inspect.signature(getattr(keras.applications, name)).parameters) == known.options
        module = getattr(keras.applications, known.module)
        grey = module.preprocess_input(np.full((1, 2, 2, 3), 100.0, np.float32))
        spec = provider(name).preprocess(256)
        ours = (100 / 255 - np.array(spec["mean"])) / np.array(spec["std"])
        assert np.allclose(np.asarray(grey)[0, 0, 0], ours, atol=1e-3), name


def test_wrong_entries_are_reported():
    assert "did you mean 'MobileNetV2'" in problems("MobilNetV2")["architecture"]
    assert "imagenet" in problems(weights="IMAGENET1K_V1")["weights"]
    assert "cannot be set" in problems(options={"include_top": True})["options.include_top"]
    assert "did you mean 'alpha'" in problems(options={"alpa": 1})["options.alpa"]
    assert "use avg or max" in problems(options={"pooling": None})["options.pooling"]
    assert "at least 32 pixels" in problems(preprocess={"size": 16})["preprocess.size"]
    assert "at least 75" in problems("InceptionV3", preprocess={"size": 64})["preprocess.size"]
    assert "not a file that can be read" in problems(weights="model.pth")["weights"]
    assert not problems(weights="ours.weights.h5", options=SMALL)
    with pytest.raises(UserError, match="at least 32 pixels"):
        provider().preprocess(16)


def test_the_same_architecture_has_the_same_parameters_as_torchvisions():
    from variability.models.providers.torchvision import Torchvision

    here = provider(options=SMALL).build(7, None, 0, {"size": 32})
    there = Torchvision({"architecture": "mobilenet_v2", "weights": "none", "options": {"width_mult": 0.35}})
    module = there.build(7, None, 0).module
    assert here.model.count_params() - sum(np.prod(w.shape) for w in here.model.non_trainable_weights) == sum(
        value.numel() for value in module.parameters()
    )
    norm = here.model.get_layer("bn_Conv1")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)
    assert here.blocks == ["Conv1", "expanded_conv", *(f"block_{at}" for at in range(1, 17)), "Conv_1"]
    assert here.last_blocks(2) == ["block_16", "Conv_1", "head"]


def test_a_random_network_depends_only_on_its_seed_and_uses_no_global_generator():
    from variability.models.providers import _keras_networks as networks

    this = provider(options=SMALL)
    state = random.getstate()
    first = networks.tensors(this.build(3, None, 0, {"size": 32}).model)
    assert random.getstate() == state
    random.seed(7)
    again = networks.tensors(this.build(5, None, 0, {"size": 32}).model)
    backbone = [name for name in first if not name.startswith("head")]
    assert all(np.array_equal(first[name], again[name]) for name in backbone)
    other = networks.tensors(this.build(3, None, 1, {"size": 32}).model)
    assert not np.array_equal(first["Conv1/kernel"], other["Conv1/kernel"])
    assert not np.array_equal(first["head/kernel"], other["head/kernel"])
    bound = first["head/kernel"].shape[0] ** -0.5
    assert 0.95 * bound < np.abs(first["head/kernel"]).max() <= bound


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, in saving
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_files_that_keras_wrote_are_converted(tmp_path, suffix):
    import keras

    from variability.models.providers import _keras_networks as networks

    for top in (False, True):
        with networks.constructing(5):
            shape = {} if top else {"input_shape": (32, 32, 3), "pooling": "avg"}
            model = keras.applications.MobileNetV2(weights=None, alpha=0.35, include_top=top, **shape)
        path = tmp_path / f"{top}{suffix}"
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        this = provider(weights=str(path), options=SMALL)
        converted = this.convert(path)
        expected = {
            name: value for name, value in networks.tensors(model).items() if not name.startswith("predictions")
        }
        assert all(np.array_equal(converted[name], expected[name]) for name in expected)
    with pytest.raises(UserError, match="does not fit"):
        provider(weights=str(path), options={"alpha": 0.5}).convert(path)


def test_weights_of_another_architecture_are_refused(tmp_path):
    import safetensors.numpy

    weights = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file({"block1_conv/kernel": np.zeros((3, 3, 3, 4), np.float32)}, weights)
    with pytest.raises(UserError, match="does not fit Keras's MobileNetV2: 26"):
        provider(weights=str(weights), options=SMALL).build(3, weights, 0, {"size": 32})


def test_a_release_is_fetched_from_keras_address_and_checked_with_its_checksum(tmp_path):
    class Fetcher:
        def fetch(self, *arguments):
            self.arguments = arguments

    fetcher = Fetcher()
    path, facts = provider("DenseNet121", "imagenet").fetch_weights(fetcher, tmp_path)
    url, target, checksum = fetcher.arguments
    assert url == facts["source"]
    assert url.endswith("densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5")
    assert (target, checksum) == (path, "md5:30ee3e1110167f948a6b9946edeeb738")
    provider("MobileNetV2", "imagenet", options={"alpha": 0.35}).fetch_weights(fetcher, tmp_path)
    assert fetcher.arguments[0].endswith("0.35_224_no_top.h5")
    assert fetcher.arguments[2] is None, "Keras has no checksum for this one"
    import keras

    assert keras.Model.load_weights is keras.src.models.Functional.load_weights


def test_a_network_for_a_release_is_constructed_with_the_releases_name():
    # EfficientNet divides its input once more if it is given ImageNet's weights.
    named, plain = (provider("EfficientNetB0", weights)._construct(0, 32) for weights in ("imagenet", "none"))
    assert len(named.layers) == len(plain.layers) + 1


CHAINS = {
    "ResNet50": 17,
    "DenseNet121": 62,
    "VGG16": 5,
    "ConvNeXtTiny": 22,
    "EfficientNetB0": 18,
    "Xception": 14,
}


@pytest.mark.parametrize(("name", "blocks"), CHAINS.items())
def test_networks_of_every_family_are_chains_of_blocks(name, blocks):
    network = provider(name).build(3, None, 0, {"size": 96})
    assert len(network.blocks) == blocks
    layers = [layer.name for unit in network.units for layer in unit.layers]
    assert len(set(layers)) == len(layers)
    before, after = network.cut(network.trained_from(network.last_blocks(2)))
    images = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    assert np.allclose(after(before(images)), network.model(images), atol=1e-4)
    check_head(network)


def check_head(network):
    """Compare what the last layer returns before and after its weights are multiplied."""
    import keras

    head = network.model.layers[-1]
    assert head.name == "head" and network.model.outputs[0] is head.output
    assert head.activation is keras.activations.linear
    _, rest = network.cut(len(network.units) - 1)
    features = np.random.default_rng(0).normal(size=(8, *rest.inputs[0].shape[1:])).astype(np.float32)
    first = rest(features).numpy()
    for weight in head.weights:
        weight.assign(-2 * weight.value)
    assert (first > 0).any() and (first < 0).any()
    assert np.array_equal(rest(features).numpy(), -2 * first)


def test_batches_of_one_image_are_refused_exactly_where_batchnorm_sees_one_value():
    from variability.models import keras_trial

    model = {"provider": "keras", "architecture": "MobileNetV2", "weights": "none", "options": {"alpha": 0.35}}

    def answer(size, **method):
        return keras_trial.answer({"model": model, "size": size, "outputs": 2, "method": method, "batch": 1})

    # The last layers see images of a 32nd of the side, rounded up.
    assert answer(33, kind="full") is None
    problem = answer(32, kind="full")
    assert problem["key"] == "batch" and "leaves block_13_depthwise_BN of MobileNetV2" in problem["message"]
    assert "leaves Conv_1_bn of MobileNetV2" in answer(32, kind="partial", blocks=1)["message"]
    assert answer(32, kind="linear_probe") is None


def smallest_of_other_families():
    """Return an architecture of each module of Keras that has none in CHAINS."""
    from variability.models.providers._keras_facts import architectures

    smallest = {}
    for name, facts in architectures().items():
        smallest.setdefault(facts.module, name)
    covered = {facts.module for name, facts in architectures().items() if name in CHAINS}
    smallest |= {"nasnet": "NASNetMobile", "resnet_v2": "ResNet50V2"}
    return [name for module, name in smallest.items() if module not in covered]


def test_the_head_is_the_last_layer_of_the_other_families_and_has_no_activation():
    names = smallest_of_other_families()
    assert len(names) >= 9
    for name in names:
        check_head(provider(name).build(3, None, 0, {"size": 96}))
