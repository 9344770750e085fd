"""Tests of lists of names in messages."""

from variability import advice


def test_lists_of_names():
    assert advice.listed([]) == ""
    assert advice.listed(["a"]) == advice.listed(["a"], last=" and ") == "a"
    assert advice.listed("abc") == "a, b, c"
    assert advice.listed("abc", last=" and ") == "a, b and c"
    assert advice.listed("abcd", 2, "; ", " and ") == "a; b and 2 more"
    assert advice.listed("abc", 2, "; ", " and ") == "a; b and c", "one name is not left out"
    assert advice.one_per_line("abc", 2) == "  - a\n  - b\n  - c"
    assert advice.one_per_line("abcd", 2) == "  - a\n  - b\n  and 2 more"


def test_names_with_commas_are_quoted_in_lists_of_them():
    assert advice.separable(["cat", 1]) == ["cat", "1"]
    assert advice.separable(["Dreieck, groß", "Kreis"]) == ['"Dreieck, groß"', '"Kreis"']


def test_an_abbreviation_is_similar_to_the_only_name_that_it_can_mean():
    assert advice.similar("val", ["train", "validation", "test"]) == "validation"
    assert advice.similar("se", ["seeds_per_job", "seed_of_the_split"]) is None
    assert advice.similar("", ["validation"]) is None
