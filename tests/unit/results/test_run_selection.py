"""Selections of runs by name."""

import pytest

from variability.results.run_selection import matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("resnet*", "resnet18", True),
        ("mix [a]", "mix [a]", True),
        ("mix [ab]", "mix a", True),
        ("mix [ab]", "mix c", False),
        ("1.1", "1.10", False),
    ],
)
def test_a_pattern_matches_as_in_a_shell_or_is_the_name_itself(pattern, name, expected):
    assert matches({"model": pattern}, name, "t", "m") == expected
