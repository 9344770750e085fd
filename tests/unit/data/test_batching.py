import numpy as np

from variability.data.batching import cut_batches, smallest_batch


def test_batches_hold_each_row_once_and_a_single_last_row_joins_the_batch_before():
    rows = np.arange(65)
    assert [len(each) for each in cut_batches(rows, 32)] == [32, 33]
    assert [len(each) for each in cut_batches(rows, 30)] == [30, 30, 5]
    assert [len(each) for each in cut_batches(rows[:3], 1)] == [1, 1, 1]
    assert [len(each) for each in cut_batches(rows[:1], 32)] == [1]
    np.testing.assert_array_equal(np.concatenate(cut_batches(rows, 32)), rows)


def test_the_smallest_batch_has_one_row_only_if_all_have_or_there_is_one_row():
    assert [smallest_batch(rows, 4) for rows in (1, 2, 4, 5, 8, 9, 11)] == [1, 2, 4, 5, 4, 4, 3]
    assert smallest_batch(7, 1) == 1
    assert smallest_batch(0, 4) == 0
