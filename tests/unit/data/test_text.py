"""Texts are stored and read unchanged; batches of tokens are of similar length, in an order that follows the seed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from variability.data import modalities
from variability.data.modalities._tokens import Tokens
from variability.errors import UserError
from variability.io import files
from variability.training.activations import Activations, Feed, TokenActivations

TEXTS = ["a", "größer", "", "line\nline\x00", "語"]
LENGTHS = np.random.default_rng(0).integers(1, 40, 500)


def prepared(tmp_path, texts, max_length=8):
    modality = modalities.find("text", {"max_length": max_length})
    examples = SimpleNamespace(read=texts.__getitem__)
    facts = modality.write(tmp_path / "inputs.npy", examples, np.arange(len(texts)), "", 1)
    inputs = np.load(tmp_path / "inputs.npy", mmap_mode="r", allow_pickle=False)
    ids = np.arange(len(texts)) + 100
    return modality, SimpleNamespace(inputs=inputs, facts=facts, example_ids=ids, name="texts")


def test_texts_that_differ_in_blanks_or_the_form_of_accents_have_equal_content(tmp_path):
    pairs = [("a b", "c"), ("a  b ", "\nc\t"), ("a b", "C"), ("a", "b c"), ("\u00e9", ""), ("e\u0301 ", "")]
    for texts, equal in ((pairs, [0, 0, 2, 3, 4, 4]), ([" ".join(pair) for pair in pairs], [0, 0, 2, 0, 4, 4])):
        modality, task = prepared(tmp_path, texts)
        for contents in (modality.digests(task.inputs, len(texts)), [modality.content(text) for text in texts]):
            assert [contents.index(content) for content in contents] == equal


def encoder(seen, empty=False, most=100):
    def encode(examples, max_length):
        seen.append((examples, max_length))
        longest = min(max_length, most)
        counts = [0 if empty else min(longest, len("".join(each)) + 1) for each in examples]
        return [list(range(1, 1 + count)) for count in counts], longest

    return SimpleNamespace(encode=encode, model={"architecture": "small"})


def tokens(lengths=LENGTHS):
    """Return texts whose tokens are all the number of the text."""
    flat = np.concatenate([[row] * length + [-1] for row, length in enumerate(lengths)]).astype(np.int32)
    return Tokens(flat, "cpu")


def test_texts_are_read_as_they_were_stored(tmp_path):
    modality, task = prepared(tmp_path, TEXTS)
    seen = []
    stored, facts = modality.encode(task, encoder(seen))
    assert seen == [(TEXTS, 8)]
    assert stored.dtype == np.int32 and (stored == -1).sum() == len(TEXTS)
    assert facts == {"texts": 5, "tokens": 2 + 7 + 1 + 8 + 2, "longest": 8, "max_length": 8, "at_max_length": 1}
    assert Tokens(stored, "cpu").lengths.tolist() == [2, 7, 1, 8, 2]


def test_a_network_that_takes_fewer_tokens_truncates_texts_with_a_warning(tmp_path, caplog):
    modality, task = prepared(tmp_path, TEXTS)
    _, facts = modality.encode(task, encoder([], most=7))
    assert (facts["max_length"], facts["longest"], facts["at_max_length"]) == (7, 7, 2)
    assert "small takes 7 tokens, not 8; 2 texts are that long" in caplog.text


def test_pairs_are_read_as_pairs(tmp_path):
    pairs = [("a", "b c"), ("", "é")]
    modality, task = prepared(tmp_path, pairs)
    seen = []
    modality.encode(task, encoder(seen))
    assert seen == [(pairs, 8)]


@pytest.mark.parametrize("texts", [["fine", "bad \ud83d"], [("a", "b"), ("c", "bad \ud83d")]])
def test_half_a_character_is_named_by_its_example(tmp_path, texts):
    with pytest.raises(UserError, match=r"example 1 .*\\ud83d at position 4.*remove the example"):
        prepared(tmp_path, texts)


def test_an_example_without_a_token_is_named(tmp_path):
    modality, task = prepared(tmp_path, TEXTS)
    with pytest.raises(UserError, match=r"example 100 .* has no token"):
        modality.encode(task, encoder([], empty=True))


def test_a_batch_is_padded_to_a_multiple_of_eight():
    batch = tokens(np.array([3, 9, 1])).plain(np.array([1, 0]))
    assert batch.dtype == torch.int64
    assert batch.tolist() == [[1] * 9 + [-1] * 7, [0] * 3 + [-1] * 13]
    assert tokens(np.array([3, 8])).plain(np.array([1])).tolist() == [[1] * 8]


def test_an_epoch_has_every_row_once_in_batches_of_similar_length():
    inputs, order = tokens(), np.random.default_rng(1).permutation(500)
    cut = inputs.batches(order, 16, seed=3, epoch=2)
    assert sorted(np.concatenate(cut)) == list(range(500))
    assert sorted(map(len, cut)) == [4] + [16] * 31
    padded = sum(inputs.plain(rows).numel() for rows in cut)
    shuffled = sum(inputs.plain(order[start : start + 16]).numel() for start in range(0, 500, 16))
    assert LENGTHS.sum() / padded > 0.8 > LENGTHS.sum() / shuffled


def test_the_order_of_batches_depends_on_the_seed_and_the_epoch_only():
    inputs, order = tokens(), np.arange(500)

    def cut(seed, epoch):
        return [rows.tolist() for rows in inputs.batches(order, 16, seed, epoch)]

    assert cut(0, 1) == cut(0, 1)
    assert cut(0, 1) != cut(1, 1) and cut(0, 1) != cut(0, 2)
    assert sorted(cut(0, 1)) == sorted(cut(1, 1)), "the order of the epoch alone determines the rows of a batch"
    means = [LENGTHS[rows].mean() for rows in cut(0, 1)]
    assert means != sorted(means)


def test_chunks_keep_their_texts_together_so_that_the_order_stays_random():
    inputs, order = tokens(), np.random.default_rng(2).permutation(500)
    cut = inputs.batches(order, 2, seed=0, epoch=1)
    chunk = {int(row): index // 100 for index, row in enumerate(order)}
    assert all(len({chunk[row] for row in rows.tolist()}) == 1 for rows in cut)


def test_batches_for_prediction_are_sorted_by_length_and_hold_every_position_once():
    inputs, rows = tokens(), np.arange(100, 350)
    parts = inputs.parts(rows, 64)
    assert sorted(np.concatenate(parts)) == list(range(250))
    lengths = LENGTHS[rows[np.concatenate(parts)]]
    assert (np.diff(lengths) >= 0).all()


def test_batches_of_activations_are_those_of_their_texts():
    inputs, order = tokens(), np.random.default_rng(3).permutation(500)
    stored = Activations(torch.zeros(500, 4), np.arange(500), "cpu")
    fed, whole = Feed(None, stored, inputs), Feed(None, inputs)
    for rows, expected in zip(fed.batches(order, 16, 0, 1), whole.batches(order, 16, 0, 1), strict=True):
        assert np.array_equal(rows, expected)


def test_activations_of_tokens_are_padded_like_the_tokens():
    inputs, rows = tokens(), np.array([7, 401, 3])
    vectors = torch.from_numpy(inputs.tokens[inputs.tokens >= 0]).float()[:, None].expand(-1, 2)
    stored = TokenActivations(vectors, np.cumsum(LENGTHS) - LENGTHS, LENGTHS, "cpu")
    batch = stored.plain(rows)
    expected = inputs.plain(rows)
    assert torch.equal(batch.isnan(), (expected == -1)[..., None].expand(-1, -1, 2))
    assert torch.equal(batch.nan_to_num(-1.0).long(), expected[..., None].expand(-1, -1, 2))
    for part, other in zip(stored.parts(rows, 2), inputs.parts(rows, 2), strict=True):
        assert np.array_equal(part, other)


def test_tokens_that_do_not_match_their_manifest_are_refused(tmp_path):
    np.save(tmp_path / "tokens.npy", np.array([1, -1], np.int32))
    manifest = tmp_path / "tokens.json"
    files.write_json(manifest, {"sha256": files.sha256(tmp_path / "tokens.npy")})
    assert Tokens.opened(manifest, "cpu").lengths.tolist() == [1]
    np.save(tmp_path / "tokens.npy", np.array([2, -1], np.int32))
    with pytest.raises(UserError, match=r"tokens\.npy .*forcerun tokenize"):
        Tokens.opened(manifest, "cpu")
