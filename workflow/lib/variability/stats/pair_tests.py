"""Student's t for every two candidates of a task: paired where their runs are pairs, otherwise Welch's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from variability.stats.rounding import ROUNDING


class Pairs(NamedTuple):
    """Comparisons of every two candidates; all arrays are (pairs,).

    a, b: their indices; a has the better mean. difference: a minus b. se: its standard error. df, t, p: of the
    two-sided t test, NaN where a side has fewer than two runs and where nothing varies. n, n_b: numbers of runs of a
    and b, or of pairs. constant: True where both sides have two runs or more, and nothing varies.
    """

    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    se: np.ndarray
    df: np.ndarray
    t: np.ndarray
    p: np.ndarray
    n: np.ndarray
    n_b: np.ndarray
    constant: np.ndarray


def compare(values: np.ndarray, paired: np.ndarray) -> Pairs:
    """Return the t tests of every two candidates, a before b. Arguments are those of ``simultaneous.decide``."""
    a, b = np.triu_indices(len(values), 1)
    is_paired = paired[a, b]
    rounding = ROUNDING * np.nanmax(np.abs(values), initial=0)
    n, mean, variance = moments(values, rounding)
    of_mean = variance / np.maximum(n, 1)
    difference, square = mean[a] - mean[b], of_mean[a] + of_mean[b]
    df = welch_df(of_mean[a], of_mean[b], n[a], n[b])
    n_a, n_b = n[a], n[b]
    if is_paired.any():
        n_pairs, mean, variance = moments(values[a[is_paired]] - values[b[is_paired]], rounding)
        difference[is_paired], square[is_paired] = mean, variance / np.maximum(n_pairs, 1)
        df[is_paired], n_a[is_paired], n_b[is_paired] = n_pairs - 1, n_pairs, n_pairs
    difference[np.abs(difference) <= rounding] = 0.0
    enough = np.minimum(n_a, n_b) >= 2
    known = enough & (square > 0)
    se, df = np.where(known, np.sqrt(square), np.nan), np.where(known, df, np.nan)
    t = difference / se
    return Pairs(a, b, difference, se, df, t, 2 * special.stdtr(df, -np.abs(t)), n_a, n_b, enough & ~known)


def welch_df(variance: np.ndarray, variance_b: np.ndarray, n: np.ndarray, n_b: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of Welch's test (1947). variance, variance_b: of the two means."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.square(variance + variance_b) / (np.square(variance) / (n - 1) + np.square(variance_b) / (n_b - 1))


def moments(values: np.ndarray, rounding: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return number, mean and variance of the values of each row; the variance is 0 where they are equal."""
    missing = np.isnan(values)
    n = (~missing).sum(axis=1)
    filled = np.where(missing, 0, values)
    mean = np.where(n > 0, filled.sum(axis=1) / np.maximum(n, 1), np.nan)
    deviations = np.where(missing, 0, values - mean[:, None])
    variance = np.square(deviations).sum(axis=1) / np.maximum(n - 1, 1)
    spread = deviations.max(axis=1, initial=0) - deviations.min(axis=1, initial=0)
    return n, mean, np.where(n < 2, np.nan, np.where(spread <= rounding, 0.0, variance))
