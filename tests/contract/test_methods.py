"""Every method trains its parts, in networks of all families, and changes nothing else."""

import copy

import pytest
import torch

from variability import extras, registry
from variability.errors import UserError
from variability.models import cutting, methods, networks

pytestmark = pytest.mark.slow

# Small members of families that differ in the position of the head and in construction. Options make them cheap.
ARCHITECTURES = {
    "densenet121": {},
    "googlenet": {},
    "mobilenet_v3_small": {},
    "regnet_y_400mf": {},
    "resnet18": {},
    "squeezenet1_1": {},
    "swin_t": {},
    "vit_b_32": {"image_size": 32},
}
METHODS = {"bitfit": {}, "full": {}, "linear_probe": {}, "lora": {}, "partial": {"blocks": 1}}
#: Layers that adapters are added to, by the ends of their names.
TARGETS = {
    "densenet121": ["conv1"], "googlenet": ["branch1.conv"], "mobilenet_v3_small": ["fc1"], "regnet_y_400mf": ["fc1"],
    "resnet18": ["conv1"], "squeezenet1_1": ["squeeze"], "swin_t": ["reduction"], "vit_b_32": ["0", "3"],
}  # fmt: skip


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request) -> networks.Network:
    model = {"architecture": request.param, "weights": "none", "options": ARCHITECTURES[request.param]}
    return registry.find("providers", "torchvision")(model).build(outputs=3, weights=None, seed=0)


@pytest.fixture(params=METHODS)
def fitted(request, network) -> tuple[methods.Method, networks.Network]:
    """A method, and a network with what the method adds to it."""
    plugin, options = registry.find("methods", request.param), METHODS[request.param]
    if missing := extras.missing(plugin):
        pytest.skip(missing)
    if request.param == "lora":
        options, network = {"targets": TARGETS[request.node.callspec.params["network"]]}, copy.deepcopy(network)
    method = plugin(options)
    return method, method.attach(network)


def trainable(kind: str, network: networks.Network, **options) -> list[str]:
    return registry.find("methods", kind)(METHODS[kind] | options).trainable(network)


def parameters(network: networks.Network, names: list[str]) -> set[str]:
    return {name for name, _ in network.module.named_parameters()} & networks.trained_tensors(network, names).keys()


def test_every_method_is_under_test():
    assert set(METHODS) == set(registry.names("methods"))


def test_a_training_pass_changes_trained_parts_and_no_bit_of_the_others(fitted):
    method, network = fitted
    names = method.trainable(network)
    networks.freeze(network, names)
    networks.train_mode(network, names, method.active(network))
    frozen = networks.frozen_digest(network, names)
    before = {name: tensor.clone() for name, tensor in network.module.named_buffers()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network.module(torch.randn(2, 3, 32, 32)).sum().backward()
    reached = {name for name, parameter in network.module.named_parameters() if parameter.grad is not None}
    network.module.zero_grad()
    assert reached == parameters(network, names)
    assert networks.frozen_digest(network, names) == frozen
    trained = networks.trained_tensors(network, names)
    counters = [name for name in trained if name.endswith("num_batches_tracked")]
    assert all(trained[name] == before[name] + 1 for name in counters), "BatchNorm that trains is not in training mode"


def test_a_linear_probe_trains_only_the_head(network):
    assert parameters(network, trainable("linear_probe", network)) == {
        f"{network.head}.weight",
        f"{network.head}.bias",
    }


def test_full_trains_every_parameter(network):
    assert parameters(network, trainable("full", network)) == set(dict(network.module.named_parameters()))


def test_partial_trains_everything_from_its_first_block_to_the_output(network):
    count = 2
    names = list(dict(network.module.named_parameters()))
    first = next(at for at, name in enumerate(names) if name.startswith(network.blocks[-count] + "."))
    assert parameters(network, trainable("partial", network, blocks=count)) == set(names[first:])


def test_more_blocks_train_more(network):
    sizes = [len(parameters(network, trainable("partial", network, blocks=k))) for k in range(1, len(network.blocks))]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] < len(parameters(network, [""]))


def test_a_frozen_part_that_can_be_computed_once_has_a_name(fitted):
    method, network = fitted
    whole_parts = set(method.trainable(network)) <= set(network.chain)
    assert (method.frozen() is not None) == whole_parts
    assert method.SEEDS_PER_JOB >= 1


def test_parameters_that_a_method_adds_change_no_output_and_depend_on_the_seed(fitted, network):
    method, made = fitted
    if type(method).attach is methods.Method.attach:
        assert type(method).sample is methods.Method.sample
        return
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    method.sample(made, 1)
    with torch.inference_mode():
        assert torch.equal(made.module.eval()(images), network.module.eval()(images))
    names = method.trainable(made)
    first = networks.tensors_digest(networks.trained_tensors(made, names))
    state = torch.random.get_rng_state()
    method.sample(made, 2)
    assert networks.tensors_digest(networks.trained_tensors(made, names)) != first
    method.sample(made, 1)
    assert networks.tensors_digest(networks.trained_tensors(made, names)) == first
    assert torch.equal(torch.random.get_rng_state(), state), "drawing took from the global generator"


def test_bitfit_trains_only_the_biases_and_the_head(network):
    found = parameters(network, trainable("bitfit", network))
    assert {name for name in found if not name.startswith(f"{network.head}.")} == {
        name
        for name, _ in network.module.named_parameters()
        if name.endswith("bias") and not name.startswith(f"{network.head}.")
    }
    assert f"{network.head}.weight" in found


def test_methods_that_freeze_different_parts_return_different_names():
    names = [registry.find("methods", "partial")({"blocks": count}).frozen() for count in (1, 2)]
    assert len({methods.BACKBONE, *names}) == 3
    assert registry.find("methods", "linear_probe")({}).frozen() == methods.BACKBONE


@pytest.mark.parametrize("kind", ["linear_probe", "partial"])
def test_a_cut_network_has_the_same_outputs_and_trains_the_same_tensors(network, kind):
    names = trainable(kind, network)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    halves = cutting.cut(network, names, images)
    assert halves is not None
    networks.freeze(network, names)
    network.module.eval()
    whole, activations = network.module(images), halves.prefix(images)
    assert torch.equal(halves.suffix(activations), whole)
    assert not activations.requires_grad, "a part that trains is in the prefix"
    halves.suffix(activations).sum().backward()
    reached = {name for name, tensor in network.module.named_parameters() if tensor.grad is not None}
    network.module.zero_grad()
    assert reached == parameters(network, names)


def test_the_suffix_of_a_linear_probe_is_the_head_if_that_is_a_layer(network):
    halves = cutting.cut(network, trainable("linear_probe", network), torch.zeros(2, 3, 32, 32))
    head = network.module.get_submodule(network.head)
    assert (halves.suffix is head) == isinstance(head, torch.nn.Linear)


def test_a_network_that_trains_as_a_whole_is_not_cut(network):
    assert cutting.cut(network, trainable("full", network), torch.zeros(2, 3, 32, 32)) is None


def test_partial_with_nothing_left_to_freeze_is_refused(network):
    there = len(network.blocks)
    with pytest.raises(UserError, match=f"which has {there} blocks; use at most {there - 1}"):
        trainable("partial", network, blocks=there)
