"""Which part of the environment a study needs, and which conda environment a job."""

import pytest
from support import ROOT

from variability import extras
from variability.config import specs
from variability.config.study import Study
from variability.errors import UserError


@pytest.fixture
def environments(tmp_path):
    for name, text in {"core": "numpy\n", "one": "-r core.in\na\n", "two": "# why\n-r one.in\nb\n"}.items():
        (tmp_path / f"{name}.in").write_text(text)
    return tmp_path


def test_the_smallest_environment_that_has_all(environments):
    assert extras.smallest_environment([], environments) == "core"
    assert extras.smallest_environment(["one"], environments) == "one"
    assert extras.smallest_environment(["two"], environments) == "two"
    assert extras.smallest_environment(["one", "two", "one"], environments) == "two"


def test_extras_that_no_environment_has_together_are_named(environments):
    (environments / "other.in").write_text("-r core.in\n")
    with pytest.raises(UserError, match="has one and other"):
        extras.smallest_environment(["other", "one"], environments)


def test_extras_are_those_of_models_tasks_methods_and_pretrainings():
    config = {
        "models": {"a": {"provider": "timm"}, "b": {"architecture": "resnet18"}},
        "tasks": {"t": {"dataset": "digits"}},
        "methods": {"lora": None, "low-rank": {"kind": "lora"}, "full": None},
        "pretraining": {"p": {"task": {"dataset": "hub_text"}}},
    }
    assert sorted(set(extras.extras_of(config))) == ["timm", "transformers"]
    assert set(extras.extras_of({"pretraining": config["pretraining"]})) == {"transformers"}


@pytest.mark.parametrize("config", [None, [], "study", {"models": ["a"]}, {"models": {"a": 3}, "tasks": {"t": None}}])
def test_a_config_of_another_shape_is_left_to_its_check(config):
    assert not list(extras.extras_of(config))


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff\xfe"])
def test_a_study_that_cannot_be_read_is_named_without_a_traceback(tmp_path, monkeypatch, content):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["extras", str(path)])
    with pytest.raises(SystemExit, match=r"study\.yaml cannot be read as a study"):
        extras.main()


def test_the_embedded_study_needs_core_alone():
    import yaml

    assert not list(extras.extras_of(yaml.safe_load((ROOT / "config.yaml").read_text())))


@pytest.mark.parametrize("architecture", ["org/name", "package:module/model", "/home/me/net", "hf_hub:org/x@1"])
def test_what_is_fetched_has_a_name_that_is_safe_in_paths(architecture):
    import re

    study = Study({"models": {"m": {"architecture": architecture, "weights": "some"}}})
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", specs.weights_key(study, "m"))
