"""Tests of what messages propose: the key that was meant, the form of a mapping, one message per mistake."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from edited_config import GOOD, MODEL, problems, put

from variability.config import key_advice, schema_messages, validate
from variability.config.schema import config_schema
from variability.errors import ConfigError


def only(edit):
    (problem,) = problems(edit)
    return problem


def renamed(old, new, value=None):
    def edit(config):
        section = config.pop(old)
        config[new] = section if value is None else value

    return edit


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("seeds", "seed", 0),
        ("seeds", "random_seeds", [0]),
        ("tasks", "task", None),
        ("tasks", "datasets", None),
        ("methods", "method", None),
        ("models", "modles", None),
    ],
)
def test_a_section_under_another_name_is_not_also_missing(old, new, value):
    assert only(renamed(old, new, value)) == f"{new}: unknown key; did you mean {old!r}?"


def test_a_required_key_under_another_name_is_not_also_missing():
    def edit(config):
        model = config["models"][MODEL]
        model["name"] = model.pop("architecture")

    assert only(edit) == f"models.{MODEL}.name: unknown key; did you mean 'architecture'?"
    both = problems(lambda config: config["tasks"].update(digits={"image": {"size": 8}, "sise": 1, "colour": 2}))
    assert any("missing 'dataset'" in problem for problem in both)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("device", "cuda", "device: unknown key; no key selects devices: `snakemake --resources gpu=1` says"),
        ("recipe/device", "cuda", "recipe.device: unknown key; no key selects devices"),
        (f"models/{MODEL}/gpus", 1, f"models.{MODEL}.gpus: unknown key; no key selects devices"),
        ("paired", True, "paired: unknown key; runs are pairs in the whole study or nowhere: write `pairing: seed`"),
        ("recipe/learning_rate", 0.1, "recipe.learning_rate: unknown key; did you mean 'lr'?"),
        (
            "tasks/photos",
            {"dataset": "image_folder", "path": "photos", "image": {"size": 32}},
            "tasks.photos.path: unknown key; it belongs to 'options': write options: {path: ...}",
        ),
        (
            "tasks/digits/seeds",
            [0],
            "tasks.digits.seeds: unknown key; it belongs to the study: write 'seeds' at the top",
        ),
        ("compute/mirrors", [], "compute.mirrors: unknown key; it belongs to the study: write 'mirrors' at the top"),
    ],
)
def test_an_unknown_key_is_shown_where_it_belongs(path, value, message):
    assert only(put(path, value)).startswith(message)


@pytest.mark.parametrize(
    ("path", "value", "form"),
    [
        ("models", "resnet18", {"resnet18": {"architecture": "resnet18"}}),
        ("models", ["resnet18", "resnet34"], {n: {"architecture": n} for n in ("resnet18", "resnet34")}),
        (
            "models",
            [{"architecture": "vgg11", "weights": "none"}],
            {"vgg11": {"architecture": "vgg11", "weights": "none"}},
        ),
        ("models", [{"name": "a", "architecture": "vgg11"}], {"a": {"architecture": "vgg11"}}),
        ("methods", ["linear_probe", "full"], {"linear_probe": {}, "full": {}}),
        ("methods", "full", {"full": {}}),
        ("tasks", "digits", {"digits": {"dataset": "digits"}}),
        ("imports", "runs.csv", {"runs.csv": {"path": "runs.csv"}}),
        ("imports", [{"path": "../a b/my.csv", "metrics": {}}], {"my": {"path": "../a b/my.csv", "metrics": {}}}),
        ("tasks/digits/image", 32, {"size": 32}),
        ("tasks/digits/split", 0.8, {"train": 0.8}),
        ("recipe", 0.01, {"lr": 0.01}),
        ("recipe", [{"lr": 0.01}, {"epochs": 3}], {"lr": 0.01, "epochs": 3}),
        ("recipe/augmentation", "flip", {"flip": True}),
        ("grid", [{"model": "a"}], {"include": [{"model": "a"}]}),
        ("compute", 4, {"threads": 4}),
    ],
)
def test_a_mapping_is_proposed_that_has_the_value(path, value, form):
    text = re.search(r"is not a mapping; write, for example, (\{.*\})$", only(put(path, value)))[1]
    assert yaml.safe_load(text) == form


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("grid/exclude", {"model": "a"}, "grid.exclude: {'model': 'a'} is not a list; write [{model: a}]"),
        ("metrics", {"accuracy": None, "nll": None}, "is not a list; write its names: [accuracy, nll]"),
        (
            "metrics",
            {"accuracy": {"range": [0, 1]}},
            "is not a list; write its names: [accuracy]; what describes them belongs to `scales`",
        ),
        ("tasks/digits/metric", ["f1_macro", "accuracy"], "is not text; write one value, such as f1_macro"),
        ("recipe/epochs", [10, 20], "is not a whole number; write one value, such as 10"),
        (
            "methods/mine",
            {},
            "bitfit, full, linear_probe, lora, partial; a name of your own needs one of these as its kind",
        ),
        ("tasks/digits/split/train", "62.5%", "the partition that the data set ships); write 0.625"),
        (
            f"models/{MODEL}/weights",
            None,
            'nothing is not text; remove the key, write a value, or quote a name, as in "null"',
        ),
        *(
            (
                f"models/{MODEL}/weights",
                name,
                f"{name!r} is not a file of weights that can be read, which ends in .safet",
            )
            for name in ("best.ckpt", "runs/a/model_best.pth.tar", "pytorch_model.bin", "W.PTH")
        ),
    ],
)
def test_another_form_of_a_value_is_proposed(path, value, message):
    assert message in only(put(path, value))


def mappings(schema, path=()):
    """Yield the paths and schemas of all mappings of a schema."""
    schema = key_advice.resolve(schema, config_schema()["$defs"])
    if schema.get("type") == "object":
        yield path, schema
    for key, each in schema.get("properties", {}).items():
        yield from mappings(each, (*path, key))
    if isinstance(each := schema.get("additionalProperties"), dict):
        yield from mappings(each, (*path, "a"))


def test_no_message_about_a_mapping_is_without_a_form():
    found = list(mappings(config_schema()))
    assert len(found) > 60
    for path, schema in found:
        for value in ("some text", [1, 2], 3.5):
            messages = [
                problem.message
                for problem in schema_messages.problems(value, schema | {"$defs": config_schema()["$defs"]})
            ]
            assert messages and all("write" in message for message in messages), (path, value, messages)


@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("imports", {"path": "runs.csv", "columns": {"model": "m"}, "metrics": {"acc": {}}}),
        ("models", {"architecture": "resnet18", "weights": "none"}),
        ("tasks", {"dataset": "digits", "image": {"size": 8}}),
        ("methods", {"kind": "partial", "blocks": 2}),
    ],
)
def test_an_entry_without_a_name_is_one_problem(section, entry):
    message = only(put(section, entry))
    keys = ", ".join(f"{key}: ..." for key in entry)
    assert message == f"{section}: the entry has no name; write {section}: {{my_{section[:-1]}: {{{keys}}}}}"


def test_entries_that_the_author_did_not_write_are_not_reported(tmp_path):
    base, own = tmp_path / "config.yaml", tmp_path / "own.yaml"
    base.write_text(
        "study: base\nseeds: [0, 1, 2]\nmodels: {a: {architecture: resnet18}}\nmethods: {full: {}}\n"
        "tasks: {digits: {dataset: digits, image: {size: 8}, split: {test: 99}}}\n"
        "grid: {exclude: [{model: a, seed: 2}]}\n"
    )
    text = "seeds: [0, 1]\nmodel: {b: {architecture: resnet34}}\noverrides: [{model: b, recipe: {lr: 0.1}}]\n"

    def reported(text):
        own.write_text(text)
        with pytest.raises(ConfigError) as refused:
            validate.check(yaml.safe_load(base.read_text()) | yaml.safe_load(text), (), [base, own])
        return [str(problem) for problem in refused.value.problems]

    assert reported(text) == ["model: unknown key; did you mean 'models'? (own.yaml, line 2)"]
    # Without a misspelt section, the contradiction is the author's.
    assert reported("seeds: [0, 1]\n") == ["grid.exclude.0.seed: 2 is not among the seeds [0, 1] (config.yaml, line 6)"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "tasks/digits/metric",
            ["f1_macro", "nll"],
            "write one value, such as f1_macro; it is the primary one, and all",
        ),
        ("recipe/lr", [0.1, 0.01], "write one value, such as 0.1; to compare several, give each a method of its own"),
        (f"models/{MODEL}/architecture", ["vgg11", "vgg13"], "such as vgg11; each needs a model of its own"),
        ("recipe/epochs", 0.5, "recipe.epochs: 0.5 is not a whole number"),
        ("methods/lora", {"rank": 4}, "methods.lora.rank: unknown key; did you mean 'r'?"),
        (
            f"models/{MODEL}/weights",
            "https://a.org/w.pth",
            "is an address, and a path is needed; download the file, and",
        ),
        (f"models/{MODEL}/architecture", "timm/resnet18.a1_in1k", "need `provider: timm`, and 'resnet18.a1_in1k' as"),
        ("recipe/lr", "0,01", "recipe.lr: '0,01' is not a number; write 0.01"),
        ("recipe/lr", "\u22120.1", "is not a number; write -0.1"),
        ("recipe", "lr=0.1", "recipe: 'lr=0.1' is not a mapping; write, for example, {lr: 0.1}"),
        ("recipe", "epochs:3", "is not a mapping; write, for example, {epochs: 3}"),
        ("recipe.lr", 0.1, "recipe.lr: unknown key; levels are mappings: write recipe: {lr: ...}"),
        ("recipe/epochs", None, "recipe.epochs: nothing is not a whole number; write a number, or remove it"),
    ],
)
def test_the_right_form_of_a_value_is_shown(path, value, message):
    assert message in only(put(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "methods/fine-tune",
            {},
            "did you mean 'full'? A name of your own needs its kind: write fine-tune: {kind: full}",
        ),
        (
            "methods/mine",
            {"kind": "Feature Extraction"},
            "mine.kind: unknown method 'Feature Extraction'; did you mean",
        ),
        ("methods/peft", None, "methods.peft: unknown method 'peft'; did you mean 'lora'?"),
        (
            "methods/own",
            {},
            "known: bitfit, full, linear_probe, lora, partial; a name of your own needs one of these",
        ),
        (
            f"models/{MODEL}/provider",
            "huggingface",
            "provider: unknown provider 'huggingface'; did you mean 'transformers'?",
        ),
        ("tasks/digits/dataset", "csv", "tasks.digits.dataset: unknown dataset 'csv'; did you mean 'text_table'?"),
    ],
)
def test_another_name_of_a_plugin_is_recognised(path, value, message):
    assert message in only(put(path, value))


@pytest.mark.parametrize(
    ("edit", "path", "file"),
    [
        (
            put("tasks/digits", {"dataset": "npz", "options": {"path": "sub/x.npz"}, "image": {"size": 8}}),
            "sub/x.npz",
            None,
        ),
        (put(f"models/{MODEL}/weights", "w.pth"), "w.pth", None),
        (put(f"models/{MODEL}", {"architecture": "nets.py:build"}), "nets.py:build", "nets.py"),
        (put("plugins", ["plug"]), "plug", "plug/x.py"),
        (put("imports", {"own": {"path": ["gone-*.csv"], "metrics": {"accuracy": None}}}), "gone-*.csv", "gone-1.csv"),
    ],
)
def test_a_file_next_to_the_config_is_shown_with_the_path_to_write(edit, path, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    config = copy.deepcopy(GOOD)
    edit(config)
    folder.mkdir()
    (tmp_path / "mine/study.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def message():
        with pytest.raises(ConfigError) as raised:
            validate.check(config, [], [Path("mine/study.yaml")])
        return str(raised.value)

    assert "paths start in" not in message()
    (folder / (file or path)).parent.mkdir(exist_ok=True)
    (folder / (file or path)).touch()
    advice = (
        f"{path!r} is next to mine/study.yaml: write 'mine/{path}', because paths start in the folder of the command"
    )
    assert advice in message() and "did you mean" not in message()
