"""Student's t for every two candidates of a task: paired where their runs are pairs, otherwise Welch's.

One side may be a constant, and runs may have splits of their own, which makes means less precise than n runs suggest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from variability.stats.rounding import ROUNDING


class RunFacts(NamedTuple):
    """Facts of the runs that a comparison takes into account.

    constant: (candidates,), True for those whose value no seed changes, such as a popularity baseline: one run is all
    there is to know. held_out: (candidates,), test examples per training example of runs of which each has a split of
    its own; otherwise 0. separate: (candidates, seeds), True for runs that collapsed or are far from the others.
    """

    constant: np.ndarray
    held_out: np.ndarray
    separate: np.ndarray

    def of(self, rows: np.ndarray) -> RunFacts:
        """Return the facts of these candidates, in this order."""
        return RunFacts(*(part[rows] for part in self))


def plain(values: np.ndarray) -> RunFacts:
    """Return the facts of runs of which nothing special is known. values: (candidates, seeds)."""
    count = len(values)
    return RunFacts(np.zeros(count, dtype=bool), np.zeros(count), np.zeros(values.shape, dtype=bool))


class Pairs(NamedTuple):
    """Comparisons of every two candidates; all arrays are (pairs,).

    a, b: their indices; a has the better mean. difference: a minus b. se: its standard error. df, t, p: of the
    two-sided t test, NaN where a side has fewer than two runs (unless it is a constant) and where nothing varies. n,
    n_b: numbers of runs of a and b, or of pairs. constant: True where both sides have two runs or more, or are
    constants, and nothing varies. known: True where both sides are constants, so that the difference is known.
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
    known: np.ndarray


def compare(values: np.ndarray, paired: np.ndarray, facts: RunFacts | None = None) -> Pairs:
    """Return the t tests of every two candidates, a before b. Arguments are those of ``simultaneous.decide``.

    A constant has no variance and no degrees of freedom: the test against it is that of one sample (Student 1908). For
    runs with splits of their own, whose training and test examples overlap, the variance of a mean is s^2 (1 / n +
    n_test / n_train) instead of s^2 / n (Nadeau & Bengio, Mach. Learn. 52 (2003) 239).
    """
    facts = facts or plain(values)
    a, b = np.triu_indices(len(values), 1)
    is_paired = paired[a, b] & ~(facts.constant[a] | facts.constant[b])
    rounding = ROUNDING * np.nanmax(np.abs(values), initial=0)
    n, mean, variance = moments(values, rounding)
    variance = np.where(facts.constant, 0.0, variance)
    runs = np.where(facts.constant, np.inf, n)
    of_mean = variance * (1 / np.maximum(n, 1) + facts.held_out)
    difference, square = mean[a] - mean[b], of_mean[a] + of_mean[b]
    df = welch_df(of_mean[a], of_mean[b], runs[a], runs[b])
    n_a, n_b = n[a], n[b]
    enough = np.minimum(runs[a], runs[b]) >= 2
    if is_paired.any():
        n_pairs, mean, variance = moments(values[a[is_paired]] - values[b[is_paired]], rounding)
        held_out = np.maximum(facts.held_out[a], facts.held_out[b])[is_paired]
        difference[is_paired], square[is_paired] = mean, variance * (1 / np.maximum(n_pairs, 1) + held_out)
        df[is_paired], n_a[is_paired], n_b[is_paired] = n_pairs - 1, n_pairs, n_pairs
        enough[is_paired] = n_pairs >= 2
    difference[np.abs(difference) <= rounding] = 0.0
    known = enough & (square > 0)
    se, df = np.where(known, np.sqrt(square), np.nan), np.where(known, df, np.nan)
    t = difference / se
    p = 2 * special.stdtr(df, -np.abs(t))
    return Pairs(a, b, difference, se, df, t, p, n_a, n_b, enough & ~known, facts.constant[a] & facts.constant[b])


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
