"""Histories of users outside a study, and what is recommended to them."""

import numpy as np
import pytest
import torch

from variability.data.item_sequences import ItemSequences
from variability.data.modalities import find
from variability.errors import UserError
from variability.stages import _recommendations as recommendations

NAMED = {"name": "films", "facts": {"items": 3, "target": "next_item"}, "label_names": ["Alien", "Brazil", "1984"]}
NUMBERED = NAMED | {"label_names": []}
RATED = NAMED | {"facts": {"items": 3, "target": "rating"}}


def stored(examples, task, tmp_path):
    """Return the sequences as a network reads them."""
    given = recommendations.sequences(examples, task)
    modality = find("interactions", {"max_length": 5})
    facts = modality.write(tmp_path / "inputs.npy", given, np.arange(len(examples)), "films", threads=1)
    return ItemSequences.of(np.load(tmp_path / "inputs.npy"), facts)


def test_histories_end_with_an_item_that_is_not_known(tmp_path):
    sequences = stored([["Brazil", "1984"], ["Alien"]], NAMED, tmp_path)
    assert sequences.items.tolist() == [1, 2, 0, 0, 0] and sequences.bounds.tolist() == [[0, 3], [3, 5]]
    positions, items = sequences.histories(np.array([0, 1]))
    assert positions.tolist() == [0, 0, 1] and items.tolist() == [1, 2, 0]


def test_items_may_be_numbers_of_any_kind(tmp_path):
    assert stored([np.array([2, 1]), (np.int64(0),)], NUMBERED, tmp_path).items.tolist() == [2, 1, 0, 0, 0]
    assert recommendations.sequences([[1984, "Alien"]], NAMED).items.tolist() == [2, 0, 0]


def test_rated_histories_end_with_the_item_to_rate(tmp_path):
    sequences = stored([([("Alien", 4.5), ("1984", 3)], "Brazil")], RATED, tmp_path)
    assert sequences.items.tolist() == [0, 2, 1] and sequences.ratings.tolist() == [4.5, 3, 0]


def test_the_best_items_come_first_and_excluded_ones_are_left_out():
    scores = torch.tensor([[0.5, -torch.inf, 2.0], [1.0, 1.0, 1.0]])
    summaries = recommendations.TopItems(5).summary(scores, np.zeros(2)).numpy()
    columns = recommendations.top_items(summaries, NAMED)
    assert columns["items"] == [["1984", "Alien"], ["Alien", "Brazil", "1984"]]
    assert columns["scores"] == [[2.0, 0.5], [1.0, 1.0, 1.0]]
    first = recommendations.TopItems(1).summary(scores, np.zeros(2)).numpy()
    assert recommendations.top_items(first, NUMBERED)["items"] == [[2], [0]]


@pytest.mark.parametrize(
    ("examples", "task", "message"),
    [
        ([["Alein"]], NAMED, "'Alein' is not an item of films, or was removed as too rare; did you mean 'Alien'"),
        ([[7]], NUMBERED, "7 is not an item of films, whose items are numbers from 0 to 2"),
        ([["Alien"]], NUMBERED, "'Alien' is not an item of films, whose items are numbers"),
        (["Alien"], NAMED, "'Alien' is not a history; a history is a list of items"),
        ([5], NAMED, "5 is not a history"),
        ([[]], NAMED, "a history is empty"),
        ([["Alien", "Brazil"]], RATED, "has no ratings, or no item to rate; an example is a history with ratings"),
        ([([("Alien", "good")], "Brazil")], RATED, "'good' is not a rating"),
        ([([], "Brazil")], RATED, "a history is empty"),
    ],
)
def test_what_is_no_history_is_named(examples, task, message):
    with pytest.raises(UserError, match=message):
        recommendations.sequences(examples, task)
