"""Models of images and texts: before training they are the library's zero-shot classifiers."""

import pytest
import torch
from support import objections
from two_towers import saved

from variability import registry
from variability.data.preprocessing import Preprocess
from variability.errors import UserError
from variability.io import files
from variability.io.fetcher import Fetcher
from variability.models import cutting, methods, networks
from variability.stages.download_assets import download_assets
from variability.stages.download_weights import download_weights

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

CLASSES = ["cat", "dog", "horse"]
FACTS = {"size": 32, "channels": 3, "class_names": CLASSES}


def entry(folder, weights="pretrained", **options):
    return {"provider": "clip", "architecture": str(folder), "weights": weights, "options": options, "preprocess": {}}


def ready(folder, made, weights="pretrained", **options):
    """Return the provider with its files and the path of its weights, fetched as by the rules."""
    model, made = entry(folder, weights, **options), made / "made"
    download_assets(model, made / "files", made / "assets.json", Fetcher(progress=False))
    target = made / "weights.safetensors" if weights != "none" else None
    this = registry.find("providers", "clip")(model, made / "assets.json")
    if target:
        download_weights(model, target, made / "weights.json", Fetcher(progress=False), (), made / "assets.json")
    return this, target


def problems(weights="pretrained", **options):
    return objections(registry.find("providers", "clip")(entry("org/name", weights, **options)))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_before_training_the_network_is_the_librarys_zero_shot_classifier(kind, tmp_path):
    folder = saved(tmp_path / "model", kind)
    this, weights = ready(folder, tmp_path)
    network = this.build(3, weights, 0, FACTS)
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = Preprocess.from_dict(this.preprocess(32))(images)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    padding = {"padding": "max_length", "max_length": 12} if kind == "siglip" else {"padding": True}
    encoded = tokenizer([f"a photo of a {name}." for name in CLASSES], return_tensors="pt", **padding)
    wanted = ("input_ids",) if kind == "siglip" else ("input_ids", "attention_mask")
    with torch.no_grad():
        theirs = model(pixel_values=pixels, **{key: encoded[key] for key in wanted}).logits_per_image
        ours = network.module.eval()(pixels)
    assert theirs.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_several_prompts_are_averaged_on_the_sphere(tmp_path):
    folder = saved(tmp_path / "model")
    prompts = ["a photo of a {}.", "a drawing of a {}."]
    this, weights = ready(folder, tmp_path, prompt=prompts)
    head = this.build(3, weights, 0, FACTS).module.head
    rows = []
    for prompt in prompts:
        (tmp_path / prompt[2:7]).mkdir()
        one, path = ready(folder, tmp_path / prompt[2:7], prompt=prompt)
        rows.append(one.build(3, path, 0, FACTS).module.head.weight.detach())
    mean = sum(rows) / 2
    expected = mean / mean.norm(dim=1, keepdim=True) * rows[0].norm(dim=1, keepdim=True)
    torch.testing.assert_close(head.weight.detach(), expected)


def test_a_head_of_prompts_is_the_same_for_all_seeds_and_a_random_head_is_not(tmp_path):
    folder = saved(tmp_path / "model")
    this, weights = ready(folder, tmp_path)
    network = this.build(3, weights, 0, FACTS)
    first = network.module.head.weight.detach().clone()
    network.module.head.weight.data.zero_()
    this.sample_head(network, 7)
    assert torch.equal(network.module.head.weight, first)
    (tmp_path / "random").mkdir()
    that, weights = ready(folder, tmp_path / "random", head="random")
    one, other = (that.build(3, weights, seed, FACTS) for seed in (0, 1))
    assert not torch.equal(one.module.head.weight, other.module.head.weight)
    assert networks.frozen_digest(one, ["head"]) == networks.frozen_digest(network, ["head"])


def test_only_the_image_tower_and_the_head_are_saved(tmp_path):
    this, weights = ready(saved(tmp_path / "model"), tmp_path)
    names = this.build(3, weights, 0, FACTS).module.state_dict()
    assert {name.partition(".")[0] for name in names} == {"backbone", "head"}
    assert not [name for name in names if "text" in name or "prompt" in name]


def test_a_task_without_classes_has_a_random_head(tmp_path):
    this, weights = ready(saved(tmp_path / "model"), tmp_path)
    network = this.build(1, weights, 0, FACTS | {"class_names": []})
    assert network.module.head.out_features == 1


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_blocks_are_the_towers_layers_and_the_head_is_cut_off(kind, tmp_path):
    this, weights = ready(saved(tmp_path / "model", kind), tmp_path)
    network = this.build(3, weights, 0, FACTS)
    assert len(network.blocks) == 3 and all(".layers." in name for name in network.blocks)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    halves = cutting.cut(network, [network.head], images)
    assert torch.equal(halves.suffix(halves.prefix(images)), network.module(images))
    partial = methods.from_entry({"name": "partial", "kind": "partial", "blocks": 1}).trainable(network)
    assert network.blocks[-1] in partial and network.head in partial and network.blocks[0] not in partial


def test_images_of_another_size_have_interpolated_positions(tmp_path):
    this, weights = ready(saved(tmp_path / "model"), tmp_path)
    this.model["preprocess"] = {"size": 48}
    assert (this.preprocess(32)["size"], this.preprocess(32)["resize"]) == (48, 48)
    with torch.no_grad():
        assert this.build(3, weights, 0, FACTS).module.eval()(torch.zeros(2, 3, 48, 48)).shape == (2, 3)


def test_preprocessing_is_the_models_own(tmp_path):
    folder = saved(tmp_path / "model", weights=False)
    stored = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "resample": 2}
    files.write_json(folder / "preprocessor_config.json", stored | {"image_mean": [0.1] * 3, "image_std": [0.2] * 3})
    this, _ = ready(folder, tmp_path, "none")
    wanted = {"size": 32, "resize": 36, "mean": [0.1] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    assert this.preprocess(100) == wanted


def test_a_text_model_is_refused(tmp_path):
    (tmp_path / "model").mkdir()
    files.write_json(tmp_path / "model" / "config.json", {"model_type": "bert"})
    this = registry.find("providers", "clip")(entry(tmp_path / "model"))
    assert "not a model of images and texts" in str(next(iter(this.check_source([]))))


def test_weights_without_texts_have_no_prompts(tmp_path):
    import safetensors.torch

    this, weights = ready(saved(tmp_path / "model"), tmp_path)
    tower_only = {
        key: tensor for key, tensor in safetensors.torch.load_file(weights).items() if key.startswith("backbone.")
    }
    safetensors.torch.save_file(tower_only, tmp_path / "alone.safetensors")
    with pytest.raises(UserError, match=r"alone\.safetensors does not fit the text tower, which head: prompts needs"):
        this.build(3, tmp_path / "alone.safetensors", 0, FACTS)


def test_prompts_need_a_pretrained_text_tower():
    assert "weights: pretrained" in problems("none", head="prompts")["options.head"]
    assert "weights: pretrained" in problems("pretrain:x", head="prompts")["options.head"]
    assert "remove it" in problems(head="random", prompt="a {}")["options.prompt"]
    assert not problems(head="prompts", prompt=["a {}", "the {}"])
    cut = entry("org/name") | {"preprocess": {"size": 64, "resize": 32}}
    assert "is cropped from" in str(*registry.find("providers", "clip")(cut).check())
    assert "did you mean 'pretrained'?" in problems("pretraind")["weights"]
