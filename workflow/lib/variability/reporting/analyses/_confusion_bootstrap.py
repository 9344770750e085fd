"""The bootstrap over examples of metrics that are functions of the confusion matrix."""

from collections.abc import Sequence

import numpy as np

from variability.stats import resampling
from variability.stats.confusion_scores import margins, value

#: Numbers that bootstrap samples of groups may take at a time.
_AT_A_TIME = 10**7


def resampled(
    rng: np.random.Generator,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    classes: int,
    resamples: int,
    clusters: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``margins`` of bootstrap samples of the examples, or of whole groups of them, (resamples, classes) each.

    clusters: (examples,) the number, from 0, of each one's group; None where every example is a group of its own.

    Examples with the same true and predicted class are alike to these metrics. So how often each such pair is drawn
    is all that matters, and that is multinomial: the same as drawing examples, in a fraction of the time.
    """
    if clusters is not None:
        return _of_clusters(rng, y_true, y_pred, classes, resamples, clusters)
    pairs, counts = np.unique(y_true * classes + y_pred, return_counts=True)
    drawn = rng.multinomial(len(y_true), counts / len(y_true), size=resamples).astype(float)
    true, predicted = np.divmod(pairs, classes)
    of_class = np.eye(classes)
    right = true == predicted
    return drawn[:, right] @ of_class[true[right]], drawn @ of_class[true], drawn @ of_class[predicted]


def _of_clusters(rng, y_true, y_pred, classes, resamples, clusters):
    count = int(clusters.max()) + 1
    hits, true, predicted = (np.zeros((count, classes)) for _ in range(3))
    right = y_true == y_pred
    np.add.at(hits, (clusters[right], y_true[right]), 1)
    np.add.at(true, (clusters, y_true), 1)
    np.add.at(predicted, (clusters, y_pred), 1)
    part = max(1, _AT_A_TIME // count)
    sizes = [min(part, resamples - at) for at in range(0, resamples, part)]
    drawn = (rng.multinomial(count, np.full(count, 1 / count), size=size).astype(float) for size in sizes)
    parts = [(each @ hits, each @ true, each @ predicted) for each in drawn]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def of_median_run(
    metric: str, runs: Sequence, rng: np.random.Generator, classes: int, resamples: int, level: float
) -> dict[str, float]:
    """The value of the run with the median value (the lower of two), and its bootstrap interval over examples, or over
    groups of them where they come in groups.

    metric: one of ``margins.METRICS``. runs: ``RunPredictions`` of a cell. Returns estimate, low, high, n_test and
    n_groups, which is n_test where every example is a group of its own.
    """
    values = [value(metric, *margins(run.y_true, run.y_pred, classes)) for run in runs]
    at = np.argsort(values, kind="stable")[(len(runs) - 1) // 2]
    y_true, y_pred, clusters = runs[at].y_true, runs[at].y_pred, runs[at].clusters
    replicates = value(metric, *resampled(rng, y_true, y_pred, classes, resamples, clusters))
    low, high = resampling.percentile_interval(replicates, level)
    units = len(y_true) if clusters is None else int(clusters.max()) + 1
    return {"estimate": values[at], "low": low, "high": high, "n_test": len(y_true), "n_groups": units}
