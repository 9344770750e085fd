from variability.data.class_names import colliding


def test_names_that_people_read_as_one_are_grouped():
    assert colliding(["neg", " neg", "NEG", "pos"]) == [[" neg", "NEG", "neg"]]
    assert colliding(["caf\u00e9", "cafe\u0301"]) == [["cafe\u0301", "caf\u00e9"]]
    assert colliding(["a b", "a  b ", "ab"]) == [["a  b ", "a b"]]


def test_letters_of_both_cases_are_classes_of_handwriting():
    assert colliding(["a", "A", "b"]) == []
    assert colliding(["a", "a "]) == [["a", "a "]]
