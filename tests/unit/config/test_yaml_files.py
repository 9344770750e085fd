"""Repeated keys, and names and numbers that YAML reads as something else than what is written."""

import pytest

from variability.config import validate, yaml_files
from variability.errors import ConfigError


def problems(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return [str(problem) for problem in yaml_files.check([path])]


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        *(("18", "a number"), ("1.10", "a number"), ("007", "a number"), ("12:30", "a number"), ("1.5e+3", "a number")),
        *((".inf", "a number"), ("no", "a truth value"), ("True", "a truth value"), ("null", "a missing value")),
        *(("~", "a missing value"), ("2024-01-01", "a date")),
    ],
)
def test_a_name_that_is_not_read_as_text_is_to_be_quoted(name, read_as, tmp_path):
    text = f"models:\n  {name}: {{architecture: resnet18}}\n"
    message = f'models.{name}: study.yaml, line 2: {name} is read as {read_as}; quote it: "{name}"'
    assert problems(tmp_path, text) == [message]
    assert not problems(tmp_path, text.replace(name, f'"{name}"'))
    assert not problems(tmp_path, text.replace(name, f"'{name}'"))


@pytest.mark.parametrize(
    ("written", "read"), [("010", 8), ("0x1F", 31), ("1_0", 10), ("1:30", 90), ("0b11", 3), ("1:30.5", 90.5)]
)
def test_a_number_that_is_read_as_another_is_named(written, read, tmp_path):
    expected = f'{written} is read as {read}; write {read}, or "{written}" for text'
    assert problems(tmp_path, f"seeds: [0, {written}]\n") == [f"seeds.1: study.yaml, line 1: {expected}"]


@pytest.mark.parametrize("text", ["seeds: [0, 10, -3, 1e3, 1.5, 4294967295]\nmodels: {a1: null, v1.1.0: {}}\n", ""])
def test_what_is_read_as_written_is_no_problem(text, tmp_path):
    assert problems(tmp_path, text) == []


def test_quoted_keys_of_json_and_damaged_files_are_no_problem(tmp_path):
    assert problems(tmp_path, '{"models": {"18": {"architecture": "resnet18"}}}') == []
    assert problems(tmp_path, "models: [}") == []


def test_a_repeated_key_is_refused_with_all_its_lines(tmp_path):
    text = (
        "study: a\nmethods:\n  full: {}\nmodels: {m: {weights: none, weights: other}}\nmethods:\n  linear_probe: {}\n"
    )
    remedy = "the same key more than once, of which YAML would use only the last; merge them, or rename all but one"
    assert problems(tmp_path, text) == [
        f"methods: study.yaml, lines 2 and 5: {remedy}",
        f"models.m.weights: study.yaml, line 4: {remedy}",
    ]
    assert problems(tmp_path, '{"seeds": [0],\n\t"seeds": [1],\n\t"seeds": [2]}') == [
        f"seeds: study.yaml, lines 1, 2 and 3: {remedy}"
    ]


def test_aliases_and_merges_are_not_repeated_keys(tmp_path):
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\nd: {<<: *a, <<: {z: 1}}\ne: &e [*e]\n"
    assert problems(tmp_path, text) == []


def test_the_check_of_a_config_reports_them(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("models: {18: {}}\n")
    with pytest.raises(ConfigError, match='18 is read as a number; quote it: "18"'):
        validate.check({"models": {18: {}}}, files=[path])


def test_a_name_too_long_for_files_is_refused():
    with pytest.raises(ConfigError, match=r"has 300 characters; at most 100 are allowed"):
        validate.check({"study": "n" * 300})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"study": 7}, 'study: 7 is not text; if it is a name, quote it, as in "18"'),
        ({"models": {18: {"architecture": "resnet18"}}}, "models: 18 is not text; if it is a name, quote it"),
        ({"grid": {"include": [{"model": 18}]}}, "18 is not allowed here; expected a name, or a list of names"),
    ],
)
def test_without_the_file_the_check_still_refuses_names_that_are_not_text(config, message):
    with pytest.raises(ConfigError) as raised:
        validate.check(config)
    assert message in str(raised.value) and "quote it" in str(raised.value)
