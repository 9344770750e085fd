"""Numbers of further seeds that would decide a comparison of two candidates.

Table, claims, summary and report page have them from here. pairs: the table ``decisions`` or a part of it, or one of
its rows as a mapping; the numbers have its shape. They are at most ``sample_size.MOST``, which means this many or more,
and NaN where nothing was tested and where further runs cannot be planned: how many of them would collapse is not known,
and on splits that overlap they help only up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from variability.advice import plural
from variability.reporting import paired_cells
from variability.stats import sample_size

if TYPE_CHECKING:
    import pandas as pd

    Pairs = pd.DataFrame | pd.Series | Mapping[str, Any]

#: Power to plan further seeds for, and level of the upper confidence limit of the SD (Browne 1995).
POWER = SD_LEVEL = 0.8


def for_difference(pairs: Pairs, goal: ArrayLike) -> np.ndarray:
    """Return the further seeds per side that would show a difference of ``goal`` between the two of each pair.

    The level is that of the smallest p-value of the family (Bonferroni), and the test is that of the pair: for pairs of
    runs the SD of their differences counts, however much both sides vary together.
    """
    return _further(pairs, sample_size.for_power, sample_size.for_paired_power, goal)


def to_decide(pairs: Pairs) -> np.ndarray:
    """Return the further seeds per side that would end each comparison, if the difference is the observed one.

    They show the difference, or that both are equivalent within the margin, whichever takes fewer.
    """
    difference, margin = (np.asarray(pairs[name], dtype=float) for name in ("difference", "margin"))
    equivalent = _further(pairs, sample_size.for_equivalence, sample_size.for_paired_equivalence, difference, margin)
    return np.fmin(for_difference(pairs, np.abs(difference)), equivalent)


def not_worse(pairs: Pairs) -> np.ndarray:
    """Return the further seeds per side that would show whether the first is worse by less than the margin.

    If the difference is the observed one. It has to be distinguished from the margin by a one-sided test at the level
    of ``claimed_pairs.verdict_not_worse``.
    """
    distance = np.asarray(pairs["margin"], dtype=float) + pairs["difference"]
    # One side of a two-sided test: half the tests. That it is worse by more is adjusted for both directions.
    tests = np.asarray(pairs["tests"]) * np.where(distance > 0, 0.5, 1)
    return for_difference({**dict(pairs), "tests": tests}, np.abs(distance))


def in_words(more: float, what: str = "seed per side") -> str:
    """Format a number of further seeds: ``about 14 more seeds per side would decide``. what: one of them."""
    unit, _, of = what.partition(" ")
    if more >= sample_size.MOST:
        return f"{sample_size.MOST:,} or more further {unit}s {of} would be needed to decide"
    return f"about {plural(int(more), f'more {unit}')} {of} would decide"


def _further(
    pairs: Pairs, unpaired: Callable[..., np.ndarray], paired: Callable[..., np.ndarray], *amounts: ArrayLike
) -> np.ndarray:
    """Return the runs that each side needs in addition to those that it has.

    unpaired, paired: numbers of runs needed, from the amounts, the SDs of both sides or that of the differences or of
    the side that is no constant, the power and the level.
    """
    shape = np.shape(pairs["p"])
    p, n, n_b, tests, level, sd, sd_b, sd_difference, share = (
        np.atleast_1d(np.asarray(pairs.get(name, np.full(shape, np.nan)), dtype=float))
        for name in ("p", "n", "n_b", "tests", "level", "sd", "sd_b", "sd_difference", "test_share")
    )
    permuted, constant, constant_b = (
        np.atleast_1d(np.asarray(pairs.get(name, np.full(shape, False)), dtype=bool))
        for name in ("permuted", "deterministic", "deterministic_b")
    )
    constant = constant | constant_b
    one_sd = constant | np.atleast_1d(pairs["pairing"] != paired_cells.UNPAIRED)
    upper, upper_b, upper_difference = (
        sample_size.sd_upper(*side, SD_LEVEL) for side in ((sd, n), (sd_b, n_b), (sd_difference, n))
    )
    of_one = np.where(constant, np.fmax(upper, upper_b), upper_difference)
    present = np.where(constant, np.maximum(n, n_b), np.minimum(n, n_b))
    # Without tests nothing is computed from it.
    levels = 1 - (1 - level) / np.maximum(tests, 0.5)
    amounts = tuple(np.broadcast_to(np.asarray(amount, dtype=float), p.shape) for amount in amounts)
    needed = np.full(p.shape, np.nan)
    plannable = ~(np.isnan(p) | permuted | (share > 0))
    for function, rows, sds in ((unpaired, ~one_sd, (upper, upper_b)), (paired, one_sd, (of_one,))):
        rows = rows & plannable
        if rows.any():
            needed[rows] = function(*(values[rows] for values in (*amounts, *sds)), POWER, levels[rows])
    more = np.where(needed < sample_size.MOST, np.maximum(needed - present, 1.0), needed)
    return more.reshape(shape)
