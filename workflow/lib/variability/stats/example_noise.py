"""Variance of the difference between two models, split over runs, test examples, and runs crossed with examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pair_parts(losses: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return the variance components of the difference between two candidates, averaged over all pairs of them.

    losses: of each candidate, (runs, examples) numbers whose mean over examples is the score of a run, on the same
    examples. Components: of the runs, of the examples (on which the models differ in the mean over runs: what both find
    easy or hard cancels), and of runs crossed with examples. Moment estimators of the crossed analysis of variance, as
    in the analysis ``noise_split`` (Jordan, ICLR 2024, eq. 3), averaged over candidates and only then truncated at 0.
    NaN where no candidate has two runs; the part of the examples needs two candidates.
    """
    examples = losses[0].shape[1]
    repeated = [of_candidate for of_candidate in losses if len(of_candidate) > 1]
    if not repeated or examples < 2:
        return np.nan, np.nan, np.nan
    residuals = np.array([_residual(of_candidate) for of_candidate in repeated])
    between = np.array([of_candidate.mean(axis=1).var(ddof=1) for of_candidate in repeated])
    runs = 2 * (between - residuals / examples).mean()
    crossed = 2 * residuals.mean()
    if len(losses) < 2:
        return float(max(runs, 0.0)), np.nan, float(crossed)
    means = np.stack([of_candidate.mean(axis=0) for of_candidate in losses])
    means -= means.mean(axis=1, keepdims=True)
    # Averaged over pairs, the squared difference of two candidates is twice their variance.
    observed = 2 * means.var(axis=0, ddof=1).sum() / (examples - 1)
    of_examples = observed - crossed * np.mean([1 / len(of_candidate) for of_candidate in losses])
    return float(max(runs, 0.0)), float(max(of_examples, 0.0)), float(crossed)


def _residual(losses: np.ndarray) -> float:
    """Return the residual mean square of runs crossed with examples, one value per cell."""
    runs, examples = losses.shape
    residuals = losses - losses.mean(axis=0) - losses.mean(axis=1, keepdims=True) + losses.mean()
    return float(np.square(residuals).sum() / ((runs - 1) * (examples - 1)))
