"""Every provider builds networks with a fresh head, from a seed and nothing else."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from variability import extras, frameworks, modalities, registry
from variability.errors import UserError

LIBRARY = Path(registry.__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """A small network of a provider, to try it on.

    model: its entry. facts: of a task's examples. files: makes, in a folder, what the network is built from beside
    weights, and returns its manifest.
    """

    model: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=lambda: {"size": 32, "channels": 3, "class_names": ["a", "b", "c"]})
    files: Callable[[Path], Path] | None = None


#: A provider without an entry here fails the first test.
CASES = {
    "torchvision": Case({"architecture": "shufflenet_v2_x0_5"}),
    "timm": Case({"architecture": "test_efficientnet", "options": {"pad_type": "same"}}),
}
NAMES = registry.names("providers")
IN_TORCH = [name for name in NAMES if registry.find("providers", name).FRAMEWORK == "pytorch" and name in CASES]


def provider(name: str, folder: Path, weights: str = "none"):
    plugin, case = registry.find("providers", name), CASES[name]
    if missing := extras.lacking(plugin):
        pytest.skip(missing)
    assets = case.files(folder) if case.files else None
    return plugin({"name": "m", "weights": weights, "options": {}, "preprocess": {}} | case.model, assets)


def built(name: str, folder: Path, outputs: int = 3, weights: Path | None = None, seed: int = 0):
    this = provider(name, folder, str(weights) if weights else "none")
    return this.build(outputs, weights, seed, CASES[name].facts)


def digest(network, *parts: str) -> str:
    from variability.networks import tensors_digest, trained_tensors

    return tensors_digest(trained_tensors(network, parts or [""]))


# What it says of itself ----------------------------------------------------------------------------------------------


def test_every_provider_is_tried():
    assert set(CASES) == set(NAMES), "add a case for the new provider"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_provider_says_of_itself_is_there(name):
    plugin = registry.find("providers", name)
    assert plugin.MODALITY in registry.names("modalities")
    assert set(plugin.KINDS) <= set(registry.names("kinds")) and plugin.KINDS
    assert plugin.FRAMEWORK in registry.names("frameworks")
    assert bool(plugin.EXTRA) == bool(plugin.NEEDS)
    if plugin.EXTRA:
        assert (ROOT / f"envs/{plugin.EXTRA}.in").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_imports_and_checks_without_its_library(name, tmp_path):
    this = provider(name, tmp_path)
    code = (
        "import sys\nfrom variability import registry\n"
        f"problems = list(registry.find('providers', {name!r})({this.model!r}).check())\n"
        "assert not problems, problems\n"
        "heavy = {'torch', 'torchvision', 'timm', 'transformers', 'keras', 'tensorflow', 'safetensors'}\n"
        "assert not heavy & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(LIBRARY)})


# What it builds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_network_comes_from_its_seed_and_from_nothing_else(name, tmp_path):
    import torch

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = built(name, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before), "building drew from the global generator"
    torch.manual_seed(2)
    assert digest(built(name, tmp_path)) == digest(first)
    other = built(name, tmp_path, seed=1)
    for part in (first.blocks[0], first.head):
        assert digest(other, part) != digest(first, part)


@pytest.mark.parametrize("name", IN_TORCH)
def test_the_size_of_the_head_does_not_shift_the_backbone(name, tmp_path):
    import torch

    from variability.networks import frozen_digest

    this, facts = provider(name, tmp_path), CASES[name].facts
    found = {}
    for outputs in (3, 5):
        classes = facts | {"class_names": [f"class {number}" for number in range(outputs)]}
        network = this.build(outputs, None, 0, classes)
        found[outputs] = frozen_digest(network, [network.head])
        example = modalities.find(this.MODALITY).trial(this, facts)
        with torch.no_grad():
            assert network.module.eval()(example).shape == (2, outputs)
    assert found[3] == found[5]


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_head_drawn_anew_is_the_one_of_its_seed(name, tmp_path):
    network = built(name, tmp_path, seed=0)
    provider(name, tmp_path).draw_head(network, 7)
    assert digest(network, network.head) == digest(built(name, tmp_path, seed=7), network.head)


@pytest.mark.parametrize("name", IN_TORCH)
def test_weights_arrive_whatever_their_number_of_classes_and_the_head_is_the_seeds(name, tmp_path):
    import safetensors.torch

    from variability.networks import frozen_digest

    source = built(name, tmp_path, outputs=3, seed=7)
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({key: each.contiguous() for key, each in source.module.state_dict().items()}, path)
    network = built(name, tmp_path, outputs=3, weights=path)
    assert frozen_digest(network, [network.head]) == frozen_digest(source, [source.head])
    assert digest(network, network.head) == digest(built(name, tmp_path), network.head)
    this = provider(name, tmp_path, str(path))
    wide = CASES[name].facts | {"class_names": [f"class {number}" for number in range(6)]}
    assert frozen_digest(this.build(6, path, 0, wide), [source.head]) == frozen_digest(source, [source.head])
    assert this.convert(path).keys() >= {key for key in source.module.state_dict() if not key.startswith(source.head)}


@pytest.mark.parametrize("name", IN_TORCH)
def test_weights_of_another_network_are_refused_with_what_is_wrong(name, tmp_path):
    import safetensors.torch
    import torch

    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"some.weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"other\.safetensors"):
        built(name, tmp_path, weights=path)
    with pytest.raises(UserError, match=r"other\.safetensors"):
        provider(name, tmp_path, str(path)).convert(path)


@pytest.mark.parametrize("name", IN_TORCH)
def test_blocks_are_parts_that_lie_before_the_head(name, tmp_path):
    network = built(name, tmp_path)
    assert len(network.blocks) >= 2
    for block in network.blocks:
        network.module.get_submodule(block)
        assert block != network.head


@pytest.mark.parametrize("name", [name for name in NAMES if registry.find("providers", name).MODALITY == "image"])
def test_what_images_are_made_into_is_said_anew_each_time(name, tmp_path):
    this = provider(name, tmp_path)
    first = this.preprocess(32)
    assert set(first) == {"size", "resize", "mean", "std", "interpolation"}
    first["mean"][0] = 7
    assert this.preprocess(32)["mean"][0] != 7


@pytest.mark.parametrize("name", NAMES)
def test_the_framework_of_a_provider_is_found_by_a_models_entry(name):
    assert frameworks.of({"provider": name}) is registry.find("frameworks", registry.find("providers", name).FRAMEWORK)
