"""What a recommender is fed: windows of histories, what is hidden and asked, and nothing of what comes after."""

import numpy as np
import pytest
import torch

from variability.data import modalities
from variability.data.datasets import _interactions
from variability.data.item_sequences import HIDDEN, NONE, NOT_ASKED, UNTOLD, Histories
from variability.data.modalities._sequences import Sequences
from variability.errors import UserError

# Two users of items 0 to 5 and 2, 6, 7, 0, 1, in time; every item is numbered as it is.
ROWS = [(0, item, item + 1, item) for item in range(6)] + [(1, item, 9, at) for at, item in enumerate((2, 6, 7, 0, 1))]


def stored(tmp_path, max_length=4, exclude_seen=True, rows=ROWS, **options):
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    log = _interactions.Log(users, items, times, ratings.astype(float))
    examples = _interactions.examples(log, {"min_interactions": 1} | options, "log")
    modality = modalities.find("interactions", {"max_length": max_length, "exclude_seen": exclude_seen})
    facts = modality.write(tmp_path / "inputs.npy", examples, np.arange(len(examples)), "task", 1)
    array = np.load(tmp_path / "inputs.npy", mmap_mode="r", allow_pickle=False)
    return Histories.of(array, facts), {name: np.flatnonzero(examples.partition == name) for name in ("train", "test")}


@pytest.fixture
def ranked(tmp_path):
    return stored(tmp_path)


def test_a_causal_model_is_asked_for_each_next_item(ranked):
    histories, rows = ranked
    batch = Sequences(histories, None, "cpu").training(rows["train"], 0, 1, 0)
    # The first trains on 0 1 2 3, the second on 2 6 7.
    assert batch[..., 0].tolist() == [[0, 1, 2], [NONE, 2, 6]]
    assert batch[..., 1].tolist() == [[1, 2, 3], [NOT_ASKED, 6, 7]]
    assert Sequences(histories, None, "cpu").targets(batch).tolist() == [1, 2, 3, 6, 7]


def test_in_prediction_the_last_item_alone_is_asked_for_and_not_told(ranked):
    histories, rows = ranked
    causal, masked = (Sequences(histories, masking, "cpu").plain(rows["test"]) for masking in (None, 0.2))
    # The histories are 0 1 2 3 4 and 2 6 7 0; a causal model sees four items, a masked one three and a mask.
    assert causal[..., 0].tolist() == [[1, 2, 3, 4], [2, 6, 7, 0]]
    assert masked[..., 0].tolist() == [[2, 3, 4, HIDDEN], [6, 7, 0, HIDDEN]]
    for batch in (causal, masked):
        assert batch[..., 1].tolist() == [[NOT_ASKED] * 3 + [UNTOLD]] * 2
        assert batch.dtype == torch.int32


def test_masks_come_from_the_seed_the_epoch_and_the_batch_and_nothing_else(ranked):
    histories, rows = ranked
    inputs = Sequences(histories, 0.5, "cpu")
    torch.manual_seed(1)
    first = inputs.training(rows["train"], 3, 1, 0)
    torch.manual_seed(2)
    assert torch.equal(first, inputs.training(rows["train"], 3, 1, 0))
    many = np.repeat(rows["train"], 50)
    drawn = [inputs.training(many, *place) for place in ((3, 1, 0), (4, 1, 0), (3, 2, 0), (3, 1, 1))]
    assert all(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_what_is_hidden_is_asked_for_and_about_as_much_as_was_said(ranked):
    histories, rows = ranked
    inputs, many = Sequences(histories, 0.3, "cpu"), np.repeat(rows["train"][:1], 5000)
    batch = inputs.training(many, 0, 1, 0)
    items, answers = batch[..., 0], batch[..., 1]
    hidden = items == HIDDEN
    assert torch.equal(hidden, answers != NOT_ASKED)
    whole = torch.where(hidden, answers, items)
    assert (whole == torch.arange(4)).all()
    assert hidden.any(dim=1).all(), "a sequence of which nothing is asked"
    # In nine sequences of ten each of the first three is hidden by chance, in the tenth the last one alone.
    assert hidden[:, :3].float().mean().item() == pytest.approx(0.9 * 0.3, abs=0.02)
    assert hidden[:, 3].float().mean().item() == pytest.approx(0.1 + 0.9 * (0.3 + 0.7**4), abs=0.02)
    assert len(inputs.targets(batch)) == hidden.sum()


def test_seen_items_are_no_candidates_and_the_answer_is_one(ranked, tmp_path):
    histories, rows = ranked
    scores = Sequences(histories, None, "cpu").candidates(torch.zeros(2, 8), rows["test"])
    out = [np.flatnonzero(np.isneginf(row)).tolist() for row in scores.numpy()]
    # All of the history, and not what fits into the window alone.
    assert out == [[0, 1, 2, 3, 4], [0, 2, 6, 7]]
    (tmp_path / "all").mkdir()
    histories, rows = stored(tmp_path / "all", exclude_seen=False)
    assert (Sequences(histories, None, "cpu").candidates(torch.zeros(2, 8), rows["test"]) == 0).all()


def test_an_answer_that_was_seen_before_is_refused_where_seen_items_are_left_out(tmp_path):
    rows = [*ROWS[:-1], (1, 2, 9, 4)]
    with pytest.raises(UserError, match=r"1 of 4 held-out items .*exclude_seen: false, or .*repeats: first"):
        stored(tmp_path, rows=rows, repeats="keep")
    stored(tmp_path, rows=rows, repeats="keep", exclude_seen=False)


def test_the_rated_item_is_shown_and_its_rating_is_not(tmp_path):
    histories, rows = stored(tmp_path, target="rating")
    inputs = Sequences(histories, None, "cpu")
    batch = inputs.plain(rows["test"])
    assert batch[..., 0].tolist() == [[2, 3, 4, 5], [6, 7, 0, 1]]
    assert batch[..., 2].view(torch.float32).tolist() == [[3, 4, 5, 0], [9, 9, 9, 0]]
    assert batch[..., 1].tolist() == [[NOT_ASKED] * 3 + [UNTOLD]] * 2
    assert torch.equal(batch, inputs.training(rows["test"], 0, 1, 0))
    assert inputs.targets(batch) is None
    assert inputs.plain(rows["train"][:1])[..., 0].tolist() == [[0]]


def test_a_batch_is_as_wide_as_its_longest_sequence(tmp_path):
    histories, rows = stored(tmp_path, max_length=50)
    assert Sequences(histories, None, "cpu").plain(rows["test"]).shape == (2, 5, 2)
    assert Sequences(histories, None, "cpu").plain(rows["test"][1:]).shape == (1, 4, 2)
