"""Cuts the rows of a task into batches, without torch."""

import numpy as np

#: The length of a padded batch is a multiple of this: matrix products of odd sizes are slow on GPUs.
_MULTIPLE = 8


def cut_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut rows into batches of ``size``, the incomplete last one included.

    A last batch of a single row joins the one before it: BatchNorm cannot compute a variance from one example.
    """
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def smallest_batch(rows: int, size: int) -> int:
    """Return the number of rows of the smallest batch that ``cut_batches`` makes."""
    return min(map(len, cut_batches(np.arange(rows), size)), default=0)


def batches_of_similar_length(lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut the positions 0 .. n - 1 into batches of examples of similar length, for prediction.

    lengths: (n,) tokens of each example.
    """
    by_length = np.argsort(lengths, kind="stable")
    return [by_length[start : start + size] for start in range(0, len(lengths), size)]


def padded_positions(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each row's tokens in the array of all tokens, and a mask of the real ones.

    starts, lengths: (rows,). Both results: (rows, length), where length is that of the longest row, rounded up. Where
    the mask is False, the position is that of padding and must not be read.
    """
    steps = np.arange(-(-int(lengths.max()) // _MULTIPLE) * _MULTIPLE)
    return starts[:, None] + steps, steps < lengths[:, None]
