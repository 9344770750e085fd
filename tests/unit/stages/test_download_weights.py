"""The stage writes one checked safetensors file and a manifest, or nothing and an error message."""

import hashlib
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

from variability import registry
from variability.errors import UserError
from variability.io import content_hash, files, temporary_names
from variability.models import networks
from variability.models.weight_files import read_tensors
from variability.models.weights_source import weights_kind
from variability.stages.download_weights import download_weights

SMALL = "squeezenet1_1"


class Release:
    """A fetcher that returns one file and records the request."""

    def __init__(self, file: Path):
        self.file = file
        self.request = None

    def fetch(self, url, target, checksum=None, filename=None):
        self.request = (url, checksum)
        shutil.copy(self.file, target)


def module(architecture: str = SMALL, **options):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return models.get_model(architecture, weights=None, **options)


def bring(folder: Path, weights: str | Path, architecture: str = SMALL, fetcher=None, mirrors=(), hashes=None, **entry):
    """Run the stage; return its safetensors file and its manifest."""
    model = {"provider": "torchvision", "architecture": architecture, "options": {}, "weights": str(weights)} | entry
    target, manifest = folder / "out" / "weights.safetensors", folder / "out" / "weights.json"
    download_weights(model, target, manifest, fetcher, mirrors, hashes=hashes)
    return target, files.read_json(manifest)


def build(architecture: str, weights: str, path: Path) -> networks.Network:
    model = {"provider": "torchvision", "architecture": architecture, "options": {}, "weights": weights}
    return registry.find("providers", "torchvision")(model).build(3, path, 0)


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(module().state_dict(), path)
    return path


def test_a_local_file_becomes_safetensors_with_a_manifest(tmp_path, shipped):
    target, manifest = bring(tmp_path, shipped)
    assert same(safetensors.torch.load_file(target), torch.load(shipped, weights_only=True))
    assert manifest["sha256"] == files.sha256(target)
    assert manifest["source_sha256"] == files.sha256(shipped)
    assert (manifest["source"], manifest["architecture"]) == (str(shipped), SMALL)
    assert sorted(tensor.name for tensor in target.parent.iterdir()) == ["weights.json", "weights.safetensors"]


def test_the_checksum_of_a_source_that_was_just_read_is_not_computed_again(tmp_path, shipped, monkeypatch):
    source, hashes = shutil.copy(shipped, tmp_path / "mine.pth"), tmp_path / "contents"
    content_hash.content_hash([source], hashes)
    expected, read = files.sha256(source), []
    monkeypatch.setattr(files, "sha256", lambda path, real=files.sha256: read.append(Path(path)) or real(path))

    def source_checksum(**entry):
        read.clear()
        return bring(tmp_path, source, hashes=hashes, **entry)[1]["source_sha256"]

    assert (source_checksum(), read) == (expected, [tmp_path / "out" / "weights.safetensors"])
    assert (source_checksum(sha256=expected.upper()), source in read) == (expected, False)
    assert (source_checksum(sha256=expected[:8]), source in read) == (expected, False)
    torch.save(torch.load(source, weights_only=True) | {"classifier.1.bias": torch.ones(1000)}, source)
    changed = files.sha256(source)
    assert (source_checksum(), source in read) == (changed, True)


def test_a_safetensors_file_of_the_whole_network_is_copied_and_any_other_is_written(tmp_path):
    tensors, whole = module().state_dict(), tmp_path / "whole.safetensors"
    safetensors.torch.save_file(tensors, whole, metadata={"format": "pt"})
    target, manifest = bring(tmp_path / "a", whole)
    assert target.read_bytes() == whole.read_bytes()
    assert manifest["sha256"] == manifest["source_sha256"] == files.sha256(target)

    wrapped = tmp_path / "wrapped.safetensors"
    safetensors.torch.save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, wrapped)
    target, manifest = bring(tmp_path / "b", wrapped)
    assert manifest["sha256"] == files.sha256(target) != manifest["source_sha256"]
    assert same(safetensors.torch.load_file(target), tensors)


def test_a_release_is_fetched_with_the_checksum_in_its_name(tmp_path, shipped):
    fetcher = Release(shipped)
    target, manifest = bring(tmp_path, "DEFAULT", fetcher=fetcher)
    url, checksum = fetcher.request
    assert url == manifest["source"] == models.SqueezeNet1_1_Weights.DEFAULT.url
    assert checksum == "sha256:" + url.removesuffix(".pth").rpartition("-")[2]
    assert manifest["release"] == "IMAGENET1K_V1"
    assert same(safetensors.torch.load_file(target), torch.load(shipped, weights_only=True))


def test_what_a_killed_job_left_is_removed(tmp_path, shipped):
    target, _ = bring(tmp_path, shipped)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = target.parent / temporary_names.prefix(target).replace(f"-{os.getpid()}-", f"-{ended.pid}-half")
    left.mkdir()
    (left / "release.bin").write_text("half of it")
    bring(tmp_path, shipped)
    assert sorted(path.name for path in target.parent.iterdir()) == ["weights.json", "weights.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path, shipped):
    first, _ = bring(tmp_path / "a", shipped)
    second, _ = bring(tmp_path / "b", shipped)
    assert first.read_bytes() == second.read_bytes()


def test_a_file_is_found_by_name_in_a_mirror(tmp_path, shipped):
    (tmp_path / "mirror" / "deep").mkdir(parents=True)
    shutil.copy(shipped, tmp_path / "mirror" / "deep" / "elsewhere.pth")
    target, manifest = bring(tmp_path, "elsewhere.pth", mirrors=[tmp_path / "mirror"])
    assert target.is_file()
    assert manifest["source"] == "elsewhere.pth"


def test_of_two_mirror_files_with_one_name_the_one_with_the_checksum_is_used(tmp_path, shipped):
    for folder in ("a", "b"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    torch.save({"other": torch.zeros(3)}, tmp_path / "mirror" / "a" / "net.pth")
    shutil.copy(shipped, tmp_path / "mirror" / "b" / "net.pth")
    _, manifest = bring(tmp_path, "net.pth", mirrors=[tmp_path / "mirror"], sha256=files.sha256(shipped))
    assert manifest["source_sha256"] == files.sha256(shipped)
    with pytest.raises(UserError, match=r"weights of squeezenet1_1: .*different files named 'net\.pth'"):
        bring(tmp_path / "unsure", "net.pth", mirrors=[tmp_path / "mirror"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"squeezenet1_1: no file 'nowhere\.pth'"):
        bring(tmp_path, "nowhere.pth")


def test_the_checksum_of_a_local_file_is_checked(tmp_path, shipped):
    digest = hashlib.sha256(shipped.read_bytes()).hexdigest()
    bring(tmp_path, shipped, sha256=digest)
    bring(tmp_path, shipped, sha256=digest[:16].upper())
    with pytest.raises(UserError, match="its sha256 should be 00000000"):
        bring(tmp_path / "wrong", shipped, sha256="0" * 64)
    assert not list(tmp_path.glob("wrong/**/*.*"))


def test_weights_of_another_architecture_are_refused_and_recognised(tmp_path, shipped):
    with pytest.raises(UserError) as caught:
        bring(tmp_path, shipped, architecture="shufflenet_v2_x0_5")
    message = str(caught.value)
    assert f"{shipped} does not fit torchvision's shufflenet_v2_x0_5" in message
    assert "missing: conv1.0.weight" in message
    assert "unexpected: features.0.weight" in message
    assert "By its 1,235,496 parameters it may be of squeezenet1_1" in message
    assert not list((tmp_path / "out").iterdir())


def test_weights_of_another_width_are_refused_with_the_shapes(tmp_path, shipped):
    with pytest.raises(UserError, match=r"of another shape: features\.0\.weight \(64x3x3x3, not 96x3x7x7\)"):
        bring(tmp_path, shipped, architecture="squeezenet1_0")


def test_a_pickle_that_could_run_code_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("evil.pth", "bare.pth"):
        with pytest.raises(UserError, match=f"{name} (is refused|cannot be read)"):
            bring(tmp_path, tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_refused(tmp_path, shipped, suffix):
    path = tmp_path / f"half{suffix}"
    path.write_bytes(shipped.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"half{suffix} (is refused|cannot be read)"):
        bring(tmp_path, path)


def test_a_whole_module_is_not_a_state_dict(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="has a list instead of a state dict"):
        bring(tmp_path, tmp_path / "list.pth")
    torch.save({"epoch": 3, "weight": torch.zeros(3)}, tmp_path / "training.pth")
    with pytest.raises(UserError, match="has 'epoch', which is not a tensor"):
        bring(tmp_path, tmp_path / "training.pth")


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_state_dicts_in_files_of_training_scripts_are_unwrapped(tmp_path, shipped, key):
    plain = torch.load(shipped, weights_only=True)
    torch.save({key: {f"module.{name}": tensor for name, tensor in plain.items()}, "epoch": 3}, tmp_path / "run.pth")
    target, _ = bring(tmp_path, tmp_path / "run.pth")
    assert same(safetensors.torch.load_file(target), plain)


def test_old_names_in_densenet_releases_are_translated(tmp_path):
    plain = module("densenet121").state_dict()
    old = {
        name.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2.")
        if "denselayer" in name
        else name: tensor
        for name, tensor in plain.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    target, _ = bring(tmp_path, "DEFAULT", "densenet121", fetcher=Release(tmp_path / "old.pth"))
    assert same(safetensors.torch.load_file(target), plain)


@pytest.mark.slow
def test_old_names_in_vision_transformer_releases_are_translated(tmp_path):
    plain = module("vit_b_32").state_dict()
    old = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): tensor
        for name, tensor in plain.items()
    }
    assert "encoder.layers.encoder_layer_0.mlp.linear_1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    target, _ = bring(tmp_path, "IMAGENET1K_V1", "vit_b_32", fetcher=Release(tmp_path / "old.pth"))
    assert same(safetensors.torch.load_file(target), plain)


def test_networks_with_versions_load_from_safetensors_without_versions(tmp_path):
    plain = module("mnasnet0_5").state_dict()
    torch.save(plain, tmp_path / "mnasnet.pth")
    target, _ = bring(tmp_path, tmp_path / "mnasnet.pth", "mnasnet0_5")
    network = build("mnasnet0_5", "mnasnet.pth", target)
    assert torch.equal(network.module.layers[0].weight, plain["layers.0.weight"])


def test_auxiliary_classifiers_are_dropped_and_released_inputs_rescaled(tmp_path):
    whole = module("googlenet", aux_logits=True, init_weights=False)
    torch.save(whole.state_dict(), tmp_path / "googlenet.pth")
    target, _ = bring(tmp_path, "DEFAULT", "googlenet", fetcher=Release(tmp_path / "googlenet.pth"))
    assert not [name for name in safetensors.torch.load_file(target) if name.startswith("aux")]
    network = build("googlenet", "DEFAULT", target)
    # As torchvision does with this release, except for its old head.
    whole.transform_input = True
    whole.aux_logits, whole.aux1, whole.aux2 = False, None, None
    whole.fc = network.module.fc
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network.module.eval()(images), whole.eval()(images))


def test_the_kind_of_weights_follows_from_their_name():
    kinds = {
        "none": "none",
        "pretrain:letters": "pretrain",
        "IMAGENET1K_V1": "named",
        "a/b.safetensors": "file",
        "b.pth": "file",
        "c.pt": "file",
    }
    assert {weights: weights_kind(weights) for weights in kinds} == kinds


def test_reading_returns_the_versions_of_modules(shipped):
    _, versions = read_tensors(shipped)
    assert versions[""] == {"version": 1}


REAL = {
    "mobilenet_v2": ("mobilenet_v2.torchvision.safetensors", "c3e13532fb454757", {"mean": [0.5] * 3, "std": [0.5] * 3}),
    "squeezenet1_0": ("squeezenet1_0_deepcompression.safetensors", "5203c23c08a8b114", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", REAL)
def test_real_weights_recognise_a_palace_in_a_photograph(tmp_path, mirror, architecture):
    from sklearn.datasets import load_sample_image

    from variability.data.preprocessing import Preprocess

    name, digest, preprocess = REAL[architecture]
    model = {
        "provider": "torchvision",
        "architecture": architecture,
        "options": {},
        "weights": name,
        "sha256": digest,
        "preprocess": {"size": 224} | preprocess,
    }
    target, manifest = tmp_path / "w.safetensors", tmp_path / "w.json"
    download_weights(model, target, manifest, None, [mirror])
    assert files.read_json(manifest)["source_sha256"].startswith(digest)

    provider = registry.find("providers", "torchvision")(model)
    network = provider.build(1000, target, 0)
    network.module.load_state_dict(safetensors.torch.load_file(target))  # its old head too
    photograph = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None, :, :427, 106:533]
    with torch.no_grad():
        logits = network.module.eval()(Preprocess.from_dict(provider.preprocess(427))(photograph))
    names = models.ResNet18_Weights.DEFAULT.meta["categories"]
    assert {"palace", "monastery", "bell cote"} & {names[at] for at in logits[0].topk(3).indices}
