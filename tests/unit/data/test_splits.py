import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from variability.data import splits
from variability.errors import UserError

CLASSES = ["ant", "bee", "cat"]
LABELS = np.repeat([0, 1, 2], [300, 150, 50])
UNPARTITIONED = np.full(500, "")
SHIPPED = np.where(np.arange(500) % 5 == 0, "test", "train")


def split(train="all", validation=50, test=100, seed=0, resample=False):
    return {"train": train, "validation": validation, "test": test, "seed": seed, "resample": resample}


def sample(partition=UNPARTITIONED, labels=LABELS, **requested):
    return splits.sample(labels, partition, split(**requested), CLASSES)


def chosen(names, name):
    return set(np.flatnonzero(names == name))


def redrawn(names, partition, requested, seed):
    stored = splits.stored(names, partition, requested)
    rows = np.flatnonzero(stored != "")
    again = splits.resample(LABELS[rows], partition[rows], stored[rows], requested, CLASSES, rows, seed)
    return {name: set(rows[again == name]) for name in ("train", "validation", "test")}


@settings(max_examples=200, deadline=None)
@given(st.data(), st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_quotas_sum_exactly_and_never_exceed_the_available_rows(data, shares):
    shares = np.array(shares)
    available = np.array([data.draw(st.integers(0, int(share))) for share in shares])
    total = data.draw(st.integers(0, int(available.sum())))
    quota = splits.quotas(available, shares, total)
    assert quota.sum() == total
    assert (quota <= available).all()
    assert (quota >= 0).all()
    if total >= (available > 0).sum():
        assert (quota[available > 0] >= 1).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(5, 60), min_size=1, max_size=10), st.floats(0.3, 1.0))
def test_quotas_keep_the_proportions_to_within_one(shares, fraction):
    shares = np.array(shares)
    total = max(int(fraction * shares.sum()), len(shares))
    ideal = total * shares / shares.sum()
    if ideal.min() >= 1:
        assert np.abs(splits.quotas(shares, shares, total) - ideal).max() < 1


def test_splits_are_disjoint_stratified_and_of_the_requested_size():
    names = sample(train=100, validation=50, test=200)
    sizes = {name: np.bincount(LABELS[names == name]).tolist() for name in ("train", "validation", "test")}
    assert sizes == {"train": [60, 30, 10], "validation": [30, 15, 5], "test": [120, 60, 20]}


def test_fractions_are_of_the_partition_drawn_from():
    names = sample(train=0.5, validation=0.25, test=0.25)
    assert [len(chosen(names, name)) for name in ("train", "validation", "test")] == [250, 125, 125]
    names = sample(SHIPPED, train=0.5, validation=0.1, test=0.5)
    assert [len(chosen(names, name)) for name in ("train", "validation", "test")] == [200, 40, 50]


def test_validation_defaults_to_the_shipped_one_or_else_a_tenth_of_training():
    assert len(chosen(sample(SHIPPED, validation=None, test="shipped"), "validation")) == 40
    partition = SHIPPED.astype("<U10")
    partition[:3] = "validation"
    names = sample(partition, train="all", validation=None, test="shipped")
    assert chosen(names, "validation") == chosen(partition, "validation")


def test_all_takes_what_the_others_leave():
    assert len(chosen(sample(train=100, validation=50, test="all"), "test")) == 350
    assert len(chosen(sample(train="all", validation=50, test=100), "train")) == 350


def test_a_shipped_partition_stays_apart():
    names = sample(SHIPPED, validation=30, test="shipped")
    assert chosen(names, "test") == chosen(SHIPPED, "test")
    assert chosen(names, "train") | chosen(names, "validation") == chosen(SHIPPED, "train")
    assert chosen(sample(SHIPPED, test=40), "test") < chosen(SHIPPED, "test")


def test_a_class_with_one_example_still_trains():
    labels = np.repeat([0, 1, 2], [300, 199, 1])
    names = splits.sample(labels, UNPARTITIONED, split(train=3, validation=0, test=0), CLASSES)
    assert np.bincount(labels[names == "train"]).tolist() == [1, 1, 1]


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    assert (sample(train=100) == sample(train=100)).all()
    assert (sample(train=100) != sample(train=100, seed=1)).any()


def test_more_test_examples_take_from_training_only_rows_they_need():
    before, after = sample(train=100, test=100), sample(train=100, test=150)
    assert chosen(before, "test") < chosen(after, "test")
    lost = (chosen(before, "train") | chosen(before, "validation")) & chosen(after, "test")
    # Each row lost to the test is replaced by one; a replacement in validation may displace one of training.
    assert len(chosen(before, "train") - chosen(after, "train")) <= len(lost)


def test_more_training_examples_keep_those_there_were():
    assert chosen(sample(train=50), "train") < chosen(sample(train=200), "train")
    assert chosen(sample(train=50), "validation") == chosen(sample(train=200), "validation")


@pytest.mark.parametrize("partition", [UNPARTITIONED, SHIPPED], ids=["unpartitioned", "shipped"])
def test_resampling_changes_training_and_validation_but_not_the_test(partition):
    requested = split(train=100, validation=50, test=80, resample=True)
    names = splits.sample(LABELS, partition, requested, CLASSES)
    one, again, two = (redrawn(names, partition, requested, seed) for seed in (1, 1, 2))
    assert one == again
    assert one["test"] == two["test"] == chosen(names, "test")
    assert one["train"] != two["train"]
    assert one["validation"] != two["validation"]
    assert not one["train"] & one["validation"] and not (one["train"] | one["validation"]) & one["test"]
    assert [len(one[name]) for name in ("train", "validation", "test")] == [100, 50, 80]


def test_resampling_draws_from_rows_the_first_draw_left_unused():
    requested = split(train=20, validation=20, test=100, resample=True)
    names = splits.sample(LABELS, UNPARTITIONED, requested, CLASSES)
    unused = chosen(names, "")
    assert any(redrawn(names, UNPARTITIONED, requested, seed)["train"] & unused for seed in range(3))


def test_without_resampling_only_rows_in_use_are_stored():
    names = sample(train=20, validation=20, test=20)
    assert (splits.stored(names, UNPARTITIONED, split(train=20, validation=20, test=20)) == names).all()


@pytest.mark.parametrize(
    ("partition", "requested", "parts"),
    [
        (UNPARTITIONED, {"train": 400, "validation": 50, "test": 100}, ["split.train", "400", "350"]),
        (UNPARTITIONED, {"test": 501}, ["split.test", "501", "450"]),
        (SHIPPED, {"test": 101}, ["split.test", "101", "100"]),
        (UNPARTITIONED, {"test": "shipped"}, ["split.test", "ships no such split", "unpartitioned", "a number"]),
        (SHIPPED, {"validation": "shipped"}, ["split.validation", "ships no such split", "train", "a number"]),
        (UNPARTITIONED, {"train": "all", "test": "all"}, ["split.train", "another split does, too"]),
        (UNPARTITIONED, {"train": 300, "validation": 250, "test": 250}, ["split: test 250", "are 800", "are 500 to"]),
        (UNPARTITIONED, {"train": 0}, ["split.train", "nothing to train on"]),
        (UNPARTITIONED, {"train": 0.001}, ["split.train", "less than one"]),
        (UNPARTITIONED, {"train": 9, "test": "all", "resample": True}, ["split.test", "change from run to run"]),
        (UNPARTITIONED, {"train": 2}, ["split.train", "'cat'", "too few examples for all splits"]),
    ],
)
def test_a_split_that_cannot_be_drawn_says_why_and_what_to_do(partition, requested, parts):
    with pytest.raises(UserError) as raised:
        sample(partition, **requested)
    assert [part for part in parts if part not in str(raised.value)] == []


def test_a_class_that_only_the_test_has_is_named():
    partition = np.where(LABELS == 2, "test", "train")
    with pytest.raises(UserError, match=r"1 of 3 classes without any \('cat'\)"):
        sample(partition, test="shipped")


@pytest.mark.parametrize(
    ("requested", "sizes", "key"),
    [
        # Without validation and test, nothing of their defaults was left for the other splits.
        ({"test": "shipped", "validation": None}, {"": 500}, "test"),
        ({"test": "shipped", "validation": None}, {"train": 12, "validation": 6}, "test"),
        ({"test": 500, "validation": 0}, {"": 500}, "train"),
        # What a split takes that requests too much is not known, so that the others may have enough.
        ({"test": 600, "validation": 50}, {"": 500}, "test"),
        ({"test": 600, "validation": 50, "train": 400}, {"": 500}, "test"),
        ({"test": 500, "validation": None}, {"": 500}, "test"),
        ({"test": 200, "validation": 200, "train": 200}, {"": 400}, ""),
        ({"test": 300, "validation": 200, "train": 50}, {"": 500}, "test"),
        ({"test": 101, "validation": 50}, {"train": 400, "test": 100}, "test"),
        ({"train": 0, "validation": 50}, {"": 500}, "train"),
    ],
)
def test_one_mistake_is_one_problem(requested, sizes, key):
    (problem,) = splits.check(split(**requested), sizes)
    assert problem.key == key


def test_the_early_check_reports_the_problems_of_drawing():
    assert splits.check(split(train=400), {"": 500})[0].key == "train"
    assert splits.check(split(), {"": 500}) == []
    assert splits.check(split(test="shipped"), {"train": 400, "test": 100}) == []


PEOPLE = np.random.default_rng(0).integers(0, 60, 500)  # the person on each of the 500 images


@pytest.mark.parametrize("partition", [UNPARTITIONED, np.where(PEOPLE < 12, "test", "train")])
def test_no_group_is_in_two_splits(partition):
    for seed in range(5):
        requested = split(test=0.2 if partition is UNPARTITIONED else "shipped", validation=0.2, seed=seed)
        names = splits.sample(LABELS, partition, requested, CLASSES, PEOPLE)
        of = {name: set(PEOPLE[names == name]) for name in ("train", "validation", "test")}
        assert not (of["train"] & of["test"] or of["train"] & of["validation"] or of["validation"] & of["test"])
        assert sum(map(len, of.values())) == 60
        pool = 500 if partition is UNPARTITIONED else (partition == "train").sum()
        assert abs((names == "validation").sum() - 0.2 * pool) <= 7, "groups are of 8 rows on average, 15 at most"


def test_whole_groups_preserve_class_shares_and_stay_when_more_is_requested():
    labels, groups = np.repeat([0, 1], [800, 200]), np.repeat(np.arange(100), 10)
    names = splits.sample(labels, np.full(1000, ""), split(test=200, validation=100), ["a", "b"], groups)
    assert np.bincount(labels[names == "test"]).tolist() == [160, 40]
    more = splits.sample(labels, np.full(1000, ""), split(test=350, validation=100), ["a", "b"], groups)
    assert chosen(names, "test") < chosen(more, "test")
    assert (more == "test").sum() == 350


def test_resampled_groups_stay_together_and_out_of_the_test():
    requested = split(test=100, validation=60, train=200, resample=True)
    stored = splits.stored(splits.sample(LABELS, UNPARTITIONED, requested, CLASSES, PEOPLE), UNPARTITIONED, requested)
    rows = np.flatnonzero(stored != "")
    of = {}
    for seed in (0, 1):
        options = (requested, CLASSES, rows, seed, PEOPLE[rows])
        names = splits.resample(LABELS[rows], UNPARTITIONED[rows], stored[rows], *options)
        of[seed] = {name: set(PEOPLE[rows][names == name]) for name in ("train", "validation", "test")}
        assert not of[seed]["train"] & of[seed]["validation"]
        assert not of[seed]["test"] & (of[seed]["train"] | of[seed]["validation"])
    assert of[0]["test"] == of[1]["test"]
    assert of[0]["train"] != of[1]["train"]


def test_groups_may_be_in_several_splits_if_the_data_set_ships_all_splits():
    # The last ratings of each user are for testing and the first ones for training, on purpose.
    partition = np.tile(["train", "train", "train", "validation", "test"], 100)
    requested = split(train=150, validation="all", test="all")
    names = splits.sample(LABELS, partition, requested, CLASSES, np.repeat(np.arange(100), 5))
    assert [(names == name).sum() for name in ("train", "validation", "test")] == [150, 100, 100]


def test_too_few_groups_for_all_splits_are_reported():
    with pytest.raises(UserError, match="groups stay together and there are only 2"):
        splits.sample(LABELS, UNPARTITIONED, split(), CLASSES, np.arange(500) % 2)
