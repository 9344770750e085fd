"""Conversion of interactions to examples (filters, held-out interactions, order), and generated interactions."""

import numpy as np
import pytest
from data_sets import INTERACTIONS, interaction_examples

from variability import registry
from variability.data.datasets import _interactions
from variability.errors import UserError


def described(examples):
    """Return {(partition, user): [(history, target)]}."""
    described = {}
    for index in range(len(examples)):
        *history, target = examples.read(index).tolist()
        key = (examples.partition[index], int(examples.groups[index]))
        described.setdefault(key, []).append((history, target))
    return described


def in_time(user):
    return [
        item - 10 for _, item, _, _ in sorted((row for row in INTERACTIONS if row[0] == user), key=lambda row: row[3])
    ]


def test_the_last_item_of_each_user_is_for_testing_and_the_one_before_for_validation():
    sequences = described(interaction_examples())
    for number, user in enumerate((7, 8, 9)):
        items = in_time(user)
        assert sequences["test", number] == [(items[:4], items[4])]
        assert sequences["validation", number] == [(items[:3], items[3])]
        assert sequences["train", number] == [(items[:2], items[2])]
    assert sum(map(len, sequences.values())) == 9


def test_labels_are_the_last_items_and_facts_count_items_and_users():
    loaded = interaction_examples()
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [loaded.read(index)[-1] for index in range(len(loaded))]
    assert loaded.facts == {"items": 5, "users": 3, "target": "next_item"}


def test_every_rating_is_an_example_and_the_last_ones_are_held_out():
    loaded = interaction_examples(target="rating")
    described_ratings = described(loaded)
    for number, user in enumerate((7, 8, 9)):
        items = in_time(user)
        assert described_ratings["train", number] == [(items[:end], items[end]) for end in range(3)]
        assert described_ratings["test", number] == [(items[:4], items[4])]
    ratings = {(user, item - 10): rating for user, item, rating, _ in INTERACTIONS}
    users = np.array([7, 8, 9])[loaded.groups]
    expected = [ratings[user, loaded.read(index)[-1]] for index, user in enumerate(users)]
    assert loaded.labels.tolist() == expected and loaded.labels.dtype == np.float64


def test_several_interactions_can_be_held_out():
    rows = [(1, item, 3, item) for item in range(8)]
    sequences = described(interaction_examples(rows, held_out=2, min_interactions=1))
    assert [target for _, target in sequences["test", 0]] == [6, 7]
    assert [target for _, target in sequences["validation", 0]] == [4, 5]
    assert sequences["train", 0] == [([0, 1, 2], 3)]
    assert sequences["test", 0][1] == ([0, 1, 2, 3, 4, 5, 6], 7)


def test_interactions_of_equal_time_stay_in_the_order_of_the_log():
    rows = [(1, item, 3, 0) for item in (4, 2, 3, 1)]
    loaded = interaction_examples(rows, min_interactions=1)
    assert loaded.items.tolist() == [3, 1, 2, 0]


def test_users_and_items_with_few_interactions_are_removed_repeatedly():
    # Item 99 has one user, who then has three items left; without that user, item 15 has three users left.
    rows = [*INTERACTIONS, *((6, item, 3, item) for item in (10, 11, 15, 99))]
    rows += [(user, item, 3, item) for user in (1, 2, 3) for item in (10, 11, 12, 13, 15)]
    loaded = interaction_examples(rows, min_interactions=4)
    assert (loaded.facts["users"], loaded.facts["items"]) == (6, 4)


def test_repeated_interactions_count_only_if_requested():
    rows = [(1, item, 3, time) for time, item in enumerate((0, 1, 0, 2, 3, 1))]
    assert interaction_examples(rows, min_interactions=1).items.tolist() == [0, 1, 2, 3]
    assert interaction_examples(rows, min_interactions=1, repeats="keep").items.tolist() == [0, 1, 0, 2, 3, 1]


def test_only_ratings_from_the_threshold_on_are_interactions():
    rows = [(1, item, item % 2 + 1, item) for item in range(10)]
    assert interaction_examples(rows, min_interactions=1, threshold=2).facts["items"] == 5
    assert interaction_examples(rows, min_interactions=1, threshold=2, target="rating").facts["items"] == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [({"min_interactions": 50}, "lower min_interactions"), ({"held_out": 5}, "lower min_interactions or held_out")],
)
def test_a_log_with_too_few_interactions_is_an_error(options, message):
    with pytest.raises(UserError, match=message):
        interaction_examples(**options)


def test_missing_ratings_cannot_be_predicted():
    without = _interactions.Log(*[np.arange(5)] * 3)
    with pytest.raises(UserError, match="target: next_item"):
        _interactions.examples(without, {"target": "rating"}, "the log")
    with pytest.raises(UserError, match="remove threshold"):
        _interactions.examples(without, {"threshold": 3}, "the log")


# Generated ----------------------------------------------------------------------------------------------------------


def walks(**options):
    return registry.find("datasets", "category_walks")(options)


def test_walks_depend_on_their_seed():
    one, again, other = (walks(users=20, **more).load(None) for more in ({}, {}, {"seed": 1}))
    assert (one.items == again.items).all()
    assert len(one.items) != len(other.items) or (one.items != other.items).any()


def test_data_sets_of_one_catalogue_have_the_same_items():
    settings = {"users": 300, "items": 40, "categories": 4, "length": [8, 12], "target": "rating"}
    rated = []
    for more in ({}, {"seed": 1}, {"catalogue": 1}):
        loaded = walks(**settings, **more).load(None)
        assert loaded.facts["items"] == 40, "items that nobody took are part of the catalogue"
        count = np.bincount(loaded.items, minlength=40)
        rated.append(np.bincount(loaded.items, weights=loaded.ratings, minlength=40) / np.maximum(count, 1))
    assert np.corrcoef(rated[0], rated[1])[0, 1] > 0.7 > np.corrcoef(rated[0], rated[2])[0, 1]


def test_no_user_takes_an_item_twice_and_sizes_are_known_before_loading():
    dataset = walks(users=30, length=[5, 9], items=40, categories=3)
    loaded = dataset.load(None)
    assert dataset.size() == {"train": 30, "validation": 30, "test": 30}
    for index in np.flatnonzero(loaded.partition == "test"):
        sequence = loaded.read(index)
        assert 5 <= len(sequence) <= 9 and len(set(sequence.tolist())) == len(sequence)


def test_ratings_are_halves_from_1_to_5():
    loaded = walks(users=30, target="rating").load(None)
    assert set(np.unique(loaded.labels)) <= set(np.arange(1, 5.5, 0.5))
    assert loaded.labels.std() > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": [9, 5]}, "longer than the longest"),
        ({"length": [5, 300]}, "at most once"),
        ({"held_out": 5}, "fewer than two"),
    ],
)
def test_impossible_walks_are_refused(options, message):
    assert any(message in str(problem) for problem in walks(**options).check())
