"""A network that is reset for one seed after another equals, for each seed, a network built for this seed alone."""

import pytest
import tiny_study
import torch

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io.artefacts import write_record
from variability.io.files import sha256
from variability.models import networks
from variability.training.input_files import InputFiles
from variability.training.seeded_network import SeededNetwork

pytestmark = pytest.mark.usefixtures("tiny_provider")

PROBE, FULL = {"name": "probe", "kind": "linear_probe"}, {"name": "all", "kind": "full"}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return PreparedTask.open(tiny_study.prepare(tmp_path_factory.mktemp("prepare") / "digits"))


@pytest.fixture
def weights(tmp_path):
    return tiny_study.pretrained(tmp_path)


def seeded(method, task, weights):
    return SeededNetwork(tiny_study.STUDY["model"], method, task, InputFiles(task.path, weights), "cpu")


def digest(network):
    return networks.tensors_digest(network.module.state_dict())


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("method", [PROBE, FULL])
def test_every_seed_starts_from_the_network_that_would_be_built_for_it_alone(task, weights, method, pretrained):
    file = weights if pretrained else None
    shared = seeded(method, task, file)
    for seed in (3, 0, 3):
        network = shared.reset(seed)
        assert digest(network) == digest(seeded(method, task, file).reset(seed)), seed
        # As training changes it.
        with torch.no_grad():
            for tensor in networks.trained_tensors(network, shared.trainable).values():
                tensor.add_(1)


def test_a_pretrained_network_is_built_once_and_a_random_one_for_every_seed(task, weights, monkeypatch):
    built = []
    build = tiny_study.Tiny.build
    monkeypatch.setattr(tiny_study.Tiny, "build", lambda *arguments: built.append(arguments[3]) or build(*arguments))
    for file, expected in ((weights, [0]), (None, [0, 1, 2])):
        built.clear()
        shared = seeded(PROBE, task, file)
        for seed in (0, 1, 2):
            shared.reset(seed)
        assert built == expected


def test_digest_and_cut_of_a_random_backbone_are_those_of_the_current_seed(task):
    shared, states = seeded(PROBE, task, None), []
    for seed in (0, 1):
        shared.reset(seed)
        states.append((shared.frozen_sha256, shared.cut.prefix(torch.ones(1, 3, 8, 8))))
    assert states[0][0] != states[1][0]
    assert not torch.equal(states[0][1], states[1][1])


def test_the_digest_depends_on_the_file_of_weights_and_on_each_frozen_tensor(task, weights, tmp_path):
    manifest = tmp_path / "weights.json"
    write_record(manifest, {"sha256": sha256(weights)})
    files = InputFiles(task.path, weights, manifest)

    def opened(change=lambda tensors: None, seed=0):
        network = SeededNetwork(tiny_study.STUDY["model"], PROBE, task, files, "cpu")
        with torch.no_grad():
            change(network.reset(seed).module.state_dict())
        return network

    first = opened()
    assert opened(seed=1).frozen_sha256 == first.frozen_sha256, "the head is not part of it"
    assert list(first.frozen_digests()) == [
        first.frozen_sha256,
        networks.frozen_digest(first.network, first.trainable),
    ], "checkpoints of earlier versions have the digest of all tensors"
    digests = [first.frozen_sha256]
    for name in networks.frozen_tensors(first.network, first.trainable):
        digests.append(opened(lambda tensors, name=name: last_value(tensors[name]).add_(1)).frozen_sha256)
    write_record(manifest, {"sha256": "0" * 64})
    digests.append(opened().frozen_sha256)
    assert len(digests) == len(set(digests)) == 9


def last_value(tensor):
    return tensor[(-1,) * tensor.dim()]


def test_without_a_method_the_head_alone_trains(task, weights):
    shared = seeded(None, task, weights)
    assert shared.reset(0).head == shared.trainable[0] and len(shared.trainable) == 1


def test_a_network_that_trains_as_a_whole_is_cut_only_before_its_head(task, weights):
    shared = seeded(FULL, task, weights)
    network = shared.reset(0)
    assert shared.cut is None
    images = torch.ones(2, 3, 8, 8)
    network.module.eval()
    assert torch.equal(shared.head_cut.suffix(shared.head_cut.prefix(images)), network.module(images))


def test_a_network_that_a_method_cannot_train_is_refused_for_every_seed(task, weights, monkeypatch):
    shared = seeded(FULL, task, weights)
    monkeypatch.setattr(type(shared._method), "trainable", refuse)
    for seed in (0, 1):
        with pytest.raises(UserError, match="has nothing to train"):
            shared.reset(seed)


def refuse(self, network):
    raise UserError("has nothing to train")
