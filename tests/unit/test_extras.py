"""The conda environment of a job, by the extras it needs."""

import pytest

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


@pytest.mark.parametrize("architecture", ["org/name", "package:module/model", "/home/me/net", "hf_hub:org/x@1"])
def test_fetched_weights_have_a_name_that_is_safe_in_paths(architecture):
    import re

    study = Study({"models": {"m": {"architecture": architecture, "weights": "some"}}})
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", specs.weights_key(study, "m"))
