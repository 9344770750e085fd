"""Numbers of runs needed for an interval of a given width, for a given power, or for P(A > B).

Every function broadcasts over arrays. Numbers of runs are per model, at least two and at most ``MOST``, which means
"this many or more"; they are NaN where an input is.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from variability.stats import intervals

#: Upper limit of the search: beyond it, more seeds do not help.
MOST = 10_000
#: Upper limit of the number of test examples.
MOST_EXAMPLES = 10_000_000
# Numbers of runs for t tests are mostly within as many of those for normal values with known SDs.
_NEAR = 12
# A difference of this many standard errors is detected with certainty.
_CERTAIN = 1e4


def sd_upper(sd: ArrayLike, n: ArrayLike, level: float) -> np.ndarray:
    """Return the one-sided upper chi-square confidence limit of an SD (ddof 1) from n runs.

    sd * sqrt((n-1) / chi2(n-1, 1-level)). A sample size planned from it is large enough in at least ``level`` of all
    pilots; one planned from the SD itself, in about half of them (Browne 1995, Statistics in Medicine 14). NaN for
    fewer than two runs.
    """
    n = np.asarray(n, dtype=float)
    n = np.where(n >= 2, n, np.nan)
    return np.asarray(sd, dtype=float) * np.sqrt((n - 1) / special.chdtri(n - 1, level))


def power(difference: ArrayLike, sd: ArrayLike, sd_other: ArrayLike, n: ArrayLike, level: ArrayLike) -> np.ndarray:
    """Return the power of the two-sided Welch test at alpha = 1 - level for two means of n runs each.

    difference: the true difference of the means. From the noncentral t distribution, with Welch's degrees of freedom at
    the true SDs: exact for normal values with equal SDs (the two-sample t test with 2n - 2), an approximation
    otherwise. Without any spread, a difference is always detected.
    """
    sd, sd_other, n = (np.asarray(value, dtype=float) for value in (sd, sd_other, n))
    both = np.hypot(sd, sd_other)
    scale = np.where(both > 0, both, 1)
    shares = np.where(both > 0, (sd / scale) ** 4 + (sd_other / scale) ** 4, 0.5)
    return _t_test_power(difference, both, n, (n - 1) / shares, level)


def paired_power(difference: ArrayLike, sd: ArrayLike, n: ArrayLike, level: ArrayLike) -> np.ndarray:
    """Return the power of the two-sided paired t test of n pairs whose differences have this SD.

    Otherwise like ``power``.
    """
    n = np.asarray(n, dtype=float)
    return _t_test_power(difference, np.asarray(sd, dtype=float), n, n - 1, level)


def _t_test_power(
    difference: ArrayLike, sd: np.ndarray, n: np.ndarray, freedom: np.ndarray, level: ArrayLike
) -> np.ndarray:
    """Return the power of a two-sided t test of a difference with standard error sd / sqrt(n)."""
    distance = np.abs(difference)
    with np.errstate(over="ignore"):
        shift = np.where(sd > 0, distance / np.where(sd > 0, sd, 1) * np.sqrt(n), np.where(distance > 0, _CERTAIN, 0))
    shift = np.where(np.isnan(sd), np.nan, np.minimum(shift, _CERTAIN))
    critical = special.stdtrit(freedom, 0.5 + np.asarray(level) / 2)
    missed = _noncentral_t(critical, freedom, shift) - _noncentral_t(-critical, freedom, shift)
    return np.clip(1 - missed, 0, 1)


def for_half_width(sd: ArrayLike, half_width: ArrayLike, level: float) -> np.ndarray:
    """Return the runs after which the t interval of the mean has at most this half-width."""

    def enough(n, sd, half_width):
        return intervals.t_interval(0.0, sd, n, level)[1] <= half_width

    return _smallest(enough, sd, half_width)


def for_power(difference: ArrayLike, sd: ArrayLike, sd_other: ArrayLike, goal: float, level: ArrayLike) -> np.ndarray:
    """Return the runs per model that give the two-sided Welch test the power ``goal`` for a difference."""

    def enough(n, difference, sd, sd_other, level):
        return power(difference, sd, sd_other, n, level) >= goal

    about = _by_normal(np.abs(difference), np.hypot(sd, sd_other), (1 + np.asarray(level)) / 2, goal)
    return _smallest(enough, difference, sd, sd_other, level, about=about)


def for_paired_power(difference: ArrayLike, sd: ArrayLike, goal: float, level: ArrayLike) -> np.ndarray:
    """Return the pairs of runs that give the two-sided paired t test the power ``goal``.

    sd: the SD of the differences.
    """

    def enough(n, difference, sd, level):
        return paired_power(difference, sd, n, level) >= goal

    about = _by_normal(np.abs(difference), sd, (1 + np.asarray(level)) / 2, goal)
    return _smallest(enough, difference, sd, level, about=about)


def for_equivalence(
    difference: ArrayLike, margin: ArrayLike, sd: ArrayLike, sd_other: ArrayLike, goal: float, level: ArrayLike
) -> np.ndarray:
    """Return the runs per model that give two one-sided Welch tests at 1 - level the power ``goal``.

    Both have to show that the difference is within the margin. Their power is the sum of that of each, less 1, up to
    the chance that both fail (Phillips 1990, J. Pharmacokinet. Biopharm. 18, 137). ``MOST`` unless the difference is
    within the margin.
    """

    def enough(n, difference, margin, sd, sd_other, level):
        return _both_sides(difference, margin, lambda at: power(at, sd, sd_other, n, 2 * level - 1)) >= goal

    about = _by_normal(np.asarray(margin) - np.abs(difference), np.hypot(sd, sd_other), level, goal)
    return _smallest(enough, difference, margin, sd, sd_other, level, about=about)


def for_paired_equivalence(
    difference: ArrayLike, margin: ArrayLike, sd: ArrayLike, goal: float, level: ArrayLike
) -> np.ndarray:
    """Return the pairs of runs that give two one-sided paired t tests the power ``goal``, see ``for_equivalence``.

    sd: the SD of the differences.
    """

    def enough(n, difference, margin, sd, level):
        return _both_sides(difference, margin, lambda at: paired_power(at, sd, n, 2 * level - 1)) >= goal

    about = _by_normal(np.asarray(margin) - np.abs(difference), sd, level, goal)
    return _smallest(enough, difference, margin, sd, level, about=about)


def _both_sides(
    difference: np.ndarray, margin: np.ndarray, one_sided: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the power of two one-sided tests, 0 unless the difference is within the margin."""
    near, far = margin - np.abs(difference), margin + np.abs(difference)
    return np.where(near > 0, one_sided(np.maximum(near, 0)) + one_sided(far) - 1, 0.0)


def detectable_effect(n: ArrayLike, goal: float, level: float) -> np.ndarray:
    """Return the smallest difference, in SDs, that a two-sided t test of n runs against n detects with power ``goal``.

    The inverse of ``power`` for equal SDs (Cohen 1988, sect. 2.4). NaN for fewer than two runs.
    """
    n = np.asarray(n, dtype=float)
    low, high = np.zeros(n.shape), np.full(n.shape, _CERTAIN)
    for _ in range(80):
        middle = (low + high) / 2
        enough = power(middle, 1.0, 1.0, np.where(n >= 2, n, np.nan), level) >= goal
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(n >= 2, high, np.nan)


def crossed_power(
    difference: ArrayLike, parts: tuple[float, float, float], seeds: ArrayLike, examples: ArrayLike, level: float
) -> np.ndarray:
    """Return the power of a two-sided t test of two models, with ``seeds`` runs each on the same ``examples``.

    parts: variance components of the difference of one run of each: of the runs, of the examples, and of runs crossed
    with examples (``example_noise.pair_parts``). The variance of the difference of means on new seeds and examples is
    runs / seeds + examples / M + crossed / (seeds M). Satterthwaite's degrees of freedom: 2 (seeds - 1) for what runs
    contribute, M - 1 for what examples do.
    """
    of_runs, of_examples, crossed = parts
    seeds, examples = (np.asarray(value, dtype=float) for value in (seeds, examples))
    between_runs = np.asarray((of_runs + crossed / examples) / seeds)
    between_examples = np.asarray(of_examples / examples)
    variance = between_runs + between_examples
    shares = np.square(between_runs) / (2 * (seeds - 1)) + np.square(between_examples) / (examples - 1)
    freedom = np.where(shares > 0, np.square(variance) / np.where(shares > 0, shares, 1), np.inf)
    return _t_test_power(difference, np.sqrt(variance), np.ones(variance.shape), np.minimum(freedom, 1e9), level)


def examples_for_power(
    difference: float, parts: tuple[float, float, float], seeds: ArrayLike, goal: float, level: float
) -> np.ndarray:
    """Return the test examples that give ``crossed_power`` the power ``goal``, for each number of seeds.

    NaN where ``MOST_EXAMPLES`` are not enough: the runs alone are too noisy for so few seeds.
    """
    seeds = np.asarray(seeds, dtype=float)

    def enough(examples: np.ndarray | float, seeds: np.ndarray) -> np.ndarray:
        return crossed_power(difference, parts, seeds, examples, level) >= goal

    reached = np.where(enough(float(MOST_EXAMPLES), seeds), seeds, np.nan)
    return _smallest(enough, reached, most=MOST_EXAMPLES)


def for_probability_of_better(gamma: float, alpha: float, beta: float) -> int:
    """Return the runs per model for a one-sided test of P(A > B) > 1/2, if the truth is gamma.

    Noether 1987 (JASA 82), Wilcoxon-Mann-Whitney with equal numbers: (z(1-alpha) + z(1-beta))^2 / (6 (gamma - 1/2)^2);
    29 at gamma = 0.75 and alpha = beta = 0.05, as Bouthillier et al. 2021 recommend. Independent of the SD.
    """
    if not 0.5 < gamma <= 1:
        raise ValueError(f"gamma must be above 0.5 and at most 1, not {gamma}")
    z = special.ndtri(1 - alpha) + special.ndtri(1 - beta)
    return int(min(MOST, max(2, np.ceil(z**2 / (6 * (gamma - 0.5) ** 2)))))


def _noncentral_t(t: np.ndarray, freedom: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return the distribution function of the noncentral t, with 0 for tails that SciPy returns as NaN.

    SciPy has NaN for some tails below 1e-9.
    """
    below = special.nctdtr(freedom, shift, t)
    known = ~(np.isnan(t) | np.isnan(freedom) | np.isnan(shift))
    return np.where(known & np.isnan(below), 0.0, below)


def _by_normal(distance: ArrayLike, sd: ArrayLike, quantile: ArrayLike, goal: float) -> np.ndarray:
    """Return the n that gives a test with known SDs the power ``goal``, a few less than with t.

    Infinite unless the distance is above 0. distance: what the test has to detect. sd: of the difference of one run
    each. quantile: level of the critical value.
    """
    scaled = np.asarray((special.ndtri(quantile) + special.ndtri(goal)) * np.asarray(sd, dtype=float))
    scaled, distance = np.broadcast_arrays(scaled, np.asarray(distance, dtype=float))
    return np.where(distance > 0, np.square(scaled / np.where(distance > 0, distance, 1)), np.inf)


def _smallest(
    enough: Callable[..., np.ndarray], *inputs: ArrayLike, about: ArrayLike | None = None, most: float = MOST
) -> np.ndarray:
    """Return the smallest n from 2 to ``most`` that is enough, element by element, by bisection; NaN where an input is.

    enough: of n and the inputs; every larger number must be enough, too. about: a number that is a few runs below the
    result, where the search begins.
    """
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in inputs))
    result = np.full(arrays[0].shape, np.nan)
    flat = result.reshape(-1)
    rows = np.flatnonzero(~np.any([np.isnan(array) for array in arrays], axis=0))
    starts = [] if about is None else [np.broadcast_to(about, result.shape) + step for step in (-1, _NEAR)]
    low, high = np.ones(flat.shape), np.full(flat.shape, float(most))
    while len(rows):
        middle = np.floor((low[rows] + high[rows]) / 2)
        if starts:
            middle = np.clip(np.floor(starts.pop(0).ravel()[rows]), low[rows] + 1, high[rows] - 1)
        reached = enough(middle, *(array.ravel()[rows] for array in arrays))
        low[rows], high[rows] = np.where(reached, low[rows], middle), np.where(reached, middle, high[rows])
        done = high[rows] - low[rows] <= 1
        flat[rows[done]] = high[rows[done]]
        rows = rows[~done]
    return result
