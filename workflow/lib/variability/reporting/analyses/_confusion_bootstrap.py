"""Bootstrap over test examples of metrics that are functions of the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from variability.stats import resampling
from variability.stats.confusion_scores import class_counts, score

if TYPE_CHECKING:
    from variability.results.predictions import RunPredictions

#: Largest number of elements of the counts of groups in bootstrap samples.
_CHUNK = 10**7


def resampled(
    rng: np.random.Generator,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    classes: int,
    resamples: int,
    clusters: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``class_counts`` of bootstrap samples of the examples, (resamples, classes) each.

    clusters: (examples,) the number of each example's group, from 0, to resample whole groups; None to resample
    examples.

    These metrics treat examples with the same true and predicted class alike, so only the number of times that each
    such pair is sampled matters. That number is multinomial: the result equals sampling examples, in a fraction of the
    time.
    """
    if clusters is not None:
        return _resampled_groups(rng, y_true, y_pred, classes, resamples, clusters)
    pairs, counts = np.unique(y_true * classes + y_pred, return_counts=True)
    sampled = rng.multinomial(len(y_true), counts / len(y_true), size=resamples).astype(float)
    true, predicted = np.divmod(pairs, classes)
    indicator = np.eye(classes)
    correct = true == predicted
    return sampled[:, correct] @ indicator[true[correct]], sampled @ indicator[true], sampled @ indicator[predicted]


def _resampled_groups(
    rng: np.random.Generator,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    classes: int,
    resamples: int,
    clusters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = int(clusters.max()) + 1
    hits, true, predicted = (np.zeros((count, classes)) for _ in range(3))
    correct = y_true == y_pred
    np.add.at(hits, (clusters[correct], y_true[correct]), 1)
    np.add.at(true, (clusters, y_true), 1)
    np.add.at(predicted, (clusters, y_pred), 1)
    chunk = max(1, _CHUNK // count)
    sizes = [min(chunk, resamples - start) for start in range(0, resamples, chunk)]
    samples = (rng.multinomial(count, np.full(count, 1 / count), size=size).astype(float) for size in sizes)
    parts = [(counts @ hits, counts @ true, counts @ predicted) for counts in samples]
    all_hits, all_true, all_predicted = (np.concatenate(part) for part in zip(*parts, strict=True))
    return all_hits, all_true, all_predicted


def of_median_run(
    metric: str, runs: Sequence[RunPredictions], rng: np.random.Generator, classes: int, resamples: int, level: float
) -> dict[str, float]:
    """Return the value of the run with the median value, and its bootstrap interval over examples.

    The median of two runs is the lower one. Where examples come in groups, groups are resampled. metric: one of
    ``confusion_scores.METRICS``. runs: ``RunPredictions`` of a cell. Returns estimate, low, high, n_test and n_groups,
    which is n_test where every example is a group of its own. low and high are NaN where the resamples do not show the
    spread of the value: none of them differs, or nearly all are on one side of it, as they lack a rare class.
    """
    values = [score(metric, *class_counts(run.y_true, run.y_pred, classes)) for run in runs]
    median = np.argsort(values, kind="stable")[(len(runs) - 1) // 2]
    y_true, y_pred, clusters = runs[median].y_true, runs[median].y_pred, runs[median].clusters
    replicates = score(metric, *resampled(rng, y_true, y_pred, classes, resamples, clusters))
    low, high = resampling.percentile_interval(replicates, level)
    if low == high or not low <= values[median] <= high:
        low = high = np.nan
    units = len(y_true) if clusters is None else int(clusters.max()) + 1
    return {"estimate": values[median], "low": low, "high": high, "n_test": len(y_true), "n_groups": units}
