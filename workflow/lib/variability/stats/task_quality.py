"""Quality of a task as an instrument: how far candidates differ on it, in units of the noise of single runs.

Signal and noise are those of Heineman et al. (2025), "Signal and Noise: A Framework for Reducing Uncertainty in
Language Model Evaluation", max |m_j - m_k| / m and SD / m, with means over seeds in place of final scores, and
the SD of runs of different seeds (ddof 1, pooled over candidates) in place of that of the last checkpoints of one run
(ddof 0).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import integrate, special

from variability.stats import pair_tests
from variability.stats.rounding import ROUNDING


class Quality(NamedTuple):
    """Quality of a task; NaN where it is not defined.

    dispersion: largest difference between means of candidates. sd: pooled over candidates; df: its degrees of freedom.
    snr: dispersion / sd. snr_if_equal: its expectation for equal candidates with these numbers of runs. accuracy: share
    of pairs of candidates that one run of each orders as the means of their other runs do, all runs alike, ties half.
    accuracy_same_runs: as the means of all runs do, which contain the one run. pairs: that accuracy is based on.
    """

    dispersion: float
    sd: float
    df: int
    snr: float
    snr_if_equal: float
    accuracy: float
    accuracy_same_runs: float
    pairs: int


def quality(values: np.ndarray) -> Quality:
    """Return the quality of a task from (candidates, seeds) values, NaN where there is none."""
    values = values[~np.isnan(values).all(axis=1)]
    rounding = ROUNDING * np.nanmax(np.abs(values), initial=0)
    n, means, variances = pair_tests.moments(values, rounding)
    df = int((n - 1).sum())
    sd = float(np.sqrt(np.nansum((n - 1) * variances) / df)) if df else np.nan
    dispersion = float(np.ptp(means)) if len(means) > 1 else np.nan
    dispersion = 0.0 if dispersion <= rounding else dispersion
    accuracy, pairs = _accuracy(values, n, means, rounding, held_out=True)
    same_runs, _ = _accuracy(values, n, means, rounding, held_out=False)
    return Quality(
        **{"dispersion": dispersion, "sd": sd, "df": df, "snr": dispersion / sd if sd > 0 else np.nan},
        snr_if_equal=expected_range(len(n)) * float(np.sqrt((1 / n).mean())) if len(n) > 1 else np.nan,
        **{"accuracy": accuracy, "accuracy_same_runs": same_runs, "pairs": pairs},
    )


def expected_range(count: int) -> float:
    """Return the expected range of independent standard normal values (Tippett 1925): 1.128 for two, 2.326 for five."""
    below = special.ndtr
    return 2 * integrate.quad(lambda x: 1 - below(x) ** count - below(-x) ** count, 0, 10)[0]


def _accuracy(values, n, means, rounding, held_out):
    """Return the mean share of pairs of runs that are in the order of the means, and the number of pairs of candidates.

    held_out: each run is compared with the means of the other runs; pairs of candidates then need two runs each.
    """
    shares = []
    with np.errstate(invalid="ignore", divide="ignore"):
        others = (n * means)[:, None] - values
        references = np.where(n[:, None] > 1, others / (n - 1)[:, None], np.nan)
    for a, b in zip(*np.triu_indices(len(values), 1), strict=True):
        if held_out:
            expected = _signs(references[a], references[b], rounding)
        else:
            expected = _signs(means[[a]], means[[b]], rounding)
        agreement = (1 + _signs(values[a], values[b], rounding) * expected) / 2
        if not np.isnan(agreement).all():
            shares.append(np.nanmean(agreement))
    return (float(np.mean(shares)), len(shares)) if shares else (np.nan, 0)


def _signs(a, b, rounding):
    """Return (len(a), len(b)) signs of the differences a - b, 0 where they are equal, NaN where one is missing."""
    differences = a[:, None] - b
    return np.sign(np.where(np.abs(differences) <= rounding, 0.0, differences))
