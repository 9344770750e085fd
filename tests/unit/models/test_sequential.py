"""Transformers with items as tokens: no leak from later items, padding without effect, the catalogue as the head."""

import numpy as np
import pytest
import torch

from variability import registry, seeding
from variability.data import kinds
from variability.data.item_sequences import MASKED_ITEM, NO_ITEM, NO_TARGET
from variability.errors import UserError
from variability.models import networks

pytest.importorskip("transformers", reason="the extra transformers is not installed")

FACTS = {"items": 30, "target": "next_item", "max_length": 8, "exclude_seen": True}
RATED = FACTS | {"target": "rating"}
SMALL = {"hidden_size": 16, "layers": 2, "heads": 2}
BOTH = pytest.mark.parametrize("architecture", ["bert4rec", "sasrec"])
METHODS = {"linear_probe": {}, "partial": {"blocks": 1}, "full": {}, "lora": {"r": 2}, "bitfit": {}}


def provider(architecture, weights="none", **options):
    return registry.find("providers", "sequential")(
        {"architecture": architecture, "weights": weights, "options": SMALL | options}
    )


def network(architecture, seed=0, facts=FACTS, weights=None, **options):
    this = provider(architecture, "none" if weights is None else "pretrain:x", **options)
    return this.build(1, weights, seed, facts)


def batch(items, targets=None, ratings=None):
    items = torch.tensor(items, dtype=torch.int32)
    answers = torch.full_like(items, NO_TARGET)
    answers[:, slice(-1, None) if targets is None else targets] = 0
    channels = [items, answers]
    if ratings is not None:
        channels.append(torch.tensor(ratings, dtype=torch.float32).view(torch.int32))
    return torch.stack(channels, dim=2)


def saved(net, path):
    import safetensors.torch

    safetensors.torch.save_file(net.module.state_dict(), path)
    return path


def outputs(net, inputs):
    with torch.no_grad():
        return net.module.eval()(inputs)


def test_later_items_do_not_change_a_causal_models_outputs():
    net = network("sasrec")
    one, other = batch([[1, 2, 3, 4, 5]], slice(None)), batch([[1, 2, 3, 9, 8]], slice(None))
    first, second = outputs(net, one), outputs(net, other)
    assert torch.equal(first[:3], second[:3])
    assert not torch.allclose(first[3:], second[3:])


def test_a_masked_model_uses_items_on_both_sides_and_no_hidden_item():
    net = network("bert4rec")
    one = batch([[1, 2, MASKED_ITEM, 4, 5]], slice(2, 3))
    assert not torch.allclose(outputs(net, one), outputs(net, batch([[1, 2, MASKED_ITEM, 4, 9]], slice(2, 3))))
    answered = one.clone()
    answered[0, 2, 1] = 17
    assert torch.equal(outputs(net, one), outputs(net, answered)), "the answer was read"


@BOTH
@pytest.mark.parametrize("facts", [FACTS, RATED])
def test_padding_makes_no_difference(architecture, facts):
    net = network(architecture, facts=facts)
    ratings = [[1.0, 2, 3]] if facts is RATED else None
    padded = [[0.0] * 4 + ratings[0]] if ratings else None
    short = outputs(net, batch([[1, 2, 3]], ratings=ratings))
    assert torch.allclose(short, outputs(net, batch([[NO_ITEM] * 4 + [1, 2, 3]], ratings=padded)), atol=1e-6)
    both = outputs(net, batch([[NO_ITEM] * 4 + [1, 2, 3], [9, 8, 7, 6, 5, 4, 3]], ratings=padded and padded * 2))
    assert torch.allclose(both[:1], short, atol=1e-6) and both.isfinite().all()


@BOTH
def test_the_order_of_the_items_and_their_ratings_change_the_outputs(architecture):
    ranks, rates = network(architecture), network(architecture, facts=RATED)
    # A sampled vector is short compared with a normalised position's, so that any difference of bits counts.
    assert not torch.equal(outputs(ranks, batch([[1, 2, 3]])), outputs(ranks, batch([[2, 1, 3]])))
    one, other = (outputs(rates, batch([[1, 2, 3]], ratings=[[r, 2.0, 0]])) for r in (1.0, 5.0))
    assert not torch.equal(one, other)
    assert one.shape == (1, 1)


@BOTH
def test_only_targets_are_scored_over_the_whole_catalogue(architecture):
    inputs = batch([[1, 2, 3], [4, 5, 6]])
    inputs[0, 1, 1] = 3
    assert outputs(network(architecture), inputs).shape == (3, 30)


@BOTH
@pytest.mark.parametrize("facts", [FACTS, RATED])
@pytest.mark.parametrize("kind", METHODS)
def test_methods_train_their_parts_and_nothing_else(architecture, facts, kind):
    method = registry.find("methods", kind)(METHODS[kind])
    net = method.attach(network(architecture, facts=facts))
    method.sample(net, 0)
    names = method.trainable(net)
    networks.freeze(net, names)
    networks.train_mode(net, names, method.active(net))
    masked = architecture == "bert4rec" and facts is FACTS
    items = [[1, MASKED_ITEM if masked else 2, 3], [4, 5, 6]]
    inputs = batch(items, slice(None), ratings=[[1.0, 2, 0]] * 2 if facts is RATED else None)
    with seeding.dropout(0, 1).torch_global():
        net.module(inputs).square().sum().backward()
    reached = {name for name, tensor in net.module.named_parameters() if tensor.grad is not None}
    expected = {name for name, _ in net.module.named_parameters()} & networks.trained_tensors(net, names).keys()
    assert reached == expected
    if kind == "linear_probe":
        assert all(name.startswith("catalogue.") for name in reached)
    if kind == "partial":
        assert not any(".0." in name for name in reached)
        assert any(name.startswith("body.") for name in reached)


@BOTH
def test_a_network_depends_on_its_seed_and_its_body_on_nothing_else(architecture):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, again, larger = (network(architecture, facts=FACTS | {"items": items}) for items in (30, 30, 50))
    assert torch.equal(torch.random.get_rng_state(), before)
    digests = [networks.tensors_digest(member.module.state_dict()) for member in (one, again)]
    assert digests[0] == digests[1]
    assert networks.frozen_digest(one, [one.head]) == networks.frozen_digest(larger, [larger.head])
    assert networks.frozen_digest(one, [one.head]) != networks.frozen_digest(network(architecture, 1), [one.head])


@BOTH
@pytest.mark.parametrize(("source", "target"), [(FACTS, RATED), (RATED, FACTS), (FACTS, FACTS)])
def test_a_body_is_transferred_to_another_catalogue_and_to_another_target(architecture, source, target, tmp_path):
    trained = network(architecture, 7, facts=source | {"items": 44})
    path = saved(trained, tmp_path / "weights.safetensors")
    net = network(architecture, 0, facts=target, weights=path)
    state, was = net.module.state_dict(), trained.module.state_dict()
    carried = [name for name in state if not name.startswith("catalogue.") and name in was]
    assert all(torch.equal(state[name], was[name]) for name in carried) and carried
    fresh = network(architecture, 0, facts=target).module.catalogue.weight
    assert torch.equal(net.module.catalogue.weight, fresh)


@BOTH
def test_vectors_of_items_are_transferred_if_they_are_shared(architecture, tmp_path):
    trained = network(architecture, 7)
    path = saved(trained, tmp_path / "weights.safetensors")
    this = provider(architecture, "pretrain:x", items="shared")
    net = this.build(1, path, 0, FACTS)
    assert torch.equal(net.module.catalogue.weight, trained.module.catalogue.weight)
    this.sample_head(net, 1)
    assert torch.equal(net.module.catalogue.weight, trained.module.catalogue.weight)
    new = network(architecture, 3).module.catalogue.weight
    for weights in ("none", "pretrain:x"):  # the latter while it is pretrained
        drawn = provider(architecture, weights, items="shared").build(1, None, 3, FACTS)
        assert torch.equal(drawn.module.catalogue.weight, new), "without a file there is nothing to share"
    with pytest.raises(UserError, match=r"first is 'catalogue\.weight'"):
        this.build(1, path, 0, FACTS | {"items": 31})


@BOTH
def test_weights_of_another_architecture_are_refused(architecture, tmp_path):
    other = {"bert4rec": "sasrec", "sasrec": "bert4rec"}[architecture]
    for name, net in {
        "kind": network(other),
        "length": network(architecture, facts=FACTS | {"max_length": 9}),
    }.items():
        path = saved(net, tmp_path / f"{name}.safetensors")
        with pytest.raises(UserError, match=r"does not fit .*max_length"):
            network(architecture, weights=path)


@BOTH
def test_training_lowers_the_loss_and_only_targets_count(architecture):
    net, ranking = network(architecture, dropout=0.0), kinds.find("ranking")
    optimizer = torch.optim.Adam(net.module.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    items = (rng.integers(30, size=(64, 1)) + np.arange(8)) % 30
    inputs = batch(items.tolist())
    if architecture == "bert4rec":
        inputs[:, -1, 0] = MASKED_ITEM
    targets = torch.from_numpy(items[:, -1] if architecture == "bert4rec" else (items[:, -1] + 1) % 30)
    losses = []
    for _ in range(60):
        loss = ranking.loss(net.module.train()(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(30), abs=0.2)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("architecture", "entry", "message"),
    [
        ("bertrec", {}, "did you mean 'bert4rec'"),
        ("sasrec", {"options": {"hidden_size": 10, "heads": 3}}, "cannot be divided among 3 heads"),
        ("sasrec", {"options": {"mask_probability": 0.2}}, "sasrec hides nothing"),
        ("sasrec", {"weights": "ML20M"}, "no releases"),
        ("sasrec", {"preprocess": {"size": 32}}, "is for images"),
    ],
)
def test_wrong_entries_are_reported(architecture, entry, message):
    model = {"architecture": architecture, "weights": "none"} | entry
    assert any(message in str(problem) for problem in registry.find("providers", "sequential")(model).check())


def test_a_hidden_vector_that_was_not_pretrained_is_the_same_for_all_seeds(tmp_path):
    weights = saved(network("bert4rec", 0, RATED), tmp_path / "rated.safetensors")
    this = provider("bert4rec", "pretrain:x")
    one, other = this.build(1, weights, 1, FACTS), this.build(1, weights, 2, FACTS)
    assert not this.samples_backbone()
    assert torch.equal(one.module.hidden, other.module.hidden)
