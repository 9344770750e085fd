"""Heads and blocks of every family of torchvision, and freezing."""

import pytest
import torch
from torch import nn
from torchvision import models

from variability.errors import UserError
from variability.models import networks

# One member of each family: its head, its number of blocks, the first and the last block.
FAMILIES = {
    "alexnet": ("classifier.6", 7, "features.0", "classifier.4"),
    "vgg11_bn": ("classifier.6", 10, "features.0", "classifier.3"),
    "resnet18": ("fc", 9, "conv1", "layer4.1"),
    "resnext50_32x4d": ("fc", 17, "conv1", "layer4.2"),
    "wide_resnet50_2": ("fc", 17, "conv1", "layer4.2"),
    "densenet121": ("classifier", 8, "features.conv0", "features.denseblock4"),
    "inception_v3": ("fc", 16, "Conv2d_1a_3x3", "Mixed_7c"),
    "googlenet": ("fc", 12, "conv1", "inception5b"),
    "mobilenet_v2": ("classifier.1", 19, "features.0", "features.18"),
    "mobilenet_v3_small": ("classifier.3", 14, "features.0", "classifier.0"),
    "shufflenet_v2_x0_5": ("fc", 18, "conv1.0", "conv5.0"),
    "squeezenet1_0": ("classifier.1", 9, "features.0", "features.12"),
    "mnasnet0_5": ("classifier.1", 20, "layers.0", "layers.14"),
    "regnet_y_400mf": ("fc", 5, "stem", "trunk_output.block4"),
    "efficientnet_b0": ("classifier.1", 18, "features.0", "features.8"),
    "efficientnet_v2_s": ("classifier.1", 42, "features.0", "features.7"),
    "convnext_tiny": ("classifier.2", 22, "features.0", "features.7.2"),
    "vit_b_16": ("heads.head", 13, "conv_proj", "encoder.layers.encoder_layer_11"),
    "swin_t": ("head", 16, "features.0.0", "features.7.1"),
    "swin_v2_t": ("head", 16, "features.0.0", "features.7.1"),
    "maxvit_t": ("classifier.5", 7, "stem.0", "classifier.3"),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_head_and_blocks_of_every_family_are_found(name):
    options = {"init_weights": False, "aux_logits": False} if name in ("inception_v3", "googlenet") else {}
    # RegNet computes its widths with tensors, which therefore cannot be on the meta device.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        module = models.get_model(name, weights=None, **options)
    head = networks.find_head(module)
    blocks = networks.find_blocks(module, head)
    assert (head, len(blocks), blocks[0], blocks[-1]) == FAMILIES[name]


def tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4, 10),
    )


def attached(outputs: int = 3, seed: int = 0) -> networks.Network:
    return networks.attach_head(tiny(), outputs, seed)


def test_normalisation_belongs_to_the_block_before_it():
    network = attached()
    assert network.blocks == ["0", "2"]
    assert network.last_blocks(1) == ["2", "3", "4", "5", "6", "7"]


def test_the_size_of_the_head_does_not_change_the_blocks():
    class Root(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.stem = nn.Linear(4, 4)
            self.body = nn.Module()
            self.body.first, self.body.second = nn.Linear(8, 8), nn.Linear(8, 8)
            self.head = nn.Linear(8, outputs)

    for outputs in (1, 10_000):
        assert networks.find_blocks(Root(outputs), "head") == ["stem", "body.first", "body.second"]


def test_a_new_head_depends_only_on_its_seed():
    first, again, other = (attached(seed=seed).module[7].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_head_sampled_again_is_that_of_a_new_network_and_nothing_else_changes():
    network, fresh = attached(seed=0), attached(seed=1)
    backbone = networks.frozen_digest(network, [network.head])
    networks.sample_head(network, 1)
    assert torch.equal(network.module[7].weight, fresh.module[7].weight)
    assert torch.equal(network.module[7].bias, fresh.module[7].bias)
    assert networks.frozen_digest(network, [network.head]) == backbone


def test_a_new_head_does_not_use_the_global_generator():
    module = tiny()
    before = torch.random.get_rng_state()
    networks.attach_head(module, 5, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_new_head_has_the_spread_of_a_new_pytorch_layer():
    network = networks.attach_head(nn.Sequential(nn.Linear(400, 2)), 2000, seed=0)
    default = nn.Linear(400, 2000)
    for fresh, default_parameter in zip(network.module[0].parameters(), default.parameters(), strict=True):
        assert fresh.shape == default_parameter.shape
        assert fresh.abs().max() <= 1 / 20
        torch.testing.assert_close(fresh.std(), default_parameter.std(), rtol=0.05, atol=0)


def test_a_head_without_bias_stays_without_bias():
    module = nn.Sequential(nn.Linear(4, 2, bias=False))
    networks.replace_head(module, 3)
    assert module[0].bias is None


def test_a_convolutional_head_keeps_its_geometry():
    module = nn.Sequential(nn.Conv2d(4, 10, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert networks.replace_head(module, 3) == "0"
    assert (module[0].out_channels, module[0].stride, module[0].padding) == (3, (2, 2), (1, 1))
    assert module(torch.zeros(2, 4, 8, 8)).shape == (2, 3)


def test_activations_behind_a_head_are_removed_and_pooling_stays():
    pool, inner = nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 10, 1), nn.ReLU())
    network = networks.attach_head(nn.Sequential(nn.ReLU(), inner, pool, nn.Flatten(), nn.Softmax(1)), 2, seed=0)
    assert network.head == "1.1"
    kinds = [type(network.module.get_submodule(name)) for name in ("0", "1.0", "1.2", "2", "3", "4")]
    assert kinds == [nn.ReLU, nn.ReLU, nn.Identity, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity]


def test_a_squeezenet_can_learn_negative_numbers_and_classes_from_dead_logits():
    module = models.squeezenet1_1(weights=None)
    names = list(module.state_dict())
    network = networks.attach_head(module, 2, seed=0)
    # The file of a checkpoint or of weights has the same tensors as before.
    assert list(network.module.state_dict()) == names
    with torch.no_grad():
        network.module.classifier[1].weight.zero_()
        network.module.classifier[1].bias.copy_(torch.tensor([-1.0, -2.0]))
    outputs = network.module.eval()(torch.zeros(1, 3, 48, 48))
    assert outputs.tolist() == [[-1.0, -2.0]]
    outputs.sum().backward()
    assert network.module.classifier[1].bias.grad.tolist() == [1.0, 1.0]


def test_a_module_without_outputs_is_refused():
    with pytest.raises(UserError, match="no Linear or Conv2d"):
        networks.find_head(nn.Sequential(nn.ReLU()))


def test_freezing_lets_gradients_reach_only_the_named_parts():
    network = attached()
    networks.freeze(network, ["2", "7"])
    open_ = {name for name, parameter in network.module.named_parameters() if parameter.requires_grad}
    assert open_ == {"2.weight", "2.bias", "7.weight", "7.bias"}
    networks.freeze(network, [""])
    assert all(parameter.requires_grad for parameter in network.module.parameters())


def test_a_name_is_not_a_prefix_of_another():
    module = nn.ModuleDict({"layer1": nn.Linear(2, 2), "layer10": nn.Linear(2, 2)})
    network = networks.Network(module, "layer10", [])
    assert set(networks.trained_tensors(network, ["layer1"])) == {"layer1.weight", "layer1.bias"}


def test_frozen_parts_stay_in_eval_mode():
    network = attached()
    networks.train_mode(network, ["2", "3", "7"])
    training = [name for name, child in network.module.named_children() if child.training]
    assert training == ["2", "3", "7"]
    networks.train_mode(network, [""])
    assert all(child.training for child in network.module.modules())


def test_trained_tensors_hold_parameters_and_buffers():
    names = set(networks.trained_tensors(attached(), ["3"]))
    assert names == {"3.weight", "3.bias", "3.running_mean", "3.running_var", "3.num_batches_tracked"}


def test_the_frozen_digest_depends_on_every_frozen_bit_and_on_nothing_else():
    network = attached()
    before = networks.frozen_digest(network, ["7"])
    with torch.no_grad():
        network.module[7].weight.add_(1)
    assert networks.frozen_digest(network, ["7"]) == before
    network.module[1].running_mean[0] += 1e-7
    assert networks.frozen_digest(network, ["7"]) != before


def test_the_frozen_digest_does_not_depend_on_memory_layout():
    network = attached()
    before = networks.frozen_digest(network, ["7"])
    network.module.to(memory_format=torch.channels_last)
    assert networks.frozen_digest(network, ["7"]) == before


def test_digests_differ_for_other_dtypes_and_shapes():
    zeros = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(())]
    assert len({networks.tensors_digest({"a": tensor}) for tensor in zeros}) == 4
