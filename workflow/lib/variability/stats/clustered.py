"""Standard errors of means over test examples, which may come in groups, and tests of paired examples.

Miller (2024), "Adding error bars to evals", treats the examples as a sample of those that could have been asked, and
their groups (questions on one passage) as the independent units. With G groups, of which group g holds the sum s_g of
deviations from the mean of n examples, the variance of the mean is

    G / (G - 1) * sum_g s_g^2 / n^2

This is the square of his clustered standard error (the variance of independent examples plus the covariances within
groups), with the correction G / (G - 1) of few groups (Cameron and Miller 2015, J. Human Resources 50:317, section
III.B), so that it equals s^2 / n where every example is a group of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special


class Mean(NamedTuple):
    """Mean over examples, its standard error, and the number of independent units: groups, or examples."""

    value: float
    se: float
    units: int


def mean(values: np.ndarray, clusters: np.ndarray | None = None) -> Mean:
    """Return the mean of the values (n,) of examples; se is NaN with fewer than two units.

    clusters: number of each example's group, from 0 (n,); None if every example is a group of its own.
    """
    center = float(values.mean())
    deviations = values - center
    sums = deviations if clusters is None else np.bincount(clusters, weights=deviations)
    units = len(sums)
    if units < 2:
        return Mean(center, float("nan"), units)
    return Mean(center, float(np.sqrt(units / (units - 1) * np.square(sums).sum()) / len(values)), units)


def t_test(estimate: float, se: float, units: int, level: float) -> tuple[float, float, float]:
    """Return the ends of Student's interval and the two-sided p of a mean, with units - 1 degrees of freedom.

    Without any spread the interval is a point, and there is no p.
    """
    if np.isnan(se):
        return float("nan"), float("nan"), float("nan")
    half = special.stdtrit(units - 1, (1 + level) / 2) * se
    p = 2 * special.stdtr(units - 1, -abs(estimate) / se) if se > 0 else float("nan")
    return estimate - half, estimate + half, float(p)


def mcnemar_p(gained: np.ndarray, lost: np.ndarray, clusters: np.ndarray | None = None) -> float:
    """Return the p-value of the exact McNemar test of two predictions of the same examples, two-sided.

    gained, lost: (n,) bool, examples that only the second, or only the first, predicts correctly. 1 where there are
    none. clusters: as in ``mean``. With groups the differences d_g = gained - lost of whole groups change their signs:
    the distribution of their sum over all 2^G signs is computed exactly. It is the randomisation test of the
    statistic of Yang, Sun and Hardin (2010, Biometrical J. 52:638), sum_g d_g over the root of sum_g d_g^2, and
    McNemar's binomial test where each changed example is in a group of its own.
    """
    differences = gained.astype(int) - lost.astype(int)
    if clusters is not None:
        differences = np.bincount(clusters, weights=differences).round().astype(int)
    sizes = np.abs(differences[differences != 0])
    observed = abs(int(differences.sum()))
    # The number of sign patterns by sum, shifted by the largest one, as a share of all of them.
    total = int(sizes.sum())
    shares = np.zeros(2 * total + 1)
    shares[total] = 1.0
    for size in sizes:
        shares = (np.roll(shares, size) + np.roll(shares, -size)) / 2
    sums = np.abs(np.arange(-total, total + 1))
    return float(min(1.0, shares[sums >= observed].sum()))
