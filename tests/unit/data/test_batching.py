import numpy as np

from variability.data.batching import cut_batches


def test_batches_hold_each_row_once_and_a_single_last_row_joins_the_batch_before():
    rows = np.arange(65)
    assert [len(each) for each in cut_batches(rows, 32)] == [32, 33]
    assert [len(each) for each in cut_batches(rows, 30)] == [30, 30, 5]
    assert [len(each) for each in cut_batches(rows[:3], 1)] == [1, 1, 1]
    assert [len(each) for each in cut_batches(rows[:1], 32)] == [1]
    np.testing.assert_array_equal(np.concatenate(cut_batches(rows, 32)), rows)
