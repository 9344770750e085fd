"""Bootstrap weights, percentile intervals and Monte-Carlo p-values, with explicit random generators."""

import hashlib

import numpy as np
from numpy.typing import ArrayLike


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the random generator of one resampling, independent of all generators with other names.

    seed: the seed of the analyses. It is not a run's seed, and these generators share no state with those of
    ``seeding``.
    """
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    key = np.frombuffer(digest[:16], dtype=">u4").astype(int).tolist()
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


def bootstrap_counts(rng: np.random.Generator, n: int, resamples: int) -> np.ndarray:
    """Return (resamples, n) counts of each of n units in bootstrap samples of size n (Efron 1979)."""
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples)


def percentile_interval(replicates: ArrayLike, level: float, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the central interval of bootstrap replicates along an axis (Efron 1981).

    NaN where a replicate is NaN. The coverage is too low with few units (75 % of a nominal 95 % at 3, 84 % at 5): do
    not use it as the default for few seeds.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(replicates), [tail, 1 - tail], axis=axis)
    return low, high


def p_value(exceeding: ArrayLike, resamples: int) -> np.ndarray:
    """Return the Monte-Carlo p-value (b + 1) / (B + 1), never 0 (Davison & Hinkley 1997, eq. 4.11).

    exceeding: number of replicates that are at least as extreme as the observed value.
    """
    return (np.asarray(exceeding) + 1) / (resamples + 1)
