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
    ("written", "read"), [("01", 1), ("0x1F", 31), ("1_0", 10), ("1:30", 90), ("0b11", 3), ("1:30.5", 90.5)]
)
def test_a_number_that_is_read_as_another_is_named(written, read, tmp_path):
    expected = f'{written} is read as {read}; write {read}, or "{written}" for text'
    assert problems(tmp_path, f"seeds: [0, {written}]\n") == [f"seeds.1: study.yaml, line 1: {expected}"]


@pytest.mark.parametrize(("written", "octal", "decimal"), [("010", 8, 10), ("-0017", -15, -17), ("0_7_7", 63, 77)])
def test_the_two_readings_of_a_number_with_leading_zeros_are_named(written, octal, decimal, tmp_path):
    expected = f'{written} is read as {octal}, in base 8; write {decimal} or {octal}, or "{written}" for text'
    assert problems(tmp_path, f"seeds: [0, {written}]\n") == [f"seeds.1: study.yaml, line 1: {expected}"]


def test_numbers_in_braces_are_a_list(tmp_path):
    message = "study.yaml, line 2: {0, 1, a} is a mapping without values; write a list: [0, 1, a]"
    assert problems(tmp_path, "study: s\nseeds: {0, 1, a}\n") == [f"seeds: {message}"]
    assert problems(tmp_path, "methods: {full, lora}\n") == []
    message = "study.yaml, line 1: 01 is a key, because a comma separates keys; write decimals with a point"
    assert problems(tmp_path, "recipe: {lr: 0,01}\n") == [f"recipe.01: {message}"]


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: !!python/name:os.system\n", "x: study.yaml, line 1: the tag '!!python/name:os.system' is not allowed"),
        ("x: !!python/object/apply:os.system [a]\n", "the tag '!!python/object/apply:os.system' is not allowed"),
        (
            "x: !!python/tuple [1]\n",
            "the tag '!!python/tuple' is not allowed; write text, a number, a list or a mapping",
        ),
        ("x: !mine {a: 1}\n", "x: study.yaml, line 1: the tag '!mine' is not allowed"),
        ("x: !!set {a, b}\n", "the tag '!!set' is not allowed"),
        ("x: !!binary aGk=\n", "the tag '!!binary' is not allowed"),
        ("a:\n  - 2024-01-01\n", 'a.0: study.yaml, line 2: 2024-01-01 is read as a date; quote it: "2024-01-01"'),
        ("x: =\n", 'x: study.yaml, line 1: = is read as a default; quote it: "="'),
        ("? [a]\n: 1\n", "study.yaml, line 1: a key is a list or a mapping; write text"),
        ("__use_yte__: true\nx: 1\n", "__use_yte__: study.yaml, line 1: templates of YTE execute code"),
        (
            "x: " + "9" * 5000,
            "99999... is a number of 5000 characters",
        ),
        (
            "x: " + "[" * 41 + "]" * 41,
            "study.yaml, line 1: is more than 40 levels deep; no key of a config has so many",
        ),
        ("x:\n " + "[" * 900 + "]" * 900, "study.yaml, line 2: is more than 40 levels deep"),
    ],
)
def test_what_is_more_than_plain_values_is_refused(text, message, tmp_path):
    (found,) = problems(tmp_path, text)
    assert message in found


def test_aliases_in_any_number_and_depth_are_walked_once(tmp_path):
    lines = ["a0: &a0 [1]", *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(2000))]
    assert problems(tmp_path, "\n".join(lines)) == []


def test_a_file_is_read_only_if_nothing_is_wrong(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("a: {b: [1, 0.5]}\n")
    assert yaml_files.read(path) == {"a": {"b": [1, 0.5]}}
    path.write_text("a: 010\n")
    with pytest.raises(ConfigError, match="010 is read as 8"):
        yaml_files.read(path)


def test_problems_have_the_line_of_their_key_or_of_the_nearest_above(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("study: s\nseeds: [0]\nmodels:\n  a.b:\n    weights: none\n")
    second.write_text("\n\nseeds:\n- 0\n- x\n")
    config = {"study": "s", "seeds": [0, "x"], "models": {"a.b": {"weights": "none"}}}
    with pytest.raises(ConfigError) as raised:
        validate.check(config, files=[first, second])
    found = [str(problem) for problem in raised.value.problems]
    (missing,) = [problem for problem in found if problem.startswith("models.a.b: missing 'architecture'")]
    assert missing.endswith("(first.yaml, line 5)")
    assert "seeds.1: 'x' is not a whole number (second.yaml, line 5)" in found
    assert found.count("missing 'tasks', 'methods'") == 1


def test_lines_are_not_guessed_if_a_file_cannot_be_read_as_yaml(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.json"
    first.write_text("seeds: [0]\n")
    second.write_text('{"seeds": ["\\u0000"], ')
    assert yaml_files.lines([first, second]) == {}
    assert set(yaml_files.lines([second, first])) == {"", "seeds", "seeds.0"}


@pytest.mark.parametrize(
    "name", ["con", "NUL", "com1", "LPT9.v2", "aux.net", "scores.json", "probes.log", "a.JSON", "v1.", "Contents"]
)
def test_names_of_devices_and_of_our_own_files_are_reserved(name):
    with pytest.raises(ConfigError, match="is reserved, for a device of Windows, or for files of the workflow"):
        validate.check({"study": name})


@pytest.mark.parametrize("name", ["console", "nullify", "com10", "json", "v1.1", "auxiliary.net", "con-1", "a.jsonl"])
def test_similar_names_are_free(name):
    with pytest.raises(ConfigError) as raised:
        validate.check({"study": name})
    assert "study: " not in str(raised.value)


def test_names_of_tasks_and_pretrainings_share_a_folder():
    task = {"dataset": "digits", "image": {"size": 32}}
    config = {"tasks": {"letters": task}, "pretraining": {"Letters": {"task": task}}}
    with pytest.raises(ConfigError, match=r"pretraining\.Letters: differs from 'letters' only in case"):
        validate.check(
            {"study": "s", "seeds": [0], "models": {"a": {"architecture": "resnet18"}}, "methods": {"full": {}}}
            | config
        )
