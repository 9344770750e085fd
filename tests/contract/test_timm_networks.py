"""Networks of timm: heads and blocks of every kind of architecture, releases, and the check of names and options."""

import json
import math

import pytest
import torch
from support import objections

from variability import registry
from variability.data.preprocessing import Preprocess
from variability.errors import UserError
from variability.io.fetcher import Fetcher
from variability.io.files import read_json
from variability.models import cutting, networks
from variability.models.providers import _timm_facts
from variability.stages.download_weights import download_weights

timm = pytest.importorskip("timm", reason="the extra timm is not installed")

HEAVY = pytest.mark.slow
# One member of each family, the side of its test images, options that make it cheap, and the head.
FAMILIES = [
    pytest.param("test_vit", 160, {"dynamic_img_size": False}, "head"),
    pytest.param("test_resnet", 32, {}, "fc"),
    pytest.param("test_convnext", 32, {}, "head.fc"),
    pytest.param("test_efficientnet", 32, {"pad_type": "same"}, "classifier"),
    pytest.param("test_byobnet", 32, {}, "head.fc"),
    pytest.param("test_mambaout", 32, {}, "head.fc"),
    pytest.param("mobilenetv3_small_050", 32, {}, "classifier"),
    pytest.param("resnet18", 32, {}, "fc", marks=HEAVY),
    pytest.param("convnext_atto", 32, {}, "head.fc", marks=HEAVY),
    pytest.param("vit_tiny_patch16_224", 32, {"img_size": 32}, "head", marks=HEAVY),
    pytest.param("deit3_small_patch16_224", 32, {"img_size": 32, "depth": 4}, "head", marks=HEAVY),
    pytest.param("vit_base_patch32_clip_224", 64, {"img_size": 64, "depth": 4}, "head", marks=HEAVY),
    pytest.param("vit_base_patch16_siglip_224", 32, {"img_size": 32, "depth": 4}, "head", marks=HEAVY),
    pytest.param("vit_small_patch14_dinov2", 28, {"img_size": 28, "depth": 4}, "head", marks=HEAVY),
    pytest.param("eva02_tiny_patch14_224", 28, {"img_size": 28, "depth": 4}, "head", marks=HEAVY),
    pytest.param("beit_base_patch16_224", 32, {"img_size": 32, "depth": 4}, "head", marks=HEAVY),
    pytest.param("swin_tiny_patch4_window7_224", 56, {"img_size": 56}, "head.fc", marks=HEAVY),
    pytest.param("hiera_tiny_224", 224, {}, "head.fc", marks=HEAVY),
    pytest.param("efficientnet_b0", 32, {}, "classifier", marks=HEAVY),
    pytest.param("resnetv2_50", 32, {}, "head.fc", marks=HEAVY),
    pytest.param("regnety_002", 32, {}, "head.fc", marks=HEAVY),
    pytest.param("densenet121", 32, {}, "classifier", marks=HEAVY),
    pytest.param("mixer_s32_224", 224, {}, "head", marks=HEAVY),
    pytest.param("resmlp_12_224", 224, {}, "head", marks=HEAVY),
    pytest.param("poolformer_s12", 32, {}, "head.fc", marks=HEAVY),
    pytest.param("mobilevit_xxs", 64, {}, "head.fc", marks=HEAVY),
    pytest.param("fastvit_t8", 64, {}, "head.fc", marks=HEAVY),
    pytest.param("dpn48b", 64, {}, "classifier", marks=HEAVY),
]


def provider(architecture: str, weights: str = "none", **entry):
    return registry.find("providers", "timm")({"architecture": architecture, "weights": weights} | entry)


def problems(*arguments, **entry) -> dict[str, str]:
    return objections(provider(*arguments, **entry))


@pytest.mark.parametrize(("name", "side", "options", "head"), FAMILIES)
@torch.no_grad()
def test_every_family_has_its_head_replaced_and_is_cut_before_it_and_its_last_blocks(name, side, options, head):
    this = provider(name, options=options)
    network = this.build(outputs=3, weights=None, seed=0)
    assert network.head == head
    assert this.preprocess(side)["size"] == side
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    whole = network.module.eval()(images)
    assert whole.shape == (2, 3)
    larger = this.build(outputs=5, weights=None, seed=0)
    assert networks.frozen_digest(network, [head]) == networks.frozen_digest(larger, [head])
    for parts in ([head], network.last_blocks(1), network.last_blocks(2)):
        halves = cutting.cut(network, parts, images)
        assert halves is not None, parts[0]
        assert torch.equal(halves.suffix(halves.prefix(images)), whole)


@pytest.mark.parametrize(("name", "side"), [("test_vit", 160), ("twins_svt_small", 64)])
def test_a_network_that_cannot_be_traced_is_cut_before_its_head(name, side):
    network = provider(name).build(outputs=3, weights=None, seed=0)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    halves = cutting.cut(network, [network.head], images)
    assert torch.equal(halves.suffix(halves.prefix(images)), network.module(images))
    assert halves.suffix is network.module.get_submodule(network.head)


def test_blocks_of_a_vision_transformer_are_its_layers_and_the_patch_embedding():
    blocks = provider("test_vit").build(3, None, 0).blocks
    assert blocks == ["patch_embed", *[f"blocks.{at}" for at in range(len(blocks) - 1)]]


# Weights -------------------------------------------------------------------------------------------------------------


def repository(mirror, name, tensors):
    """Write a copy of a hub's repository into a mirror; return the mirror."""
    import safetensors.torch

    folder = mirror / "timm" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    return mirror


def brought(folder, architecture, weights, mirrors=(), **entry):
    import safetensors.torch

    model = {"provider": "timm", "architecture": architecture, "weights": str(weights), "options": {}} | entry
    target = folder / "out" / "weights.safetensors"
    download_weights(model, target, folder / "out" / "weights.json", Fetcher(mirrors, progress=False))
    return target, safetensors.torch.load_file(target)


def test_a_release_is_found_in_a_mirror_by_its_name_on_the_hub(tmp_path):
    plain = timm.create_model("test_resnet").state_dict()
    mirror = repository(tmp_path / "mirror", "test_resnet.r160_in1k", plain)
    path, tensors = brought(tmp_path, "test_resnet", "r160_in1k", [mirror])
    assert tensors.keys() == plain.keys() and all(torch.equal(tensors[name], plain[name]) for name in plain)
    network = provider("test_resnet", "r160_in1k").build(3, path, 0)
    assert torch.equal(network.module.get_parameter("layer4.0.conv1.weight"), plain["layer4.0.conv1.weight"])
    manifest = read_json(tmp_path / "out" / "weights.json")
    assert (manifest["source"], manifest["release"]) == ("timm/test_resnet.r160_in1k", "r160_in1k")


def test_a_release_is_fetched_from_the_hub_with_the_hubs_checksum(tmp_path):
    requests = []

    class Hub:
        mirrors = ()

        def fetch(self, url, target, checksum=None, **more):
            requests.append((url, checksum))
            if target.suffix == ".json":
                file = {"rfilename": "model.safetensors", "lfs": {"sha256": "ab" * 32}}
                target.write_text(json.dumps({"sha": "c0ffee", "siblings": [file]}))

    target, facts = provider("test_resnet", "r160_in1k").fetch_weights(Hub(), tmp_path)
    (listing, none), (file, checksum) = requests
    assert "timm/test_resnet.r160_in1k/revision/main" in listing and none is None
    assert file.endswith("timm/test_resnet.r160_in1k/resolve/c0ffee/model.safetensors")
    assert checksum == "sha256:" + "ab" * 32
    assert target == tmp_path / "model.safetensors" and facts["commit"] == "c0ffee"


def test_positions_are_resampled_for_images_of_another_size(tmp_path):
    plain = timm.create_model("test_vit").state_dict()
    mirror = repository(tmp_path / "mirror", "test_vit.r160_in1k", plain)
    path, tensors = brought(tmp_path, "test_vit", "r160_in1k", [mirror], options={"img_size": 64})
    assert tensors["pos_embed"].shape[1] < plain["pos_embed"].shape[1]
    assert torch.equal(tensors["patch_embed.proj.weight"], plain["patch_embed.proj.weight"])
    this = provider("test_vit", "r160_in1k", options={"img_size": 64})
    assert this.preprocess(32)["size"] == 64
    with torch.no_grad():
        assert this.build(3, path, 0).module.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_a_backbone_without_its_head_is_enough(tmp_path):
    plain = timm.create_model("test_vit", num_classes=0).state_dict()
    torch.save(plain, tmp_path / "backbone.pth")
    path, tensors = brought(tmp_path, "test_vit", tmp_path / "backbone.pth")
    assert tensors.keys() == plain.keys()
    network = provider("test_vit", str(path)).build(3, path, 0)
    assert torch.equal(network.module.patch_embed.proj.weight, plain["patch_embed.proj.weight"])
    assert network.module.head.out_features == 3


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth does not fit timm's test_vit: .*tensors missing: cls_token"):
        brought(tmp_path, "test_vit", tmp_path / "other.pth")


def test_tensorflow_padding_of_the_mirror_loads_strictly(mirror, tmp_path):
    import safetensors.torch

    (file,) = mirror.rglob("mobilenetv2_100.timm_padsame.safetensors")
    options = {"pad_type": "same"}
    path, tensors = brought(tmp_path, "mobilenetv2_100", file, options=options)
    shipped = safetensors.torch.load_file(file)
    assert all(torch.equal(tensors[name], shipped[name]) for name in shipped)
    network = provider("mobilenetv2_100", str(file), options=options).build(3, path, 0)
    assert type(network.module.conv_stem).__name__ == "Conv2dSame"


# Preprocessing -------------------------------------------------------------------------------------------------------


def test_a_release_has_its_preprocessing():
    wanted = provider("vit_tiny_patch16_224", "augreg_in21k_ft_in1k").preprocess(32)
    assert wanted == {
        "size": 224,
        "resize": math.floor(224 / 0.9),
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
    }
    Preprocess.from_dict(wanted)


def test_preprocessing_agrees_with_timms_own():
    from PIL import Image
    from timm.data import create_transform, resolve_data_config

    pixels = torch.randint(0, 256, (1, 3, 90, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for tag in ("r160_in1k",):
        wanted = provider("test_resnet", tag).preprocess(90)
        module = timm.create_model(f"test_resnet.{tag}")
        theirs = create_transform(**resolve_data_config({}, model=module))
        image = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
        ours = Preprocess.from_dict(wanted)(pixels)[0]
        # Pillow resizes in integers: values differ by about one grey level.
        assert (ours - theirs(image)).abs().max() < 3 / 255 / min(wanted["std"])


# The check -----------------------------------------------------------------------------------------------------------


def test_the_nearest_names_are_suggested_for_unknown_ones():
    assert "did you mean 'resnet18'?" in problems("resnet81")["architecture"]
    assert "did you mean 'a1_in1k'?" in problems("resnet50", "a1_in2k")["weights"]
    assert "did you mean 'pad_type'?" in problems("mobilenetv2_100", options={"padtype": 1})["options.padtype"]
    assert "architecture: resnet50 and weights: a1_in1k" in problems("resnet50.a1_in1k")["architecture"]


def test_networks_with_several_heads_are_refused():
    assert "by 2 layers" in problems("deit_tiny_distilled_patch16_224")["architecture"]


def test_learnt_positions_fix_the_size():
    message = problems("vit_tiny_patch16_224", preprocess={"size": 32})["preprocess.size"]
    assert "takes images of 224 pixels and no others" in message and "options.img_size" in message
    assert not problems("vit_tiny_patch16_224", options={"img_size": 32}, preprocess={"size": 32})
    assert not problems("vit_tiny_patch16_224", options={"dynamic_img_size": True}, preprocess={"size": 32})


@pytest.mark.parametrize("option", ["num_classes", "in_chans", "pretrained", "features_only", "checkpoint_path"])
def test_options_that_the_workflow_sets_are_refused(option):
    assert "cannot be set" in problems("resnet18", options={option: 3})[f"options.{option}"]


def test_options_that_do_not_fit_together_are_a_readable_error():
    with pytest.raises(UserError, match=r"timm cannot build test_vit with options \{'depth': 'x'\}.*correct"):
        provider("test_vit", options={"depth": "x"}).build(2, None, 0)


def test_facts_about_timms_networks_are_those_of_the_imported_library():
    from timm.models import list_models
    from timm.models._registry import _model_default_cfgs

    assert _timm_facts.architectures() == list_models()
    for name in _timm_facts.architectures():
        known = _model_default_cfgs[name].cfgs
        releases = _timm_facts.releases(name)
        assert set(releases) == set(known), name
        for tag, configuration in known.items():
            assert releases[tag].side == configuration.input_size[-1]
            assert releases[tag].fixed == bool(configuration.fixed_input_size)
            assert releases[tag].has_weights == bool(configuration.has_weights)
            heads = configuration.classifier or ()
            assert releases[tag].classifiers == ([heads] if isinstance(heads, str) else list(heads))
