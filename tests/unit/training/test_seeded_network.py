"""A network set up once for many seeds is, for each of them, the network that would be built for it alone."""

import pytest
import tiny_study
import torch

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.models import networks
from variability.training.input_files import InputFiles
from variability.training.seeded_network import Untrained

pytestmark = pytest.mark.usefixtures("tiny_provider")

PROBE, FULL = {"name": "probe", "kind": "linear_probe"}, {"name": "all", "kind": "full"}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return PreparedTask.open(tiny_study.prepare(tmp_path_factory.mktemp("prepare") / "digits"))


@pytest.fixture
def weights(tmp_path):
    return tiny_study.pretrained(tmp_path)


def untrained(method, task, weights):
    return Untrained(tiny_study.STUDY["model"], method, task, InputFiles(task.path, weights), "cpu")


def digest(network):
    return networks.tensors_digest(network.module.state_dict())


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("method", [PROBE, FULL])
def test_every_seed_begins_with_the_network_that_is_built_for_it_alone(task, weights, method, pretrained):
    file = weights if pretrained else None
    shared = untrained(method, task, file)
    for seed in (3, 0, 3):
        network = shared.network(seed)
        assert digest(network) == digest(untrained(method, task, file).network(seed)), seed
        # What training does to it.
        with torch.no_grad():
            for tensor in networks.trained_tensors(network, shared.trainable).values():
                tensor.add_(1)


def test_a_pretrained_network_is_built_once_and_a_random_one_for_every_seed(task, weights, monkeypatch):
    built = []
    build = tiny_study.Tiny.build
    monkeypatch.setattr(tiny_study.Tiny, "build", lambda self, *given: built.append(given[2]) or build(self, *given))
    for file, expected in ((weights, [0]), (None, [0, 1, 2])):
        built.clear()
        shared = untrained(PROBE, task, file)
        for seed in (0, 1, 2):
            shared.network(seed)
        assert built == expected


def test_what_is_known_of_a_random_backbone_is_of_the_seed_that_has_it(task):
    shared, found = untrained(PROBE, task, None), []
    for seed in (0, 1):
        shared.network(seed)
        found.append((shared.frozen_sha256, shared.cut.prefix(torch.ones(1, 3, 8, 8))))
    assert found[0][0] != found[1][0]
    assert not torch.equal(found[0][1], found[1][1])


def test_without_a_method_the_head_alone_trains(task, weights):
    shared = untrained(None, task, weights)
    assert shared.network(0).head == shared.trainable[0] and len(shared.trainable) == 1


def test_all_that_trains_leaves_nothing_to_cut_off_but_the_backbone_before_training(task, weights):
    shared = untrained(FULL, task, weights)
    network = shared.network(0)
    assert shared.cut is None
    images = torch.ones(2, 3, 8, 8)
    network.module.eval()
    assert torch.equal(shared.head_cut.suffix(shared.head_cut.prefix(images)), network.module(images))


def test_what_a_method_cannot_train_is_refused_for_every_seed(task, weights, monkeypatch):
    shared = untrained(FULL, task, weights)
    monkeypatch.setattr(type(shared._method), "trainable", refuse)
    for seed in (0, 1):
        with pytest.raises(UserError, match="has nothing to train"):
            shared.network(seed)


def refuse(self, network):
    raise UserError("has nothing to train")
