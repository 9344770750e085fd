"""Networks of the user's own: their code, its hash, what is refused, and the head."""

import re

import pytest
import torch
import yaml
from support import ROOT, objections

from variability import registry
from variability.config import validate
from variability.errors import UserError
from variability.models import own_code, trial

pytestmark = pytest.mark.slow

NETS = """
from torch import nn

from parts.blocks import block


def build(width=4, *, classes=10):
    return nn.Sequential(block(3, width), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def with_softmax():
    return nn.Sequential(build(), nn.Softmax(1))


class Squared(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = block(3, width)
        self.classify = nn.Linear(width, 2)
        self.unused = nn.Linear(3, 3)

    def forward(self, images):
        return self.classify(self.body(images).mean((2, 3)))


class Nonlinear(Squared):
    def forward(self, images):
        return super().forward(images).tanh()


def number():
    return 3


def broken():
    raise RuntimeError("no luck")


def needs(width):
    return build(width)
"""
BLOCKS = """
from torch import nn


def block(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3), nn.BatchNorm2d(after), nn.ReLU())
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "blocks.py").write_text(BLOCKS)
    (tmp_path / "other.py").write_text("raise ImportError")
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


def provider(path, function="build", weights="none", **entry):
    model = {"architecture": f"{path}:{function}", "weights": weights, "options": {}} | entry
    return registry.find("providers", "python_file")(model)


def answer(path, function, method=None, **entry):
    model = {"provider": "python_file", "architecture": f"{path}:{function}", "weights": "none", "options": {}} | entry
    return trial.answer({"model": model, "size": 16, "outputs": 2, "method": method, "batch": 2})


@pytest.mark.parametrize(
    ("architecture", "function"),
    [
        ("my_nets.py:build", "build"),
        ("a b/n.py:Net", "Net"),
        ("resnet18", None),
        ("nets.py", None),
        ("nets.py:", None),
        ("google/vit:main", None),
        ("x.py:f()", None),
    ],
)
def test_a_file_and_a_function_are_a_network_of_ones_own(architecture, function):
    reference = own_code.reference(architecture)
    assert (reference and reference.function) == function


# Code --------------------------------------------------------------------------------------------------------------


def test_the_code_is_the_file_and_what_it_imports_from_its_folder(nets):
    names = {path.relative_to(nets.parent).as_posix() for path in own_code.closure(nets)}
    assert names == {"nets.py", "parts/__init__.py", "parts/blocks.py"}


@pytest.mark.parametrize(
    ("name", "edit", "changes"),
    [
        ("nets.py", lambda text: text + "# a comment\n", False),
        ("nets.py", lambda text: text.replace("def build(", "def build(  # wide\n    "), False),
        ("nets.py", lambda text: text.replace("width=4", "width=5"), True),
        ("parts/blocks.py", lambda text: f'"""Blocks."""\n{text}', False),
        ("parts/blocks.py", lambda text: text.replace("after, 3)", "after, 5)"), True),
        ("other.py", lambda text: text + "x = 1\n", False),
    ],
)
def test_an_edit_changes_the_hash_and_a_comment_does_not(nets, name, edit, changes):
    before = provider(nets).code()
    file = nets.parent / name
    file.write_text(edit(file.read_text()))
    assert (provider(nets).code() != before) == changes


def test_the_hash_does_not_depend_on_where_the_folder_is_nor_on_how_it_is_written(nets, monkeypatch):
    absolute = provider(nets).code()
    monkeypatch.chdir(nets.parent)
    assert provider("nets.py").code() == absolute
    nets.parent.joinpath("moved").mkdir()
    for name in ("nets.py", "parts"):
        (nets.parent / name).rename(nets.parent / "moved" / name)
    assert provider("moved/nets.py").code() == absolute


def test_code_that_reads_docstrings_counts_with_its_text(nets):
    nets.write_text(NETS + "TEXT = build.__doc__\n")
    before = provider(nets).code()
    nets.write_text(nets.read_text() + "# a comment\n")
    assert provider(nets).code() != before


def test_modules_of_two_folders_with_the_same_name_are_not_mixed(nets, tmp_path):
    other = tmp_path / "second"
    (other / "parts").mkdir(parents=True)
    (other / "parts" / "blocks.py").write_text(BLOCKS.replace(", 3)", ", 5)"))
    (other / "nets.py").write_text(NETS)
    sizes = [provider(path).build(2, None, 0).module[0][0].kernel_size for path in (nets, other / "nets.py", nets)]
    assert sizes == [(3, 3), (5, 5), (3, 3)]


def test_a_change_after_planning_is_refused(nets):
    planned = provider(nets, code=provider(nets).code())
    planned.build(2, None, 0)
    nets.write_text(NETS.replace("width=4", "width=5"))
    with pytest.raises(UserError, match="was changed after the study was planned"):
        planned.build(2, None, 0)


def test_the_example_of_the_documentation_passes_the_check_of_a_config(tmp_path, monkeypatch):
    section = (ROOT / "docs/models.md").read_text().partition("### A network of your own")[2]
    code, config = (re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1] for language in ("python", "yaml"))
    (tmp_path / "my_nets.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    study = validate.check(yaml.safe_load(config))
    entry = study.model_entry("ours")
    assert entry["provider"] == "python_file" and entry["code"] == own_code.code_digest(tmp_path / "my_nets.py")
    assert registry.find("providers", "python_file")(entry).build(10, None, 0).head == "4"


# The check ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "entry", "key", "message"),
    [
        ("build", {}, None, ""),
        ("Squared", {"options": {"width": 3}}, None, ""),
        ("biuld", {}, "architecture", "defines no 'biuld'; did you mean 'build'?"),
        ("build", {"options": {"widht": 3}}, "options.widht", "did you mean 'width'?"),
        ("needs", {}, "options", "needs width"),
        ("build", {"weights": "IMAGENET1K_V1"}, "weights", "have no releases"),
        ("build", {"weights": "x.h5"}, "weights", "not a file that can be read"),
        ("build", {"preprocess": {"size": 32, "resize": 16}}, "preprocess.size", "cannot be larger"),
    ],
)
def test_mistakes_are_found_without_running_the_code(nets, function, entry, key, message):
    problems = objections(provider(nets, function, **entry))
    assert list(problems) == ([key] if key else [])
    assert message in "".join(problems.values())


def test_missing_and_damaged_files_are_named(nets):
    assert "there is no file" in objections(provider(nets.parent / "no.py"))["architecture"]
    (nets.parent / "parts" / "blocks.py").write_text("def block(:\n")
    assert "blocks.py, line 1: " in objections(provider(nets))["architecture"]
    assert provider(nets).code() is None


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "number returns a int; return a torch.nn.Module"),
        ("broken", "broken fails: RuntimeError: no luck"),
        ("Nonlinear", "not linear, such as a ReLU or a softmax"),
        ("Squared", "does not call its head 'unused'"),
        ("with_softmax", None),
        ("build", None),
    ],
)
def test_what_the_code_does_wrong_is_an_answer_of_its_trial(nets, function, message):
    entry = {"head": "classify"} if function == "Nonlinear" else {}
    problem = answer(nets, function, **entry)
    assert (problem is None) == (message is None)
    assert problem is None or message in problem["message"]
    if function == "broken":
        assert f"{nets}, line " in problem["message"]


# Networks ----------------------------------------------------------------------------------------------------------


def test_the_entry_names_the_head(nets):
    assert provider(nets, "Squared", head="classify").build(5, None, 0).module.classify.out_features == 5
    assert answer(nets, "Squared", head="classify") is None
    with pytest.raises(UserError, match=r"'clasify' is not a Linear or Conv2d layer; did you mean 'classify'"):
        provider(nets, "Squared", head="clasify").build(5, None, 0)


def test_options_are_arguments_and_the_seed_samples_the_weights(nets):
    first, again, other = (provider(nets, options={"width": 6}).build(2, None, seed).module for seed in (0, 0, 1))
    assert first[0][0].out_channels == 6
    assert torch.equal(first[0][0].weight, again[0][0].weight)
    assert not torch.equal(first[0][0].weight, other[0][0].weight)


@pytest.mark.parametrize("suffix", ["th", "pt"])
def test_weights_of_a_file_are_loaded_whatever_their_number_of_classes(nets, tmp_path, suffix):
    source = provider(nets, options={"classes": 7})._construct(seed=5)
    path = tmp_path / f"ours.{suffix}"
    torch.save({"state_dict": source.state_dict()}, path)
    network = provider(nets, weights=str(path)).build(3, path, 0)
    assert torch.equal(network.module[0][0].weight, source[0][0].weight)
    assert network.module[3].out_features == 3
    assert len(provider(nets, weights=str(path)).convert(path)["3.weight"]) == 7


@pytest.mark.parametrize("method", [{"kind": "full"}, {"kind": "partial", "blocks": 1}, {"kind": "bitfit"}])
def test_methods_can_be_applied_or_say_why_not(nets, method):
    problem = answer(nets, "build", method)
    if method["kind"] == "partial":
        assert "has 1 blocks" in problem["message"] or "leaves nothing frozen" in problem["message"]
    else:
        assert problem is None
