"""The optional parts of the environment that a study needs."""

import subprocess

import pytest
import yaml
from support import ROOT

from variability.config import required_extras


def test_extras_are_those_of_models_tasks_methods_and_pretrainings():
    config = {
        "models": {"a": {"provider": "timm"}, "b": {"architecture": "resnet18"}},
        "tasks": {"t": {"dataset": "digits"}},
        "methods": {"lora": None, "low-rank": {"kind": "lora"}, "full": None},
        "pretraining": {"p": {"task": {"dataset": "hub_text"}}},
    }
    assert sorted(set(required_extras.extras_of(config))) == ["timm", "transformers"]
    assert set(required_extras.extras_of({"pretraining": config["pretraining"]})) == {"transformers"}


@pytest.mark.parametrize("config", [None, [], "study", {"models": ["a"]}, {"models": {"a": 3}, "tasks": {"t": None}}])
def test_a_config_with_errors_is_left_to_its_check(config):
    assert not list(required_extras.extras_of(config))


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff\xfe"])
def test_a_study_that_cannot_be_read_is_named_without_a_traceback(tmp_path, monkeypatch, content):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["required_extras", str(path)])
    with pytest.raises(SystemExit, match=r"study\.yaml cannot be read as a study"):
        required_extras.main()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks:\n\tmine: {}\n", r"line 2, column 1: .*; YAML is indented by spaces, not by tabs"),
        ("methods:\n  full: {recipe: {}\nseeds: [0]\n", r"line 3, column 1: did not find .* that begins in line 2$"),
        ("a: b: c\n", r"line 1, column 5: mapping values are not allowed in this context$"),
    ],
)
def test_a_study_that_is_not_yaml_is_named_with_the_line(text, message, tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["required_extras", str(tmp_path / "study.yaml")])
    with pytest.raises(SystemExit, match=rf"study\.yaml cannot be read as a study: {message}"):
        required_extras.main()


def test_the_name_of_a_study_with_a_typing_mistake_is_proposed(tmp_path, monkeypatch):
    (tmp_path / "photos.yaml").write_text("")
    monkeypatch.setattr("sys.argv", ["required_extras", str(tmp_path / "foto.yaml")])
    with pytest.raises(SystemExit, match=r"did you mean '.*photos\.yaml'\?"):
        required_extras.main()


REPEATED = ["a0: &a0 {key: 1}", *(f"a{at}: &a{at} {{x: *a{at - 1}, y: *a{at - 1}}}" for at in range(1, 60))]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (REPEATED, "has more than 200,000 values; aliases of YAML"),
        (["a: &a {b: *a}"], "a.b: contains itself, by an alias of YAML"),
        (["{a: " * 50 + "1" + "}" * 50], "levels"),
    ],
    ids=["aliases", "cycle", "depth"],
)
def test_a_study_that_snakemake_would_not_finish_merging_is_refused_before(lines, message, tmp_path, monkeypatch):
    path = tmp_path / "study.yaml"
    path.write_text("\n".join(lines))
    monkeypatch.setattr("sys.argv", ["required_extras", str(path)])
    with pytest.raises(SystemExit, match=message):
        required_extras.main()


def test_the_embedded_study_needs_only_the_core_environment():
    assert not list(required_extras.extras_of(yaml.safe_load((ROOT / "config.yaml").read_text())))


def test_make_says_how_to_name_a_study():
    done = subprocess.run(["make", "-n", "study", "mine/own.yaml"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "write: make study STUDY=mine/own.yaml" in done.stderr
