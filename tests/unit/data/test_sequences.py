"""Inputs of recommenders: windows of histories with targets, and nothing of what comes after a target."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from variability.data import modalities
from variability.data.datasets import _interactions
from variability.data.item_sequences import HIDDEN_TARGET, MASKED_ITEM, NO_ITEM, NO_TARGET, ItemSequences
from variability.data.modalities._sequences import SequenceInputs
from variability.errors import UserError

# One user took items 0 to 5, the other 2, 6, 7, 0, 1, in this order; all items from 0 to 7 occur.
ROWS = [(0, item, item + 1, item) for item in range(6)] + [(1, item, 9, at) for at, item in enumerate((2, 6, 7, 0, 1))]


def stored(tmp_path, max_length=4, exclude_seen=True, rows=ROWS, **options):
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    log = _interactions.Log(users, items, times, ratings.astype(float))
    examples = _interactions.examples(log, {"min_interactions": 1} | options, "log")
    modality = modalities.find("interactions", {"max_length": max_length, "exclude_seen": exclude_seen})
    facts = modality.write(tmp_path / "inputs.npy", examples, np.arange(len(examples)), "task", 1)
    array = np.load(tmp_path / "inputs.npy", mmap_mode="r", allow_pickle=False)
    return ItemSequences.of(array, facts), {
        name: np.flatnonzero(examples.partition == name) for name in ("train", "test")
    }


def test_previews_name_the_last_items_and_those_without_names_have_numbers(tmp_path):
    users, items, ratings, times = (np.array(column) for column in zip(*ROWS, strict=True))
    log = _interactions.Log(users, items, times, ratings.astype(float))
    examples = _interactions.examples(log, {"min_interactions": 1}, "log")
    modality = modalities.find("interactions", {"max_length": 4, "exclude_seen": True})
    facts = modality.write(tmp_path / "inputs.npy", examples, np.arange(len(examples)), "task", 1)
    task = SimpleNamespace(inputs=np.load(tmp_path / "inputs.npy"), facts=facts, label_names=[])
    rows = np.flatnonzero(examples.partition == "test").tolist()
    texts = [preview["text"] for preview in modality.previews(task, rows)]
    assert texts == ["items 0, 1, 2, 3, 4; then 5", "items 2, 6, 7, 0; then 1"]
    task.label_names = ["Alien", "Big", "Congo", "Dune", "Emma", "Frost, The", "Go", "Heat"]
    assert modality.previews(task, rows)[1] == {"text": "Congo, Go, Heat, Alien; then Big"}
    assert modality.previews(task, rows)[0]["text"].endswith('"Dune", "Emma"; then "Frost, The"')


@pytest.fixture
def ranked(tmp_path):
    return stored(tmp_path)


def test_a_causal_model_predicts_each_next_item(ranked):
    histories, rows = ranked
    batch = SequenceInputs(histories, None, "cpu").training(rows["train"], 0, 1, 0)
    # The first trains on 0 1 2 3, the second on 2 6 7.
    assert batch[..., 0].tolist() == [[0, 1, 2], [NO_ITEM, 2, 6]]
    assert batch[..., 1].tolist() == [[1, 2, 3], [NO_TARGET, 6, 7]]
    assert SequenceInputs(histories, None, "cpu").targets(batch).tolist() == [1, 2, 3, 6, 7]


def test_in_prediction_only_the_last_item_has_a_target_which_is_hidden(ranked):
    histories, rows = ranked
    causal, masked = (SequenceInputs(histories, masking, "cpu").plain(rows["test"]) for masking in (None, 0.2))
    # The histories are 0 1 2 3 4 and 2 6 7 0; a causal model sees four items, a masked one three and a mask.
    assert causal[..., 0].tolist() == [[1, 2, 3, 4], [2, 6, 7, 0]]
    assert masked[..., 0].tolist() == [[2, 3, 4, MASKED_ITEM], [6, 7, 0, MASKED_ITEM]]
    for batch in (causal, masked):
        assert batch[..., 1].tolist() == [[NO_TARGET] * 3 + [HIDDEN_TARGET]] * 2
        assert batch.dtype == torch.int32


def test_masks_depend_on_the_seed_the_epoch_and_the_batch_and_nothing_else(ranked):
    histories, rows = ranked
    inputs = SequenceInputs(histories, 0.5, "cpu")
    torch.manual_seed(1)
    first = inputs.training(rows["train"], 3, 1, 0)
    torch.manual_seed(2)
    assert torch.equal(first, inputs.training(rows["train"], 3, 1, 0))
    many = np.repeat(rows["train"], 50)
    sampled = [inputs.training(many, *position) for position in ((3, 1, 0), (4, 1, 0), (3, 2, 0), (3, 1, 1))]
    assert all(not torch.equal(sampled[0], other) for other in sampled[1:])


def test_masked_items_are_targets_and_their_share_is_the_requested_one(ranked):
    histories, rows = ranked
    inputs, many = SequenceInputs(histories, 0.3, "cpu"), np.repeat(rows["train"][:1], 5000)
    batch = inputs.training(many, 0, 1, 0)
    items, targets = batch[..., 0], batch[..., 1]
    masked = items == MASKED_ITEM
    assert torch.equal(masked, targets != NO_TARGET)
    whole = torch.where(masked, targets, items)
    assert (whole == torch.arange(4)).all()
    assert masked.any(dim=1).all(), "a sequence without a target"
    # In nine of ten sequences each of the first three is masked by chance, in the tenth only the last one.
    assert masked[:, :3].float().mean().item() == pytest.approx(0.9 * 0.3, abs=0.02)
    assert masked[:, 3].float().mean().item() == pytest.approx(0.1 + 0.9 * (0.3 + 0.7**4), abs=0.02)
    assert len(inputs.targets(batch)) == masked.sum()


def test_seen_items_are_excluded_and_the_target_is_not(ranked, tmp_path):
    histories, rows = ranked
    scores = SequenceInputs(histories, None, "cpu").candidates(torch.zeros(2, 8), rows["test"])
    excluded = [np.flatnonzero(np.isneginf(row)).tolist() for row in scores.numpy()]
    # The whole history, not only the part in the window.
    assert excluded == [[0, 1, 2, 3, 4], [0, 2, 6, 7]]
    (tmp_path / "all").mkdir()
    histories, rows = stored(tmp_path / "all", exclude_seen=False)
    assert (SequenceInputs(histories, None, "cpu").candidates(torch.zeros(2, 8), rows["test"]) == 0).all()


def test_a_target_in_the_history_is_refused_if_seen_items_are_excluded(tmp_path):
    rows = [*ROWS[:-1], (1, 2, 9, 4)]
    with pytest.raises(UserError, match=r"1 of 4 held-out items .*exclude_seen: false, or .*repeats: first"):
        stored(tmp_path, rows=rows, repeats="keep")
    stored(tmp_path, rows=rows, repeats="keep", exclude_seen=False)


def test_the_rated_item_is_visible_and_its_rating_is_not(tmp_path):
    histories, rows = stored(tmp_path, target="rating")
    inputs = SequenceInputs(histories, None, "cpu")
    batch = inputs.plain(rows["test"])
    assert batch[..., 0].tolist() == [[2, 3, 4, 5], [6, 7, 0, 1]]
    assert batch[..., 2].view(torch.float32).tolist() == [[3, 4, 5, 0], [9, 9, 9, 0]]
    assert batch[..., 1].tolist() == [[NO_TARGET] * 3 + [HIDDEN_TARGET]] * 2
    assert torch.equal(batch, inputs.training(rows["test"], 0, 1, 0))
    assert inputs.targets(batch) is None
    assert inputs.plain(rows["train"][:1])[..., 0].tolist() == [[0]]


def test_a_batch_is_as_wide_as_its_longest_sequence(tmp_path):
    histories, rows = stored(tmp_path, max_length=50)
    assert SequenceInputs(histories, None, "cpu").plain(rows["test"]).shape == (2, 5, 2)
    assert SequenceInputs(histories, None, "cpu").plain(rows["test"][1:]).shape == (1, 4, 2)
