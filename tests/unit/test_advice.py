"""Tests of lists of names in messages."""

from variability import advice


def test_lists_of_names():
    assert advice.listed([]) == ""
    assert advice.listed(["a"]) == advice.listed(["a"], last=" and ") == "a"
    assert advice.listed("abc") == "a, b, c"
    assert advice.listed("abc", last=" and ") == "a, b and c"
    assert advice.listed("abc", 2, "; ", " and ") == "a; b and 1 more"
