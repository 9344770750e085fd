"""Messages of problems."""

from variability.errors import ConfigError, Problem


def test_a_long_message_keeps_its_start_and_its_end():
    text = str(Problem("models.m", f"there is no network {'x' * 9000}; did you mean 'y'?"))
    assert len(text) < 2100 and text.startswith("models.m: there is no network xx")
    assert text.endswith("did you mean 'y'?")


def test_invisible_characters_are_escaped_and_lines_stay():
    assert str(Problem("a\u202e", "b\x1b[31m\nc")) == "a\\u202e: b\\x1b[31m\nc"


def test_the_first_twenty_problems_are_shown_and_the_others_counted():
    lines = str(ConfigError(Problem(f"k{index}", "wrong") for index in range(23))).splitlines()
    assert lines[0] == "the config has 23 problems:" and lines[20] == "  - k19: wrong"
    assert lines[21:] == ["  and 3 more, shown when these are solved"]
