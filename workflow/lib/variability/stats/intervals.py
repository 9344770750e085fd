"""Confidence and prediction intervals of a few runs, from their mean, SD (ddof 1) and number.

Every function broadcasts over arrays and returns (low, high). Both ends are NaN with fewer than two runs, which say
nothing about spread, and where an input is NaN. With an SD of exactly 0 an interval shrinks to a point, which is
correct only for deterministic runs. Bounded metrics are not clipped: an end above 1 shows that the normal model does
not fit well.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

Interval = tuple[np.ndarray, np.ndarray]


def t_interval(mean: ArrayLike, sd: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Return Student's t confidence interval of the mean: mean +- t(n-1) * sd / sqrt(n) (Student 1908)."""
    n = _at_least_two(n)
    return _around(mean, special.stdtrit(n - 1, _upper(level)) * sd / np.sqrt(n))


def prediction_interval(mean: ArrayLike, sd: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Return the t prediction interval of the next run's value (Hahn & Meeker 1991, sect. 4.7).

    mean +- t(n-1) * sd * sqrt(1 + 1/n).
    """
    n = _at_least_two(n)
    return _around(mean, special.stdtrit(n - 1, _upper(level)) * sd * np.sqrt(1 + 1 / n))


def sd_interval(sd: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Return the chi-square confidence interval of the SD: sd * sqrt((n-1) / chi2(n-1)) (Cochran 1934).

    It depends on normality.
    """
    n = _at_least_two(n)
    sd = np.asarray(sd, dtype=float)
    low, high = (np.sqrt((n - 1) / special.chdtri(n - 1, tail)) for tail in (1 - _upper(level), _upper(level)))
    return sd * low, sd * high


def welch_interval(
    mean: ArrayLike, sd: ArrayLike, n: ArrayLike, mean_b: ArrayLike, sd_b: ArrayLike, n_b: ArrayLike, level: float
) -> Interval:
    """Return the confidence interval of mean - mean_b of unpaired runs with unequal variances (Welch 1947)."""
    n, n_b = _at_least_two(n), _at_least_two(n_b)
    variance, variance_b = np.square(sd) / n, np.square(sd_b) / n_b
    with np.errstate(invalid="ignore"):
        freedom = np.square(variance + variance_b) / (np.square(variance) / (n - 1) + np.square(variance_b) / (n_b - 1))
    # Without any spread the degrees of freedom are 0/0, but the half-width is 0 whatever they are.
    freedom = np.where(variance + variance_b == 0, n + n_b - 2, freedom)
    return _around(np.subtract(mean, mean_b), special.stdtrit(freedom, _upper(level)) * np.sqrt(variance + variance_b))


def wilson_interval(successes: ArrayLike, n: ArrayLike, level: float) -> Interval:
    """Return the score interval of a proportion (Wilson 1927, eq. 4); NaN for n = 0.

    n counts examples, not runs.
    """
    n = np.asarray(n, dtype=float)
    n = np.where(n > 0, n, np.nan)
    z = special.ndtri(_upper(level))
    share = successes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # The ends of 0 and n successes are 0 and 1, from which rounding can keep them away.
    return np.clip(np.minimum(middle - half, share), 0, 1), np.clip(np.maximum(middle + half, share), 0, 1)


def _upper(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    return 0.5 + level / 2


def _at_least_two(n: ArrayLike) -> np.ndarray:
    n = np.asarray(n, dtype=float)
    return np.where(n >= 2, n, np.nan)


def _around(middle: ArrayLike, half: np.ndarray) -> Interval:
    middle = np.asarray(middle, dtype=float)
    return middle - half, middle + half
