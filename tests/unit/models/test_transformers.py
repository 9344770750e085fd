"""Networks of Transformers: what they say is what the library says, and comes from the seed and nothing else."""

import shutil
import sys

import pytest
import safetensors.torch
import text_models
import torch
from text_models import converted, provider

from variability import provenance, registry
from variability.data import modalities
from variability.errors import UserError
from variability.io import files
from variability.io.fetcher import Fetcher
from variability.models import cutting, networks
from variability.models.methods import lora as lora_method
from variability.models.providers.transformers import Transformers
from variability.stages.download_weights import download_weights

transformers = pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")

TEXTS = ["the cat sat", "a big red dog ran under the tree", "dog"]


def batch(made: Transformers, texts=TEXTS) -> torch.Tensor:
    ids, _ = made.encode(texts, 16)
    rows = torch.full((len(ids), 16), -1)
    for at, found in enumerate(ids):
        rows[at, : len(found)] = torch.tensor(found)
    return rows


# What a network is --------------------------------------------------------------------------------------------------


def test_a_network_comes_from_its_seed_and_leaves_the_global_generator_alone(place, tmp_path):
    made = provider(place, tmp_path)
    before = torch.random.get_rng_state()
    first, larger, other = made.build(3, None, 0), made.build(5, None, 0), made.build(3, None, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    digests = [networks.frozen_digest(each, [each.head]) for each in (first, larger, other)]
    assert digests[0] == digests[1] != digests[2]
    assert first.module.eval()(batch(made)).shape == (3, 3)
    assert len(first.blocks) == 2 and first.chain[-1] == first.head


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
def test_released_weights_say_what_the_library_makes_of_them_whatever_else_is_in_the_batch(place, tmp_path, pooling):
    made, weights = converted(place, tmp_path, pooling=pooling)
    network = made.build(4, weights, 0)
    released = transformers.AutoModel.from_pretrained(place, local_files_only=True).eval()
    found = network.module.eval().backbone(batch(made))
    for ids, said in zip(made.encode(TEXTS, 16)[0], found, strict=True):
        hidden = released(torch.tensor([ids])).last_hidden_state[0]
        expected = {"cls": hidden[0], "mean": hidden.mean(0), "last": hidden[-1]}[pooling]
        torch.testing.assert_close(said, expected, rtol=1e-5, atol=1e-5)


def test_the_second_text_of_a_pair_is_told_from_the_first(bert, tmp_path):
    made, weights = converted(bert, tmp_path, pooling="mean")
    pairs = [("the cat", "a dog ran"), ("red", "blue")]
    found = made.build(2, weights, 0).module.eval().backbone(batch(made, pairs))
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    released = transformers.AutoModel.from_pretrained(bert).eval()
    for pair, said in zip(pairs, found, strict=True):
        given = tokenizer(*pair, return_tensors="pt", return_token_type_ids=True)
        assert given["token_type_ids"].any()
        torch.testing.assert_close(said, released(**given).last_hidden_state[0].mean(0), rtol=1e-5, atol=1e-5)


def test_the_pooler_is_there_where_it_is_asked_for_and_pretrained(bert, tmp_path):
    assert not any("pooler" in name for name, _ in provider(bert, tmp_path).build(2, None, 0).module.named_parameters())
    network = provider(bert, tmp_path / "a", pooling="pooler").build(2, None, 0)
    assert network.module.eval().backbone(batch(provider(bert, tmp_path / "b"))).abs().max() <= 1
    # A masked language model is released without one.
    made, weights = converted(bert, tmp_path, pooling="pooler")
    with pytest.raises(UserError, match=r"lacks .*pooler.*another options\.pooling"):
        made.build(2, weights, 0)


def test_what_is_usual_for_a_kind_of_model(place, tmp_path):
    module = provider(place, tmp_path).build(2, None, 0).module
    decoder = "llama" in str(place)
    assert module.backbone.pooling == ("last" if decoder else "cls")
    assert module.dropout.p == (0.0 if decoder else 0.1)
    (place / "1_Pooling").mkdir(exist_ok=True)
    (place / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert provider(place, tmp_path / "again", dropout=0.3).build(2, None, 0).module.backbone.pooling == "mean"
    shutil.rmtree(place / "1_Pooling")


def test_weights_come_from_a_file_of_either_make_and_of_no_other_architecture(place, tmp_path):
    made, weights = converted(place, tmp_path)
    again = made.build(4, weights, 0)
    own = tmp_path / "own.safetensors"
    safetensors.torch.save_file(again.module.state_dict(), own)
    for file in (own, place / "model.safetensors"):
        target = tmp_path / f"from-{file.stem}.safetensors"
        model = made.model | {"weights": str(file)}
        download_weights(model, target, tmp_path / "w.json", Fetcher([]), (), made.assets)
        network = made.build(2, target, 5)
        assert networks.frozen_digest(network, [network.head]) == networks.frozen_digest(again, [again.head])
    smaller = text_models.folder(tmp_path / "smaller", place.name, hidden_size=8)
    with pytest.raises(UserError, match="of another shape"):
        provider(smaller, tmp_path / "other").build(2, weights, 0)
    with pytest.raises(UserError, match=r"does not fit|of another shape"):
        converted_elsewhere = provider(smaller, tmp_path / "third", str(place / "model.safetensors"))
        download_weights(
            converted_elsewhere.model, own, tmp_path / "w.json", Fetcher([]), (), converted_elsewhere.assets
        )


def test_state_dicts_are_read_without_running_what_stands_in_them(bert, tmp_path):
    old = shutil.copytree(bert, tmp_path / "old")
    tensors = safetensors.torch.load_file(old / "model.safetensors")
    (old / "model.safetensors").unlink()
    torch.save(tensors, old / "pytorch_model.bin")
    made, weights = converted(old, tmp_path / "made")
    expected, reference = converted(bert, tmp_path / "reference")
    digests = {
        networks.frozen_digest(each, [each.head])
        for each in (made.build(2, weights, 0), expected.build(2, reference, 0))
    }
    assert len(digests) == 1
    torch.save({"a": Fetcher}, old / "pytorch_model.bin")
    with pytest.raises(UserError, match="is refused"):
        converted(old, tmp_path / "evil")


def test_the_last_layers_start_from_random_weights_of_the_seed_where_asked(place, tmp_path):
    made, weights = converted(place, tmp_path, reinit=1)
    assert made.samples_backbone() and not provider(place, tmp_path / "plain").samples_backbone()
    plain = converted(place, tmp_path / "whole")[0].build(2, weights, 0)
    first, again, other = made.build(2, weights, 0), made.build(2, weights, 0), made.build(2, weights, 1)

    def digest(network, name):
        return networks.tensors_digest(networks.trained_tensors(network, [name]))

    kept, drawn = plain.blocks
    assert len({digest(each, kept) for each in (plain, first, again, other)}) == 1
    assert digest(first, drawn) == digest(again, drawn)
    assert len({digest(each, drawn) for each in (plain, first, other)}) == 3
    with pytest.raises(UserError, match="more than the network's 2 layers"):
        converted(place, tmp_path / "deep", reinit=3)[0].build(2, weights, 0)


def test_what_the_networks_own_config_says_can_be_said_otherwise(bert, tmp_path):
    network = provider(bert, tmp_path, config={"num_hidden_layers": 1, "hidden_dropout_prob": 0.4}).build(2, None, 0)
    assert len(network.blocks) == 1 and network.module.dropout.p == 0.4
    with pytest.raises(UserError, match=r"options\.config\.layers: bert has no such setting"):
        provider(bert, tmp_path / "wrong", config={"layers": 1}).build(2, None, 0)


# What kinds of model differ in ----------------------------------------------------------------------------------------


def test_the_head_is_as_wide_as_what_the_backbone_gives_whatever_its_config_calls_its_size(tmp_path):
    made = provider(text_models.folder(tmp_path / "opt", "opt"), tmp_path)
    before = torch.random.get_rng_state()
    network = made.build(3, None, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.module.backbone.model.config.hidden_size == 16 and network.module.head.in_features == 8
    assert network.module.eval()(batch(made)).shape == (3, 3)


@pytest.mark.parametrize("kind", ["clip", "funnel"])
def test_an_architecture_that_gives_no_vector_of_a_text_is_refused_with_the_reason(bert, tmp_path, kind):
    made = provider(shutil.copytree(bert, tmp_path / kind), tmp_path)
    files.write_json(made.assets.parent / "files/config.json", {"model_type": kind})
    with pytest.raises(
        UserError,
        match=rf"{kind}: .* cannot be made a text classifier .*Error: .*another architecture",
    ):
        made.build(3, None, 0)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_what_stands_where_no_token_is_does_not_matter(kind, tmp_path):
    """The first conversions of Llama say that the padding token is -1."""
    made = provider(text_models.folder(tmp_path / kind, kind, pad_token_id=-1), tmp_path)
    module = made.build(3, None, 0).module.eval()
    said = []
    for padding in (module.backbone.padding, 3, 17):
        module.backbone.padding = padding
        said.append(module(batch(made)))
    assert torch.equal(said[0], said[1]) and torch.equal(said[0], said[2])


@pytest.mark.parametrize(("kind", "longest"), [("roberta", 12 - 1 - 1), ("bert", 12), ("xlnet", 16)])
def test_the_longest_text_has_as_many_tokens_as_there_are_positions(kind, longest, tmp_path):
    # An XLNet has no limit, and says that by -1.
    sizes = {"max_position_embeddings": 12} if kind != "xlnet" else {}
    place = text_models.folder(tmp_path / kind, kind, **sizes)
    said = files.read_json(place / "tokenizer_config.json")
    # Without it, the tokenizer knows no limit.
    files.write_json(place / "tokenizer_config.json", {k: v for k, v in said.items() if k != "model_max_length"})
    made = provider(place, tmp_path)
    ((ids,), _) = made.encode(["the cat " * 20], 16)
    assert len(ids) == longest
    assert made.build(3, None, 0).module.eval()(torch.tensor([ids])).isfinite().all()


def sentencepiece_model(place):
    """The folder of a model whose tokenizer is a model of SentencePiece alone, as DeBERTa-v3 is released."""
    import sentencepiece

    place = text_models.folder(place, "deberta-v2")
    (place / "tokenizer.json").unlink()
    files.write_json(place / "tokenizer_config.json", {"do_lower_case": False, "vocab_type": "spm"})
    sentences = iter([f"the quick brown fox jumps over lazy dog number {number}" for number in range(100)])
    with open(place / "spm.model", "wb") as handle:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences, model_writer=handle, vocab_size=48, model_type="unigram", pad_id=0, unk_id=3,
            bos_id=1, eos_id=2, pad_piece="[PAD]", unk_piece="[UNK]", bos_piece="[CLS]", eos_piece="[SEP]",
            minloglevel=2,
        )  # fmt: skip
    return place


def test_a_tokenizer_is_converted_from_a_model_of_sentencepiece(tmp_path):
    pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    made = provider(sentencepiece_model(tmp_path / "deberta"), tmp_path)
    (first, pair), _ = made.encode([("the quick fox", "lazy dog"), ("fox", "fox")], 32)
    assert first[0] == 1 and first[-1] == 2 and first.count(2) == 2 and len(first) > len(pair) > 4
    assert made.build(3, None, 0).module.eval()(torch.tensor([first])).shape == (1, 3)


def test_a_tokenizer_that_cannot_be_made_is_told_of_with_the_model_and_the_remedy(tmp_path, monkeypatch):
    pytest.importorskip("sentencepiece")
    made = provider(sentencepiece_model(tmp_path / "deberta"), tmp_path)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    (made.assets.parent / "files/spm.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"deberta: its files make no tokenizer .*make \.venv/\.transformers"):
        made.encode(["the quick fox"], 32)


# Methods ------------------------------------------------------------------------------------------------------------


def method(kind: str, **options):
    if kind == "lora":
        pytest.importorskip("peft")
    return registry.find("methods", kind)(options)


def test_a_probe_is_cut_at_the_pooled_features(place, tmp_path):
    made = provider(place, tmp_path)
    network = made.build(3, None, 0)
    trial = modalities.find("text").example_batch(made, {})
    halves = cutting.cut(network, method("linear_probe").trainable(network), trial)
    assert halves.prefix(trial).shape == (2, 16)
    assert torch.equal(halves.suffix(halves.prefix(trial)), network.module(trial))


@pytest.mark.parametrize("kind", ["bert", "llama", "roberta", "opt", "gpt2"])
def test_partial_is_cut_before_the_first_layer_that_trains(kind, tmp_path):
    made = provider(text_models.folder(tmp_path / kind, kind), tmp_path, pooling="mean")
    network = made.build(3, None, 0)
    names = method("partial", blocks=1).trainable(network)
    halves = cutting.cut(network, names, modalities.find("text").example_batch(made, {}))
    pairs = batch(made, [("the cat", "a dog ran under the tree"), ("red", "blue"), ("dog", "the small mat")])
    given = halves.prefix(pairs[:, :12])
    assert torch.equal(given.isnan().all(2), pairs[:, :12] == -1)
    expected = network.module(pairs[:, :12])
    torch.testing.assert_close(halves.suffix(given), expected, rtol=1e-5, atol=1e-6)
    # The halves are of the network: what trains in the one trains in the other, and the frozen part is out of it.
    networks.freeze(network, names)
    halves.suffix(given).sum().backward()
    trained = {name for name, each in network.module.named_parameters() if each.requires_grad}
    assert {name for name, each in network.module.named_parameters() if each.grad is not None} == trained
    with torch.no_grad():
        for name in trained:
            network.module.get_parameter(name).add_(0.1)
    changed = network.module(pairs[:, :12])
    assert not torch.allclose(changed, expected, atol=1e-3)
    torch.testing.assert_close(halves.suffix(given), changed, rtol=1e-5, atol=1e-6)


def test_partial_is_not_cut_where_what_trains_has_a_part_in_every_layer(tmp_path):
    """The relative positions of a DeBERTa stand behind its layers, and all layers read them."""
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    made = provider(text_models.folder(tmp_path / "deberta", "deberta-v2", **relative), tmp_path)
    network = made.build(3, None, 0)
    before = {name: each.requires_grad for name, each in network.module.named_parameters()}
    names = method("partial", blocks=1).trainable(network)
    assert any("rel_embeddings" in name for name in names)
    assert cutting.cut(network, names, modalities.find("text").example_batch(made, {})) is None
    assert {name: each.requires_grad for name, each in network.module.named_parameters()} == before


def test_partial_trains_the_last_layers_and_what_follows(place, tmp_path):
    network = provider(place, tmp_path).build(3, None, 0)
    names = method("partial", blocks=1).trainable(network)
    networks.freeze(network, names)
    trained = {name for name, each in network.module.named_parameters() if each.requires_grad}
    assert all(name.startswith((network.blocks[-1], "backbone.model.norm", "head")) for name in trained)


def test_a_layer_whose_weight_is_read_is_known_by_code_and_not_by_comments():
    class Holder(torch.nn.Module):
        def forward(self, x):
            """Does not read self.out.weight."""
            # Nor self.out.weight here.
            return self.out(x)

    assert not lora_method._reads_weight(Holder(), "out")
    assert lora_method._reads_weight(torch.nn.MultiheadAttention(4, 1), "out_proj")
    assert not lora_method._reads_weight(torch.nn.Linear(2, 2), "out_proj")


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_adapters_stand_where_peft_puts_them_for_the_kind_of_model(kind, tmp_path):
    network = provider(text_models.folder(tmp_path / kind, kind), tmp_path).build(3, None, 0)
    lora = method("lora", r=2)
    names = lora.trainable(lora.attach(network))
    ends = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in names if "lora" in name}
    assert ends == ({"query", "value"} if kind == "bert" else {"q_proj", "v_proj"})
    assert len(names) == 2 * 2 * 2 + 1
    lora.sample(network, 0)
    tensors = networks.trained_tensors(network, names)
    assert not any(each.any() for name, each in tensors.items() if "lora_B" in name)
    first = next(each for name, each in tensors.items() if "lora_A" in name)
    assert first.shape == (2, 16) and 0 < first.abs().max() <= 16**-0.5


def test_layers_that_are_not_there_are_named(bert, tmp_path):
    network = provider(bert, tmp_path).build(3, None, 0)
    with pytest.raises(UserError, match=r"a name that ends in qkv; .*such as dense, key, query, value"):
        method("lora", targets=["qkv"]).attach(network)


def test_bitfit_refuses_a_network_without_biases(tmp_path):
    network = provider(text_models.folder(tmp_path / "llama", "llama"), tmp_path).build(3, None, 0)
    with pytest.raises(UserError, match="has none outside its head"):
        method("bitfit").trainable(network)


def test_no_stage_needs_the_library_before_it_is_asked_for_a_network():
    """The provider's module is imported by the config check, and names the module with the library in a function."""
    assert any(
        path.name == "_transformers.py" for path in provenance.closure("variability.models.providers.transformers")
    )
