"""Thresholds of outliers by median and MAD that hold a stated rate of false alarms at every number of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Rate of false alarms: share of the samples of normal values of which any value is called an outlier.
FALSE_ALARMS = 0.01
#: Factor by which the MAD of normal values estimates their SD (Rousseeuw & Croux 1993).
MAD_TO_SD = 1.4826
#: Simulated 99 % quantiles, by n, of the distance of the lowest of n normal values from their median in scaled MADs
#: (1.2 million samples up to n = 20, then 400,000, from 200 on 100,000). Of n = 3 exact, see ``of``.
_QUANTILES = {
    **{3: 55.4, 4: 11.2, 5: 13.7, 6: 8.08, 7: 8.62, 8: 6.70, 9: 6.94, 10: 5.96, 11: 6.09, 12: 5.51, 13: 5.62},
    **{14: 5.23, 15: 5.29, 16: 5.01, 17: 5.08, 18: 4.86, 19: 4.89, 20: 4.76, 25: 4.60, 30: 4.40, 40: 4.27},
    **{50: 4.18, 70: 4.11, 100: 4.08, 200: 4.08, 500: 4.20, 1000: 4.31},
}


def of(n: ArrayLike) -> np.ndarray:
    """Return the number of scaled MADs below the median from which a value is an outlier, for samples of n values.

    n: array of any shape. The thresholds are the g(n, alpha) of Hampel's identifier as Davies & Gather (JASA 88, 1993)
    standardise it: of n independent normal values none is called an outlier with probability 1 - FALSE_ALARMS. Here
    only low values count. Of three values the exact rate is (3 / pi) arccot((2 * 1.4826 g + 1) / sqrt(3)), because the
    gaps u and v between them have a density proportional to exp(-(u^2 + u v + v^2) / 3). Above the table the median and
    MAD are those of the distribution. Below 3 values no threshold is exceeded.
    """
    from scipy import stats

    sizes = np.maximum(np.asarray(n, dtype=float), 3)
    largest = max(_QUANTILES)
    simulated = np.interp(np.log(sizes), np.log(list(_QUANTILES)), list(_QUANTILES.values()))
    # Probability that one of n values is an outlier, if together they have FALSE_ALARMS.
    single = -np.expm1(np.log1p(-FALSE_ALARMS) / sizes)
    return np.where(sizes > largest, stats.norm.isf(single), simulated)
