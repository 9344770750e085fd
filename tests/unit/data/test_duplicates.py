import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from variability.data import duplicates, splits
from variability.errors import UserError


def test_equal_digests_have_the_number_of_the_first_row():
    assert duplicates.number([b"a", b"b", b"a", b"c", b"b"], np.array([2, 3, 5, 8, 9])).tolist() == [2, 3, 2, 8, 3]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30))
def test_joined_groups_are_the_connected_components(pairs):
    import scipy.sparse

    groups, contents = (np.array(column) for column in zip(*pairs, strict=True))
    links = scipy.sparse.coo_matrix((np.ones(len(groups)), (groups, contents + 13)), (26, 26))
    _, expected = scipy.sparse.csgraph.connected_components(links, directed=False)
    joined = duplicates.join(groups, contents)
    assert (np.equal.outer(joined, joined) == np.equal.outer(expected[groups], expected[groups])).all()
    assert all(number in groups[joined == number] for number in joined)


# Rows 0 and 5 are one picture in training and test, 1 and 2 one of two labels, 3 and 6 one in validation and test.
NAMES = np.array(["train", "train", "train", "validation", "train", "test", "test", "test"])
CONTENTS = np.array([0, 1, 1, 3, 4, 0, 3, 7])
LABELS = np.array([0, 0, 1, 0, 0, 0, 0, 1])


def test_the_report_counts_examples_in_several_splits_and_contents_of_two_labels():
    found = duplicates.report(NAMES, CONTENTS, LABELS, "abcdefgh".__getitem__)
    assert found == {
        "examples": 6,
        "contents": 3,
        "contents_with_two_labels": 1,
        "test_in_training": 1,
        "validation_in_training": 0,
        "test_in_validation": 1,
        "listed": [["a", "f"], ["d", "g"], ["b", "c"]],
    }
    assert duplicates.in_words(found) == [
        "6 examples have the same content as another (a = f, d = g, b = c).",
        "1 of the test examples also occurs in training.",
        "1 of the test examples also occurs in validation.",
        "Several labels are given to the same content: 1 time.",
    ]


def test_rows_of_one_file_are_listed_as_such():
    counted = duplicates.report(NAMES, CONTENTS, LABELS, "axxdeagh".__getitem__)
    assert "(a in several rows, d = g, x in several rows)" in duplicates.in_words(counted)[0]


def test_partitions_are_compared_before_the_first_job():
    partition = np.repeat(["train", "validation", "test"], [6, 2, 4])
    copied = [*"abcdef", "a", "x", "b", "a", "c", "x"]
    with pytest.raises(
        UserError, match=r"^4 of the 4 test examples also occur in training or validation \(a = g = j, b = i"
    ):
        duplicates.check_partitions("group", partition, copied, "abcdefghijkl".__getitem__)
    duplicates.check_partitions("allow", partition, copied, str)
    duplicates.check_partitions("group", partition, [*"abcdef", "a", "x", "b", "a", "y", "z"], str)
    with pytest.raises(UserError, match="2 of the 4 test"):
        duplicates.check_partitions("refuse", partition, [*"abcdef", "w", "x", "b", "a", "y", "z"], str)


def test_different_examples_are_not_reported():
    found = duplicates.report(NAMES, np.arange(8), LABELS, str)
    assert found == {} and duplicates.in_words(found) == []
    duplicates.require_separate("refuse", found, {"test": 3}, "task")


def test_only_most_of_a_split_is_refused_unless_the_policy_refuses_all():
    found = duplicates.report(NAMES, CONTENTS, LABELS, "abcdefgh".__getitem__)
    sizes = {"test": 4, "validation": 1}
    for policy in ("group", "drop", "allow"):
        duplicates.require_separate(policy, found, sizes, "task")
    with pytest.raises(
        UserError, match=r"task: 2 of the 4 test examples also occur in training or validation \(a = f, "
    ):
        duplicates.require_separate("refuse", found, sizes, "task")
    most = {**found, "test_in_training": 3}
    with pytest.raises(UserError, match=r"4 of the 4 .*split\.duplicates: drop .* or allow"):
        duplicates.require_separate("group", most, sizes, "task")
    duplicates.require_separate("allow", most, sizes, "task")


def split(**changed):
    return {"train": "all", "validation": 20, "test": 30, "seed": 0, "resample": False} | changed


def names_of(contents, partition=None, **changed):
    partition = np.full(len(contents), "") if partition is None else partition
    return splits.sample(np.arange(len(contents)) % 2, partition, split(**changed), ["a", "b"], None, contents)


def test_equal_examples_of_one_pool_are_in_one_split_of_the_requested_size():
    contents = np.arange(200) // 4 * 4
    for seed in range(20):
        names = names_of(contents, seed=seed)
        assert [(names == name).sum() for name in ("validation", "test")] == [20, 30]
        assert len({(content, name) for content, name in zip(contents, names, strict=True) if name}) == 50
        assert (names == "train").sum() >= 150 - 2 * 3 * 2  # each class of a held-out split may cut one content
        allowed = names_of(contents, seed=seed, duplicates="allow")
        assert (allowed == "train").sum() == 150


def test_the_split_of_different_examples_does_not_change():
    assert (names_of(np.arange(200)) == names_of(np.arange(200), duplicates="allow")).all()
    few = np.arange(200)
    few[150] = 20
    # One pair of 200: all but a few rows stay where they were.
    assert (names_of(few) != names_of(np.arange(200))).sum() <= 4


def test_dropping_removes_what_is_held_out_from_training_and_nothing_else():
    partition = np.repeat(["train", "validation", "test"], [100, 40, 60])
    contents = np.arange(200)
    contents[145:150] = contents[10:15]
    contents[150:152] = contents[100:102]
    shipped = {"validation": "shipped", "test": "shipped"}
    dropped = names_of(contents, partition, duplicates="drop", **shipped)
    assert (np.flatnonzero(dropped == "") == [*range(10, 15), 100, 101]).all()
    assert (names_of(contents, partition, **shipped) == partition).all()


def test_runs_sample_equal_examples_into_one_split():
    contents, labels = np.arange(200) // 2 * 2, np.arange(200) % 2
    requested = split(train=60, resample=True)
    partition = np.full(200, "")
    names = splits.sample(labels, partition, requested, ["a", "b"], None, contents)
    stored = splits.stored(names, partition, requested, contents)
    assert not np.isin(contents[stored == splits.POOL], contents[stored == "test"]).any()
    rows = np.flatnonzero(stored != "")
    for seed in range(5):
        again = splits.resample(
            labels[rows], partition[rows], stored[rows], requested, ["a", "b"], contents[rows], seed
        )
        assert [(again == name).sum() for name in ("train", "validation", "test")] == [60, 20, 30]
        assert not np.isin(
            contents[rows][again == "train"], contents[rows][again != "train"][again[again != "train"] != ""]
        ).any()


def test_a_pool_of_one_content_is_refused():
    with pytest.raises(UserError, match=r"split\.validation: nothing is left .* duplicates: allow"):
        names_of(np.zeros(200, int))
