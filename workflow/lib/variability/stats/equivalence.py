"""Equivalence and non-inferiority of two candidates within a margin, by two one-sided t tests.

A candidate is not worse than another by a margin or more if a one-sided test rejects that it is. Both candidates are
equivalent within the margin if that holds in both directions (TOST; Schuirmann 1987, J. Pharmacokinet. Biopharm. 15,
657; Lakens 2017, Soc. Psychol. Personal. Sci. 8, 355).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


class OneSided(NamedTuple):
    """P-values of both directions, each (pairs,).

    not_worse: of "a is worse than b by the margin or more"; not_worse_b: of the same with a and b exchanged. A small
    one shows that the candidate is not. The larger of the two is the p-value of TOST, see ``p_equivalent``.
    """

    not_worse: np.ndarray
    not_worse_b: np.ndarray

    def p_equivalent(self) -> np.ndarray:
        """Return the p-values of "the difference is the margin or larger, in either direction"."""
        return np.maximum(self.not_worse, self.not_worse_b)


def one_sided(difference: ArrayLike, se: ArrayLike, df: ArrayLike, margin: ArrayLike) -> OneSided:
    """Return the p-values of both one-sided t tests of each pair.

    difference: a minus b, larger is better; se, df: its standard error and degrees of freedom; margin: in the same
    unit. NaN without a standard error, and unless the margin is above 0.
    """
    difference, se, df, margin = (np.asarray(part, dtype=float) for part in (difference, se, df, margin))
    margin = np.where(margin > 0, margin, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        lower, upper = (margin + difference) / se, (margin - difference) / se
    return OneSided(special.stdtr(df, -lower), special.stdtr(df, -upper))


def of_known(difference: ArrayLike, margin: ArrayLike) -> OneSided:
    """Return p-values for differences that are known, without any noise: 0 within the margin, otherwise 1.

    The limits of ``one_sided`` for an se of 0. NaN unless the margin is above 0.
    """
    difference, margin = np.asarray(difference, dtype=float), np.asarray(margin, dtype=float)
    known = (margin > 0) & ~np.isnan(difference)
    return OneSided(
        *(np.where(known, np.where(side > 0, 0.0, 1.0), np.nan) for side in (margin + difference, margin - difference))
    )


def of_half_width(
    difference: np.ndarray, half_width: Callable[[np.ndarray], np.ndarray], margin: float | np.ndarray
) -> OneSided:
    """Return the p-values that the one-sided intervals of ``difference`` imply, which extend by ``half_width(tail)``.

    half_width: of one-sided levels (pairs,) from 0.5, increasing with them. p is the smallest alpha for which the
    interval of level 1 - alpha excludes the margin (a test of the interval; Berger & Hsu 1996, Stat. Sci. 11, 283).
    NaN where the width is, and unless the margin is above 0.
    """
    difference = np.asarray(difference, dtype=float)
    known = (np.asarray(margin) > 0) & ~np.isnan(half_width(np.full(difference.shape, 0.95))) & ~np.isnan(difference)
    return OneSided(*(_tail(side, half_width, known) for side in (margin + difference, margin - difference)))


def _tail(distance: np.ndarray, half_width: Callable[[np.ndarray], np.ndarray], known: np.ndarray) -> np.ndarray:
    """Return the p at which the half-width is the distance, by bisection of its normal score; above 0.5 below 0."""
    low, high = np.zeros(distance.shape), np.full(distance.shape, 8.0)
    for _ in range(50):
        middle = (low + high) / 2
        reached = half_width(special.ndtr(middle)) >= np.abs(distance)
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    p = special.ndtr(-low)
    return np.where(known, np.where(distance > 0, p, 1 - p), np.nan)


def adjusted(p: OneSided) -> OneSided:
    """Adjust the p-values of one family of pairs by Holm's method with Shaffer's logical constraints.

    A candidate cannot be worse than another by a margin while that one is worse than it: of the two hypotheses of a
    pair at most one is true, so p-values are multiplied by the number of pairs of which not both have been rejected
    (Shaffer 1986, J. Am. Stat. Assoc. 81, 826, procedure S1). The adjusted p-values of TOST are then those of Holm's
    method (1979) for the pairs alone. NaNs stay, and do not count.
    """
    known = np.flatnonzero(~np.isnan(p.p_equivalent()))
    pairs = len(known)
    both = np.concatenate([p.not_worse[known], p.not_worse_b[known]])
    order = np.argsort(both, kind="stable")
    position = np.empty(2 * pairs, dtype=int)
    position[order] = np.arange(2 * pairs)
    closing = np.zeros(2 * pairs, dtype=int)
    closing[np.maximum(position[:pairs], position[pairs:])] = 1
    left = pairs - (np.cumsum(closing) - closing)
    steps = np.empty(2 * pairs)
    steps[order] = np.minimum(1, np.maximum.accumulate(both[order] * left))
    result = OneSided(*(np.full(len(p.not_worse), np.nan) for _ in range(2)))
    result.not_worse[known], result.not_worse_b[known] = steps[:pairs], steps[pairs:]
    return result
