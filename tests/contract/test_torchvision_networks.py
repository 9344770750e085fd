"""Networks of torchvision: every family, released preprocessing, and the check of names, releases and options."""

import inspect
import re

import pytest
import torch
from support import objections

from variability.data.preprocessing import Preprocess
from variability.errors import UserError
from variability.models import cutting, networks
from variability.models.providers._torchvision_facts import architectures
from variability.models.providers.torchvision import Torchvision

HEAVY = pytest.mark.slow
# One member of each family, the side of its test images, and options that make it cheap.
FAMILIES = [
    pytest.param(("alexnet", 64, {}), id="alexnet", marks=HEAVY),
    pytest.param(("vgg11_bn", 32, {}), id="vgg11_bn", marks=HEAVY),
    pytest.param(("resnet18", 32, {}), id="resnet18"),
    pytest.param(("resnext50_32x4d", 32, {}), id="resnext50_32x4d", marks=HEAVY),
    pytest.param(("wide_resnet50_2", 32, {}), id="wide_resnet50_2", marks=HEAVY),
    pytest.param(("densenet121", 32, {}), id="densenet121", marks=HEAVY),
    pytest.param(("inception_v3", 75, {}), id="inception_v3", marks=HEAVY),
    pytest.param(("googlenet", 32, {}), id="googlenet", marks=HEAVY),
    pytest.param(("mobilenet_v2", 32, {"width_mult": 0.25}), id="mobilenet_v2"),
    pytest.param(("mobilenet_v3_small", 32, {}), id="mobilenet_v3_small"),
    pytest.param(("shufflenet_v2_x0_5", 32, {}), id="shufflenet_v2_x0_5"),
    pytest.param(("squeezenet1_1", 32, {}), id="squeezenet1_1"),
    pytest.param(("mnasnet0_5", 32, {}), id="mnasnet0_5"),
    pytest.param(("regnet_y_400mf", 32, {}), id="regnet_y_400mf"),
    pytest.param(("efficientnet_b0", 32, {}), id="efficientnet_b0"),
    pytest.param(("efficientnet_v2_s", 32, {}), id="efficientnet_v2_s", marks=HEAVY),
    pytest.param(("convnext_tiny", 32, {}), id="convnext_tiny", marks=HEAVY),
    pytest.param(("vit_b_32", 32, {"image_size": 32}), id="vit_b_32", marks=HEAVY),
    pytest.param(("swin_t", 32, {}), id="swin_t", marks=HEAVY),
    pytest.param(("swin_v2_t", 32, {}), id="swin_v2_t", marks=HEAVY),
    pytest.param(("maxvit_t", 224, {}), id="maxvit_t", marks=HEAVY),
]


def provider(architecture: str, weights: str = "none", **entry) -> Torchvision:
    return Torchvision({"architecture": architecture, "weights": weights} | entry)


def problems(*arguments, **entry) -> dict[str, str]:
    return objections(provider(*arguments, **entry))


# Building ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=FAMILIES)
def built(request):
    """A provider of each family, the side of its images, and a network of seed 0 with three outputs."""
    name, side, options = request.param
    this = provider(name, options=options)
    torch.manual_seed(1)
    return this, side, this.build(outputs=3, weights=None, seed=0)


@torch.no_grad()
def test_a_network_depends_on_its_seed_and_has_a_new_head(built):
    this, side, first = built
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    larger = this.build(outputs=5, weights=None, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before), "building used the global generator"
    # Neither the global generator nor the size of the head changes the backbone.
    assert networks.frozen_digest(first, [first.head]) == networks.frozen_digest(larger, [larger.head])
    assert this.preprocess(image_size=side)["size"] == side
    for network, outputs in ((first, 3), (larger, 5)):
        assert network.module.eval()(torch.zeros(1, 3, side, side)).shape == (1, outputs)


@torch.no_grad()
def test_every_family_is_cut_before_its_head_and_before_its_last_blocks(built):
    _, side, network = built
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    whole = network.module.eval()(images)
    assert whole.shape == (2, 3)
    for parts in ([network.head], network.last_blocks(1), network.last_blocks(2)):
        halves = cutting.cut(network, parts, images)
        assert halves is not None, parts[0]
        assert torch.equal(halves.suffix(halves.prefix(images)), whole)


def test_options_that_the_constructor_refuses_are_a_readable_error():
    with pytest.raises(UserError, match=r"cannot build squeezenet1_1 with options \{'version': 3\}.*correct"):
        provider("squeezenet1_1", options={"version": 3}).build(2, None, 0)


@pytest.mark.parametrize(("weights", "expected"), [("none", False), ("x.pth", False), ("IMAGENET1K_V1", True)])
def test_only_released_weights_of_googlenet_rescale_their_input(weights, expected):
    module = provider("googlenet", weights)._construct(seed=0, random=False)
    assert module.transform_input is expected
    assert not module.aux_logits


def test_an_option_overrides_rescaling():
    model = provider("googlenet", "IMAGENET1K_V1", options={"transform_input": False})
    assert not model._construct(seed=0, random=False).transform_input


# Preprocessing -------------------------------------------------------------------------------------------------------


def test_a_release_has_its_preprocessing():
    wanted = provider("efficientnet_b0", "DEFAULT").preprocess(image_size=32)
    assert wanted == {
        "size": 224,
        "resize": 256,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "interpolation": "bicubic",
    }
    Preprocess.from_dict(wanted)


def test_networks_without_a_release_use_the_size_of_the_stored_images():
    wanted = provider("resnet18").preprocess(image_size=48)
    assert (wanted["size"], wanted["resize"], wanted["interpolation"]) == (48, 48, "bilinear")


def test_the_entry_overrides_the_release_and_a_size_alone_crops_nothing():
    wanted = provider("resnet18", "DEFAULT", preprocess={"size": 64, "mean": [0.5] * 3}).preprocess(32)
    assert (wanted["size"], wanted["resize"], wanted["mean"]) == (64, 64, [0.5] * 3)
    wanted = provider("resnet18", "DEFAULT", preprocess={"size": 64, "resize": 80}).preprocess(32)
    assert (wanted["size"], wanted["resize"]) == (64, 80)


def test_preprocess_returns_the_same_twice():
    this = provider("resnet18")
    this.preprocess(32)["mean"][0] = 7
    assert this.preprocess(32)["mean"][0] == 0.485


def test_images_too_small_for_the_network_are_refused():
    with pytest.raises(UserError, match=r"inception_v3 takes images of at least 75 pixels, not 32.*preprocess\.size"):
        provider("inception_v3").preprocess(image_size=32)


def test_the_smallest_size_is_the_smallest_that_passes():
    for name in ("squeezenet1_1", "densenet121"):
        least = architectures()[name].min_size
        module = provider(name).build(2, None, 0).module.eval()
        with torch.no_grad():
            module(torch.zeros(1, 3, least, least))
            with pytest.raises(RuntimeError):
                module(torch.zeros(1, 3, least - 1, least - 1))


def test_vision_transformers_take_the_size_they_are_built_for():
    assert provider("vit_b_32").preprocess(image_size=32)["size"] == 224
    assert provider("vit_b_32", options={"image_size": 64}).preprocess(image_size=32)["size"] == 64
    assert provider("vit_b_16", "IMAGENET1K_SWAG_E2E_V1").preprocess(image_size=32)["size"] == 384
    message = "vit_b_16 takes images of 384 pixels and no others"
    swag = {"preprocess": {"size": 224}}
    assert message in problems("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", **swag)["preprocess.size"]
    with pytest.raises(UserError, match=message):
        provider("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", **swag).preprocess(32)


# The check -----------------------------------------------------------------------------------------------------------


def test_the_nearest_names_are_suggested_for_unknown_ones():
    assert "did you mean 'resnet18'?" in problems("resnet81")["architecture"]
    assert "did you mean 'IMAGENET1K_V1'?" in problems("resnet18", "IMAGENET1K_V2")["weights"]
    assert "did you mean 'IMAGENET1K_V1'?" in problems("resnet18", "imagenet1k_v1")["weights"]
    assert "did you mean 'width_mult'?" in problems("mobilenet_v2", options={"width_mul": 1})["options.width_mul"]


def test_networks_that_do_not_classify_are_unknown():
    assert problems("fasterrcnn_resnet50_fpn").keys() == {"architecture"}


@pytest.mark.parametrize("option", ["num_classes", "weights", "progress", "aux_logits"])
def test_options_that_the_workflow_sets_are_refused(option):
    assert "cannot be set" in problems("googlenet", options={option: 3})[f"options.{option}"]


def test_correct_entries_have_no_problems():
    assert not problems("mobilenet_v2", "DEFAULT", options={"width_mult": 0.5})
    assert not problems("mobilenet_v3_small", options={"width_mult": 0.5, "dilated": True})
    assert not problems("vit_b_32", options={"image_size": 64}, preprocess={"size": 64})
    assert not problems("resnet18", "pretrain:letters")
    assert not problems("resnet18", "some/where.safetensors")


def test_a_wrong_entry_cannot_be_built():
    with pytest.raises(UserError, match="models: architecture: torchvision has no classification network 'resnet81'"):
        provider("resnet81").build(2, None, 0)


def test_facts_about_torchvisions_networks_are_those_of_the_imported_library():
    from torchvision import models

    known = architectures()
    assert list(known) == models.list_models(models)
    for name, architecture in known.items():
        enum = models.get_model_weights(name)
        assert architecture.releases == {key: member.name for key, member in enum.__members__.items()}
        for key, member in enum.__members__.items():
            assert architecture.trained_at[key] == member.transforms().crop_size[0]
            assert member.meta["num_params"] in architecture.sizes
            # The first digits of the SHA-256, without which nothing is downloaded.
            assert re.search(r"-[0-9a-f]{8,}\.pth$", member.url)
        builder = inspect.signature(models.get_model_builder(name)).return_annotation
        constructor = inspect.signature(builder).parameters
        assert set(architecture.parameters) >= {each for each in constructor if each != "kwargs"}
