"""Networks of Transformers: their outputs are the library's, and depend only on the seed."""

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

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")

TEXTS = ["the cat sat", "a big red dog ran under the tree", "dog"]


def batch(this: Transformers, texts=TEXTS) -> torch.Tensor:
    ids, _ = this.encode(texts, 16)
    rows = torch.full((len(ids), 16), -1)
    for at, outputs in enumerate(ids):
        rows[at, : len(outputs)] = torch.tensor(outputs)
    return rows


# Networks ------------------------------------------------------------------------------------------------------------


def test_a_network_depends_only_on_its_seed_and_not_on_the_global_generator(model_folder, tmp_path):
    this = provider(model_folder, tmp_path)
    before = torch.random.get_rng_state()
    first, larger, other = this.build(3, None, 0), this.build(5, None, 0), this.build(3, None, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    digests = [networks.frozen_digest(network, [network.head]) for network in (first, larger, other)]
    assert digests[0] == digests[1] != digests[2]
    assert first.module.eval()(batch(this)).shape == (3, 3)
    assert len(first.blocks) == 2 and first.chain[-1] == first.head


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
def test_outputs_of_released_weights_are_the_librarys_whatever_the_batch(model_folder, tmp_path, pooling):
    this, weights = converted(model_folder, tmp_path, pooling=pooling)
    network = this.build(4, weights, 0)
    released = transformers.AutoModel.from_pretrained(model_folder, local_files_only=True).eval()
    outputs = network.module.eval().backbone(batch(this))
    for ids, output in zip(this.encode(TEXTS, 16)[0], outputs, strict=True):
        hidden = released(torch.tensor([ids])).last_hidden_state[0]
        expected = {"cls": hidden[0], "mean": hidden.mean(0), "last": hidden[-1]}[pooling]
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)


def test_the_second_text_of_a_pair_is_distinguished_from_the_first(bert, tmp_path):
    this, weights = converted(bert, tmp_path, pooling="mean")
    pairs = [("the cat", "a dog ran"), ("red", "blue")]
    outputs = this.build(2, weights, 0).module.eval().backbone(batch(this, pairs))
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    released = transformers.AutoModel.from_pretrained(bert).eval()
    for pair, output in zip(pairs, outputs, strict=True):
        encoded = tokenizer(*pair, return_tensors="pt", return_token_type_ids=True)
        assert encoded["token_type_ids"].any()
        torch.testing.assert_close(output, released(**encoded).last_hidden_state[0].mean(0), rtol=1e-5, atol=1e-5)


def test_the_pooler_exists_if_it_is_chosen_and_pretrained(bert, tmp_path):
    assert not any("pooler" in name for name, _ in provider(bert, tmp_path).build(2, None, 0).module.named_parameters())
    network = provider(bert, tmp_path / "a", pooling="pooler").build(2, None, 0)
    assert network.module.eval().backbone(batch(provider(bert, tmp_path / "b"))).abs().max() <= 1
    # A masked language model is released without one.
    this, weights = converted(bert, tmp_path, pooling="pooler")
    with pytest.raises(UserError, match=r"lacks .*pooler.*another options\.pooling"):
        this.build(2, weights, 0)


def test_defaults_depend_on_the_type_of_model(model_folder, tmp_path):
    module = provider(model_folder, tmp_path).build(2, None, 0).module
    decoder = "llama" in str(model_folder)
    assert module.backbone.pooling == ("last" if decoder else "cls")
    assert module.dropout.p == (0.0 if decoder else 0.1)
    (model_folder / "1_Pooling").mkdir(exist_ok=True)
    (model_folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert provider(model_folder, tmp_path / "again", dropout=0.3).build(2, None, 0).module.backbone.pooling == "mean"
    shutil.rmtree(model_folder / "1_Pooling")


def test_weights_are_read_from_our_files_and_releases_of_the_same_architecture(model_folder, tmp_path):
    this, weights = converted(model_folder, tmp_path)
    again = this.build(4, weights, 0)
    ours = tmp_path / "own.safetensors"
    safetensors.torch.save_file(again.module.state_dict(), ours)
    for file in (ours, model_folder / "model.safetensors"):
        target = tmp_path / f"from-{file.stem}.safetensors"
        model = this.model | {"weights": str(file)}
        download_weights(model, target, tmp_path / "w.json", Fetcher([]), (), this.assets)
        network = this.build(2, target, 5)
        assert networks.frozen_digest(network, [network.head]) == networks.frozen_digest(again, [again.head])
    smaller = text_models.folder(tmp_path / "smaller", model_folder.name, hidden_size=8)
    with pytest.raises(UserError, match="of another shape"):
        provider(smaller, tmp_path / "other").build(2, weights, 0)
    with pytest.raises(UserError, match=r"does not fit|of another shape"):
        converted_elsewhere = provider(smaller, tmp_path / "third", str(model_folder / "model.safetensors"))
        download_weights(
            converted_elsewhere.model, ours, tmp_path / "w.json", Fetcher([]), (), converted_elsewhere.assets
        )


def test_state_dicts_are_read_without_running_their_code(bert, tmp_path):
    old = shutil.copytree(bert, tmp_path / "old")
    tensors = safetensors.torch.load_file(old / "model.safetensors")
    (old / "model.safetensors").unlink()
    torch.save(tensors, old / "pytorch_model.bin")
    this, weights = converted(old, tmp_path / "made")
    expected, reference = converted(bert, tmp_path / "reference")
    digests = {
        networks.frozen_digest(network, [network.head])
        for network in (this.build(2, weights, 0), expected.build(2, reference, 0))
    }
    assert len(digests) == 1
    torch.save({"a": Fetcher}, old / "pytorch_model.bin")
    with pytest.raises(UserError, match="is refused"):
        converted(old, tmp_path / "evil")


def test_the_option_reinit_gives_the_last_layers_random_weights_of_the_seed(model_folder, tmp_path):
    this, weights = converted(model_folder, tmp_path, reinit=1)
    assert this.samples_backbone() and not provider(model_folder, tmp_path / "plain").samples_backbone()
    plain = converted(model_folder, tmp_path / "whole")[0].build(2, weights, 0)
    first, again, other = this.build(2, weights, 0), this.build(2, weights, 0), this.build(2, weights, 1)

    def digest(network, name):
        return networks.tensors_digest(networks.trained_tensors(network, [name]))

    retained, sampled = plain.blocks
    assert len({digest(network, retained) for network in (plain, first, again, other)}) == 1
    assert digest(first, sampled) == digest(again, sampled)
    assert len({digest(network, sampled) for network in (plain, first, other)}) == 3
    with pytest.raises(UserError, match="more than the network's 2 layers"):
        converted(model_folder, tmp_path / "deep", reinit=3)[0].build(2, weights, 0)


def test_values_of_the_networks_own_config_can_be_replaced(bert, tmp_path):
    network = provider(bert, tmp_path, config={"num_hidden_layers": 1, "hidden_dropout_prob": 0.4}).build(2, None, 0)
    assert len(network.blocks) == 1 and network.module.dropout.p == 0.4
    with pytest.raises(UserError, match=r"options\.config\.layers: bert has no such setting"):
        provider(bert, tmp_path / "wrong", config={"layers": 1}).build(2, None, 0)


# Differences between model types --------------------------------------------------------------------------------------


def test_the_head_has_as_many_inputs_as_the_backbone_has_features_whatever_its_config(tmp_path):
    this = provider(text_models.folder(tmp_path / "opt", "opt"), tmp_path)
    before = torch.random.get_rng_state()
    network = this.build(3, None, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.module.backbone.model.config.hidden_size == 16 and network.module.head.in_features == 8
    assert network.module.eval()(batch(this)).shape == (3, 3)


@pytest.mark.parametrize("kind", ["clip", "funnel"])
def test_an_architecture_without_a_vector_per_text_is_refused_with_the_reason(bert, tmp_path, kind):
    this = provider(shutil.copytree(bert, tmp_path / kind), tmp_path)
    files.write_json(this.assets.parent / "files/config.json", {"model_type": kind})
    with pytest.raises(
        UserError,
        match=rf"{kind}: .* cannot be made a text classifier .*Error: .*another architecture",
    ):
        this.build(3, None, 0)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_padding_does_not_matter(kind, tmp_path):
    """In the first conversions of Llama the padding token is -1."""
    this = provider(text_models.folder(tmp_path / kind, kind, pad_token_id=-1), tmp_path)
    module = this.build(3, None, 0).module.eval()
    output = []
    for padding in (module.backbone.padding, 3, 17):
        module.backbone.padding = padding
        output.append(module(batch(this)))
    assert torch.equal(output[0], output[1]) and torch.equal(output[0], output[2])


@pytest.mark.parametrize(("kind", "longest"), [("roberta", 12 - 1 - 1), ("bert", 12), ("xlnet", 16)])
def test_the_longest_text_has_as_many_tokens_as_the_model_has_positions(kind, longest, tmp_path):
    # An XLNet has no limit, which its config writes as -1.
    sizes = {"max_position_embeddings": 12} if kind != "xlnet" else {}
    model_folder = text_models.folder(tmp_path / kind, kind, **sizes)
    settings = files.read_json(model_folder / "tokenizer_config.json")
    # Without it, the tokenizer has no limit.
    files.write_json(
        model_folder / "tokenizer_config.json", {k: v for k, v in settings.items() if k != "model_max_length"}
    )
    this = provider(model_folder, tmp_path)
    ((ids,), _) = this.encode(["the cat " * 20], 16)
    assert len(ids) == longest
    assert this.build(3, None, 0).module.eval()(torch.tensor([ids])).isfinite().all()


def sentencepiece_model(model_folder):
    """Write the folder of a model whose tokenizer is only a SentencePiece model, as in releases of DeBERTa-v3."""
    import sentencepiece

    model_folder = text_models.folder(model_folder, "deberta-v2")
    (model_folder / "tokenizer.json").unlink()
    files.write_json(model_folder / "tokenizer_config.json", {"do_lower_case": False, "vocab_type": "spm"})
    sentences = iter([f"the quick brown fox jumps over lazy dog number {number}" for number in range(100)])
    with open(model_folder / "spm.model", "wb") as handle:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences, model_writer=handle, vocab_size=48, model_type="unigram", pad_id=0, unk_id=3,
            bos_id=1, eos_id=2, pad_piece="[PAD]", unk_piece="[UNK]", bos_piece="[CLS]", eos_piece="[SEP]",
            minloglevel=2,
        )  # fmt: skip
    return model_folder


def test_a_tokenizer_is_converted_from_a_model_of_sentencepiece(tmp_path):
    pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    this = provider(sentencepiece_model(tmp_path / "deberta"), tmp_path)
    (first, pair), _ = this.encode([("the quick fox", "lazy dog"), ("fox", "fox")], 32)
    assert first[0] == 1 and first[-1] == 2 and first.count(2) == 2 and len(first) > len(pair) > 4
    assert this.build(3, None, 0).module.eval()(torch.tensor([first])).shape == (1, 3)


def test_a_tokenizer_that_cannot_be_made_is_reported_with_the_model_and_advice(tmp_path, monkeypatch):
    pytest.importorskip("sentencepiece")
    this = provider(sentencepiece_model(tmp_path / "deberta"), tmp_path)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    (this.assets.parent / "files/spm.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"deberta: its files make no tokenizer .*make \.venv/\.transformers"):
        this.encode(["the quick fox"], 32)


# Methods ------------------------------------------------------------------------------------------------------------


def method(kind: str, **options):
    if kind == "lora":
        pytest.importorskip("peft")
    return registry.find("methods", kind)(options)


def test_a_probe_is_cut_at_the_pooled_features(model_folder, tmp_path):
    this = provider(model_folder, tmp_path)
    network = this.build(3, None, 0)
    trial = modalities.find("text").example_batch(this, {})
    halves = cutting.cut(network, method("linear_probe").trainable(network), trial)
    assert halves.prefix(trial).shape == (2, 16)
    assert torch.equal(halves.suffix(halves.prefix(trial)), network.module(trial))


@pytest.mark.parametrize("kind", ["bert", "llama", "roberta", "opt", "gpt2"])
def test_partial_is_cut_before_the_first_layer_that_trains(kind, tmp_path):
    this = provider(text_models.folder(tmp_path / kind, kind), tmp_path, pooling="mean")
    network = this.build(3, None, 0)
    names = method("partial", blocks=1).trainable(network)
    halves = cutting.cut(network, names, modalities.find("text").example_batch(this, {}))
    pairs = batch(this, [("the cat", "a dog ran under the tree"), ("red", "blue"), ("dog", "the small mat")])
    encoded = halves.prefix(pairs[:, :12])
    assert torch.equal(encoded.isnan().all(2), pairs[:, :12] == -1)
    expected = network.module(pairs[:, :12])
    torch.testing.assert_close(halves.suffix(encoded), expected, rtol=1e-5, atol=1e-6)
    # The halves share the network's modules: training the suffix trains the network and not the frozen part.
    networks.freeze(network, names)
    halves.suffix(encoded).sum().backward()
    trained = {name for name, parameter in network.module.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in network.module.named_parameters() if parameter.grad is not None} == trained
    with torch.no_grad():
        for name in trained:
            network.module.get_parameter(name).add_(0.1)
    changed = network.module(pairs[:, :12])
    assert not torch.allclose(changed, expected, atol=1e-3)
    torch.testing.assert_close(halves.suffix(encoded), changed, rtol=1e-5, atol=1e-6)


def test_partial_is_not_cut_if_all_layers_use_a_part_that_trains(tmp_path):
    """The relative positions of a DeBERTa come after its layers, and all layers read them."""
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    this = provider(text_models.folder(tmp_path / "deberta", "deberta-v2", **relative), tmp_path)
    network = this.build(3, None, 0)
    before = {name: parameter.requires_grad for name, parameter in network.module.named_parameters()}
    names = method("partial", blocks=1).trainable(network)
    assert any("rel_embeddings" in name for name in names)
    assert cutting.cut(network, names, modalities.find("text").example_batch(this, {})) is None
    assert {name: parameter.requires_grad for name, parameter in network.module.named_parameters()} == before


def test_partial_trains_the_last_layers_and_all_parts_after_them(model_folder, tmp_path):
    network = provider(model_folder, tmp_path).build(3, None, 0)
    names = method("partial", blocks=1).trainable(network)
    networks.freeze(network, names)
    trained = {name for name, parameter in network.module.named_parameters() if parameter.requires_grad}
    assert all(name.startswith((network.blocks[-1], "backbone.model.norm", "head")) for name in trained)


def test_a_layer_whose_weight_is_read_is_detected_in_code_and_not_in_comments():
    class Holder(torch.nn.Module):
        def forward(self, x):
            """Does not read self.out.weight."""
            # Nor self.out.weight here.
            return self.out(x)

    assert not lora_method._reads_weight(Holder(), "out")
    assert lora_method._reads_weight(torch.nn.MultiheadAttention(4, 1), "out_proj")
    assert not lora_method._reads_weight(torch.nn.Linear(2, 2), "out_proj")


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_adapters_are_where_peft_adds_them_for_the_type_of_model(kind, tmp_path):
    network = provider(text_models.folder(tmp_path / kind, kind), tmp_path).build(3, None, 0)
    lora = method("lora", r=2)
    names = lora.trainable(lora.attach(network))
    ends = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in names if "lora" in name}
    assert ends == ({"query", "value"} if kind == "bert" else {"q_proj", "v_proj"})
    assert len(names) == 2 * 2 * 2 + 1
    lora.sample(network, 0)
    tensors = networks.trained_tensors(network, names)
    assert not any(parameter.any() for name, parameter in tensors.items() if "lora_B" in name)
    first = next(parameter for name, parameter in tensors.items() if "lora_A" in name)
    assert first.shape == (2, 16) and 0 < first.abs().max() <= 16**-0.5


def test_layers_that_do_not_exist_are_named(bert, tmp_path):
    network = provider(bert, tmp_path).build(3, None, 0)
    with pytest.raises(UserError, match=r"a name that ends in qkv; .*such as dense, key, query, value"):
        method("lora", targets=["qkv"]).attach(network)


def test_bitfit_refuses_a_network_without_biases(tmp_path):
    network = provider(text_models.folder(tmp_path / "llama", "llama"), tmp_path).build(3, None, 0)
    with pytest.raises(UserError, match="has none outside its head"):
        method("bitfit").trainable(network)


def test_no_stage_imports_the_library_before_it_builds_a_network():
    """The config check imports the provider's module, which imports the module with the library in a function."""
    assert any(
        path.name == "_transformers.py" for path in provenance.closure("variability.models.providers.transformers")
    )
