"""Checkpoints and states are restored bit for bit, or refused."""

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from variability.errors import UserError
from variability.models import networks
from variability.training import checkpoints

PARTS = ["2", "3"]
RUN_METADATA = {"fingerprint": "abc"}


def network(seed: int = 0, outputs: int = 3) -> networks.Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return networks.attach_head(module, outputs, seed)


def digest(network: networks.Network) -> str:
    return networks.frozen_digest(network, PARTS)


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of a network whose parts have trained a little."""
    trained = network()
    networks.train_mode(trained, PARTS)
    networks.freeze(trained, PARTS)
    optimizer = torch.optim.SGD(
        [parameter for parameter in trained.module.parameters() if parameter.requires_grad], lr=0.1
    )
    trained.module(torch.randn(8, 4, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimizer.step()
    path = tmp_path / "checkpoint.safetensors"
    checkpoints.save_checkpoint(path, trained, PARTS, RUN_METADATA | {"frozen_sha256": digest(trained)})
    return path, trained


def test_a_checkpoint_is_restored_bit_for_bit(saved):
    path, trained = saved
    fresh = network()
    assert not equal(fresh.module.state_dict(), trained.module.state_dict())
    metadata = checkpoints.load_checkpoint(path, fresh, PARTS, [digest(fresh)])
    assert metadata == RUN_METADATA | {"frozen_sha256": digest(fresh)}
    assert equal(fresh.module.state_dict(), trained.module.state_dict())


def test_a_checkpoint_holds_only_the_trained_parts(saved):
    path, trained = saved
    assert equal(safetensors.torch.load_file(path), networks.trained_tensors(trained, PARTS))


def test_a_checkpoint_on_another_backbone_is_refused(saved):
    path, _ = saved
    other = network(seed=1)
    with pytest.raises(UserError, match=r"checkpoint\.safetensors was trained on top of another backbone"):
        checkpoints.load_checkpoint(path, other, PARTS, [digest(other)])


@pytest.mark.parametrize(("outputs", "parts"), [(4, PARTS), (3, ["3"]), (3, ["1", *PARTS])])
def test_a_checkpoint_of_another_shape_is_refused_and_loads_nothing(saved, outputs, parts):
    path, _ = saved
    other = network(outputs=outputs)
    before = {name: tensor.clone() for name, tensor in other.module.state_dict().items()}
    with pytest.raises(UserError, match=r"does not fit the network.*the first is '"):
        checkpoints.load_checkpoint(path, other, parts, [digest(other)])
    assert equal(other.module.state_dict(), before)


def test_a_truncated_checkpoint_is_refused(saved):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint.*snakemake --forcerun finetune"):
        checkpoints.load_checkpoint(path, network(), PARTS, [""])


def test_channels_last_weights_are_restored_bit_for_bit(tmp_path):
    def convolutional():
        return networks.attach_head(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)), 2, seed=0)

    first, second = convolutional(), convolutional()
    first.module.to(memory_format=torch.channels_last)
    checkpoints.save_checkpoint(tmp_path / "c.safetensors", first, [""], {"frozen_sha256": "0"})
    checkpoints.load_checkpoint(tmp_path / "c.safetensors", second, [""], ["0"])
    assert equal(first.module.state_dict(), second.module.state_dict())


TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3, dtype=torch.int64)}
METADATA = {"epoch": 3, "best": {"loss": 0.1 + 0.2}, "history": [1, None, "x"], "none": None}


def test_a_state_is_restored_unchanged(tmp_path):
    checkpoints.save_state(tmp_path / "state.safetensors", TENSORS, METADATA)
    tensors, metadata = checkpoints.load_state(tmp_path / "state.safetensors")
    assert equal(tensors, TENSORS)
    assert metadata == METADATA


def test_a_missing_state_is_none_without_a_warning(tmp_path, caplog):
    assert checkpoints.load_state(tmp_path / "state.safetensors") is None
    assert not caplog.records


@pytest.mark.parametrize("length", [0, 4, 20, -4, -1])
def test_a_truncated_state_is_ignored_with_a_warning(tmp_path, caplog, length):
    path = tmp_path / "state.safetensors"
    checkpoints.save_state(path, TENSORS, METADATA)
    path.write_bytes(path.read_bytes()[:length])
    assert checkpoints.load_state(path) is None
    assert "state.safetensors is damaged" in caplog.text


def test_a_state_with_a_flipped_bit_is_ignored_with_a_warning(tmp_path, caplog):
    path = tmp_path / "state.safetensors"
    checkpoints.save_state(path, TENSORS, METADATA)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert checkpoints.load_state(path) is None
    assert "its checksum differs" in caplog.text


def test_a_file_that_is_not_a_state_is_ignored_with_a_warning(tmp_path, caplog):
    path = tmp_path / "state.safetensors"
    safetensors.torch.save_file(TENSORS, path)
    assert checkpoints.load_state(path) is None
    assert "damaged" in caplog.text


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "plain sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_continues_bit_for_bit_from_a_file(tmp_path, kind):
    def start():
        module = network().module
        return module, OPTIMIZERS[kind](module.parameters())

    def steps(module, optimizer, count):
        for at in range(count):
            optimizer.zero_grad()
            module(torch.randn(8, 4, generator=torch.Generator().manual_seed(at))).square().sum().backward()
            optimizer.step()

    module, optimizer = start()
    steps(module, optimizer, 3)
    optimizer.param_groups[0]["lr"] *= 0.3
    checkpoints.save_state(tmp_path / "s.safetensors", *checkpoints.pack_optimizer(optimizer))
    again, resumed = start()
    again.load_state_dict(module.state_dict())
    checkpoints.unpack_optimizer(resumed, *checkpoints.load_state(tmp_path / "s.safetensors"))
    assert resumed.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    steps(module, optimizer, 3)
    steps(again, resumed, 3)
    assert equal(again.state_dict(), module.state_dict())
