"""Every provider builds networks with a new head that depend only on the seed."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import two_towers
from support import ROOT

from variability import extras, registry
from variability.data import modalities
from variability.errors import UserError
from variability.io.fetcher import Fetcher
from variability.stages.download_assets import download_assets
from variability.training import frameworks

LIBRARY = Path(registry.__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """A small network of a provider, for the tests.

    model: its entry. facts: of a task's examples. folder: writes the folder that is the entry's architecture, if it
    is one. function: the file in that folder, and the function in it, that build the network.
    """

    model: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=lambda: {"size": 32, "channels": 3})
    folder: Callable[[Path], Path] | None = None
    function: str = ""


ITEMS = {"items": 6, "target": "next_item", "max_length": 8, "exclude_seen": True}
#: A provider without an entry here fails the first test.
CASES = {
    "clip": Case({}, folder=lambda folder: two_towers.saved(folder, weights=False)),
    "counting": Case({"architecture": "popularity"}, ITEMS),
    "keras": Case({"architecture": "MobileNetV2", "options": {"alpha": 0.35}}),
    "python_file": Case({}, folder=lambda folder: own_network(folder), function="nets.py:build"),
    "sequential": Case({"architecture": "sasrec", "options": {"hidden_size": 8}}, ITEMS),
    "timm": Case({"architecture": "test_efficientnet", "options": {"pad_type": "same"}}),
    "torchvision": Case({"architecture": "shufflenet_v2_x0_5"}),
    "transformers": Case({}, {"max_length": 8, "pairs": False}, lambda folder: tiny_bert(folder)),
}
NAMES = registry.names("providers")
IN_TORCH = [name for name in NAMES if registry.find("providers", name).FRAMEWORK == "pytorch" and name in CASES]
#: Providers of classifiers.
CLASSIFY = [name for name in IN_TORCH if "classification" in registry.find("providers", name).KINDS]


def provider(name: str, folder: Path, weights: str = "none"):
    plugin, case = registry.find("providers", name), CASES[name]
    if missing := extras.missing(plugin):
        pytest.skip(missing)
    model = {"name": "m", "provider": name, "weights": weights, "options": {}, "preprocess": {}} | case.model
    if case.folder is None:
        return plugin(model)
    folder = folder / name
    folder.mkdir(exist_ok=True)
    if not (folder / "model").is_dir():
        case.folder(folder / "model")
    model["architecture"] = str(folder / "model" / case.function)
    assets = folder / "assets.json"
    if plugin.ASSETS and not assets.is_file():
        download_assets(model, folder / "files", assets, Fetcher(progress=False))
    return plugin(model, assets)


def tiny_bert(folder: Path) -> None:
    import transformers

    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    transformers.BertConfig(vocab_size=10, max_position_embeddings=16, **sizes).save_pretrained(folder)


def own_network(folder: Path) -> None:
    folder.mkdir()
    (folder / "nets.py").write_text(
        "from torch import nn\n\n"
        "def build():\n"
        "    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)\n"
        "    return nn.Sequential(first, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))\n"
    )


def facts(name: str, outputs: int = 3) -> dict[str, Any]:
    return CASES[name].facts | {"class_names": [f"class {number}" for number in range(outputs)]}


def built(name: str, folder: Path, outputs: int = 3, weights: Path | None = None, seed: int = 0):
    this = provider(name, folder, str(weights) if weights else "none")
    return this.build(outputs, weights, seed, facts(name, outputs))


def digest(network, *parts: str) -> str:
    from variability.models.networks import tensors_digest, trained_tensors

    return tensors_digest(trained_tensors(network, parts or [""]))


# Attributes ---------------------------------------------------------------------------------------------------------


def test_every_provider_has_a_case():
    assert set(CASES) == set(NAMES), "add a case for the new provider"


@pytest.mark.parametrize("name", NAMES)
def test_plugins_that_a_provider_names_exist(name):
    plugin = registry.find("providers", name)
    assert plugin.MODALITY in registry.names("modalities")
    assert set(plugin.KINDS) <= set(registry.names("kinds")) and plugin.KINDS
    assert plugin.FRAMEWORK in registry.names("frameworks")
    assert bool(plugin.EXTRA) == bool(plugin.NEEDS)
    if plugin.EXTRA:
        assert (ROOT / f"envs/{plugin.EXTRA}.in").is_file()


def test_providers_import_and_check_without_their_libraries(tmp_path):
    models = {name: provider(name, tmp_path).model for name in NAMES}
    code = (
        "import sys\nfrom variability import registry\n"
        "heavy = {'torch', 'torchvision', 'timm', 'transformers', 'keras', 'tensorflow', 'safetensors'}\n"
        f"for name, model in {models!r}.items():\n"
        "    problems = list(registry.find('providers', name)(model).check())\n"
        "    assert not problems, (name, problems)\n"
        "    assert not heavy & set(sys.modules), f'{name} imports {heavy & set(sys.modules)}'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(LIBRARY)})


# Networks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_network_depends_only_on_its_seed(name, tmp_path):
    import torch

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = built(name, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before), "building used the global generator"
    torch.manual_seed(2)
    assert digest(built(name, tmp_path)) == digest(first)
    other = built(name, tmp_path, seed=1)
    for part in (first.blocks[0], first.head):
        assert digest(other, part) != digest(first, part)


@pytest.mark.parametrize("name", CLASSIFY)
def test_the_size_of_the_head_does_not_change_the_backbone(name, tmp_path):
    import torch

    from variability.models.networks import frozen_digest

    this, digests = provider(name, tmp_path), {}
    for outputs in (3, 5):
        network = this.build(outputs, None, 0, facts(name, outputs))
        digests[outputs] = frozen_digest(network, [network.head])
        example = modalities.find(this.MODALITY).example_batch(this, CASES[name].facts)
        with torch.no_grad():
            assert network.module.eval()(example).shape == (2, outputs)
    assert digests[3] == digests[5]


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_head_sampled_again_is_that_of_its_seed(name, tmp_path):
    network = built(name, tmp_path, seed=0)
    provider(name, tmp_path).sample_head(network, 7)
    assert digest(network, network.head) == digest(built(name, tmp_path, seed=7), network.head)


@pytest.mark.parametrize("name", CLASSIFY)
def test_weights_load_whatever_their_number_of_classes_and_the_head_is_the_seeds(name, tmp_path):
    import safetensors.torch

    from variability.models.networks import frozen_digest

    source = built(name, tmp_path, outputs=3, seed=7)
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({key: tensor.contiguous() for key, tensor in source.module.state_dict().items()}, path)
    network = built(name, tmp_path, outputs=3, weights=path)
    assert frozen_digest(network, [network.head]) == frozen_digest(source, [source.head])
    assert digest(network, network.head) == digest(built(name, tmp_path), network.head)
    this = provider(name, tmp_path, str(path))
    assert frozen_digest(this.build(6, path, 0, facts(name, 6)), [source.head]) == frozen_digest(source, [source.head])
    assert this.convert(path).keys() >= {key for key in source.module.state_dict() if not key.startswith(source.head)}


@pytest.mark.parametrize("name", IN_TORCH)
def test_weights_of_another_network_are_refused_with_the_reason(name, tmp_path):
    import safetensors.torch
    import torch

    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"some.weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"other\.safetensors"):
        built(name, tmp_path, weights=path)
    if name in CLASSIFY:  # what others fit is known with their task only
        with pytest.raises(UserError, match=r"other\.safetensors"):
            provider(name, tmp_path, str(path)).convert(path)


@pytest.mark.parametrize("name", IN_TORCH)
def test_blocks_are_modules_without_the_head(name, tmp_path):
    network = built(name, tmp_path)
    assert len(network.blocks) >= 2
    for block in network.blocks:
        network.module.get_submodule(block)
        assert block != network.head


@pytest.mark.parametrize("name", [name for name in NAMES if registry.find("providers", name).MODALITY == "image"])
def test_each_call_of_preprocess_returns_a_new_value(name, tmp_path):
    this = provider(name, tmp_path)
    first = this.preprocess(32)
    assert set(first) == {"size", "resize", "mean", "std", "interpolation"}
    first["mean"][0] = 7
    assert this.preprocess(32)["mean"][0] != 7


@pytest.mark.parametrize("name", NAMES)
def test_the_framework_of_a_provider_is_found_by_a_models_entry(name):
    assert frameworks.of({"provider": name}) is registry.find("frameworks", registry.find("providers", name).FRAMEWORK)


@pytest.mark.parametrize("name", ["torchvision", "timm", "keras"])
def test_an_unknown_architecture_is_explained_with_networks_of_the_users_own(name):
    plugin = registry.find("providers", name)
    if missing := extras.missing(plugin):
        pytest.skip(missing)
    model = {"name": "m", "provider": name, "weights": "none", "options": {}, "preprocess": {}, "architecture": "nett"}
    messages = [problem.message for problem in plugin(model).check() if problem.key == "architecture"]
    assert len(messages) == 1 and "my_nets.py:build" in messages[0]
