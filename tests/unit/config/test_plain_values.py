"""Conversion of a config to plain values, and what it refuses."""

import collections
import datetime
import math

import hostile_values
import pytest

from variability.config import validate
from variability.config.plain_values import MAX_DEPTH, MAX_VALUES, plain
from variability.errors import ConfigError


def repr_of(value: object) -> str:
    """Return a short name of a value: Python does not write whole numbers of thousands of digits."""
    return "number of many digits" if isinstance(value, int) and value > 10**30 else ascii(value)[:30]


def problems(config) -> list[str]:
    return [str(problem) for problem in plain(config)[1]]


def test_plain_values_are_copied_and_nothing_is_shared():
    shared = [1, {"a": 0.5}]
    config = collections.OrderedDict(x=shared, y=shared, z=None, t="é\t\n", b=True, n=-3)
    copy, found = plain(config)
    assert (copy, found) == (
        {"x": [1, {"a": 0.5}], "y": [1, {"a": 0.5}], "z": None, "t": "é\t\n", "b": True, "n": -3},
        [],
    )
    assert copy["x"] is not copy["y"] and copy["x"][1] is not copy["y"][1] and copy["x"] is not shared
    assert type(copy) is dict


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "nan is not a finite number"),
        (-math.inf, "-inf is not a finite number"),
        (
            datetime.date(2024, 1, 1),
            "datetime.date(2024, 1, 1) is a date, which a config cannot hold; quote it for text",
        ),
        (datetime.datetime(2024, 1, 1), "is a date"),
        (b"x", "b'x' is binary data, which a config cannot hold; write text"),
        ({1}, "{1} is a set, which a config cannot hold; write a list"),
        ((1, 2), "(1, 2) is a tuple"),
        (1j, "1j is a Python complex"),
        (2**64, "18446744073709551616 is too large; the largest whole number is 18446744073709551615"),
        (10**5000, "has 5001 digits; the largest whole number is"),
        ("a\x1b[31m", "'a\\x1b[31m' has the invisible character U+001B at position 2; remove it"),
        ("\ud800", "has the invisible character U+D800"),
        ("\u202eabc", "has the invisible character U+202E"),
        ("x" * 10_001, "has 10001 characters; at most 10000 are allowed"),
    ],
    ids=repr_of,
)
def test_a_value_that_is_not_plain_is_named_with_its_key(value, message):
    (found,) = problems({"tasks": {"t": {"options": {"x": [0, value]}}}})
    assert found.startswith("tasks.t.options.x.1: ") and message in found and found.isprintable()


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1e308, "x" * 10_000, "سلام\u200f", "日本", "a\u200db", 0.0])
def test_large_values_and_texts_of_all_languages_are_plain(value):
    assert problems({"x": value}) == []


def test_a_separator_may_be_a_control_character():
    assert problems({"tasks": {"t": {"options": {"separator": "\x01"}}}}) == []


@pytest.mark.parametrize("key", [18, None, True, math.nan, (1, 2), 10**5000], ids=repr_of)
def test_a_key_that_is_not_text_is_refused_at_every_depth(key):
    (found,) = problems({"models": {"m": {"options": {key: 1}}}})
    assert found.startswith("models.m.options: ") and 'is not text; if it is a name, quote it, as in "18"' in found


def test_keys_that_would_change_what_a_terminal_shows_are_escaped():
    (found,) = problems({"\u202eslipt": 1})
    assert found.isprintable() and "U+202E" in found


def test_a_value_that_contains_itself_is_refused():
    for make in (hostile_values._self_referring_list, hostile_values._self_referring_mapping):
        (found,) = problems({"x": make()})
        assert found.startswith("x.") and "contains itself" in found


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_deep_values_are_refused_and_not_a_recursion_error(make):
    (found,) = problems({"x": hostile_values.nested(100_000, make)})
    assert f"is more than {MAX_DEPTH} levels deep" in found and len(found) < 400
    assert problems({"x": hostile_values.nested(MAX_DEPTH - 2, make)}) == []


def test_aliases_of_aliases_are_counted_before_they_are_written_out():
    (found,) = problems({"study": "s", "models": hostile_values.billion_laughs()})
    assert found == f"models: has more than {MAX_VALUES:,} values; aliases of YAML repeat all that they refer to"


@pytest.mark.parametrize(
    ("config", "kind"), [([1], "a list"), (None, "empty"), ("x", "text"), (1j, "a Python complex")]
)
def test_a_config_is_a_mapping(config, kind):
    with pytest.raises(ConfigError, match=f"the config is {kind}, not a mapping"):
        validate.check(config)
