"""Metrics that are functions of the confusion matrix, of one set of predictions or of many bootstrap samples of it."""

from collections.abc import Sequence

import numpy as np

from variability import resampling

_AVERAGED = {
    f"{score}_{average}" for score in ("f1", "precision", "recall") for average in ("macro", "micro", "weighted")
}
#: Names of the metrics that ``value`` computes, as the plug-ins of these names do.
METRICS = frozenset({"balanced_accuracy", *_AVERAGED})


def margins(y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(classes,) each: right examples, examples of the class, examples predicted to be of it."""
    right = y_true[y_true == y_pred]
    hits, true, predicted = (np.bincount(labels, minlength=classes) for labels in (right, y_true, y_pred))
    return hits, true, predicted


def resampled(
    rng: np.random.Generator, y_true: np.ndarray, y_pred: np.ndarray, classes: int, resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``margins`` of bootstrap samples of the examples, (resamples, classes) each.

    Examples with the same true and predicted class are alike to these metrics. So how often each such pair is drawn
    is all that matters, and that is multinomial: the same as drawing examples, in a fraction of the time.
    """
    pairs, counts = np.unique(y_true * classes + y_pred, return_counts=True)
    drawn = rng.multinomial(len(y_true), counts / len(y_true), size=resamples).astype(float)
    true, predicted = np.divmod(pairs, classes)
    of_class = np.eye(classes)
    right = true == predicted
    return drawn[:, right] @ of_class[true[right]], drawn @ of_class[true], drawn @ of_class[predicted]


def value(metric: str, hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """One of METRICS from margins (..., classes); a class whose score is 0/0 counts as 0, as in the metrics."""
    score, _, average = ("recall", "", "present") if metric == "balanced_accuracy" else metric.rpartition("_")
    total = true.sum(axis=-1)
    if average == "micro":
        # Every example has one true and one predicted class, so all three are the share of right ones.
        return hits.sum(axis=-1) / total
    parts = {"f1": (2 * hits, true + predicted), "precision": (hits, predicted), "recall": (hits, true)}[score]
    each = np.divide(*parts, out=np.zeros(hits.shape), where=parts[1] > 0)
    if average == "macro":
        return each.mean(axis=-1)
    weights = true if average == "weighted" else (true > 0).astype(float)
    return (each * weights).sum(axis=-1) / weights.sum(axis=-1)


def of_median_run(
    metric: str, runs: Sequence, rng: np.random.Generator, classes: int, resamples: int, level: float
) -> dict[str, float]:
    """The value of the run with the median value (the lower of two), and its bootstrap interval over examples.

    runs: ``RunPredictions`` of a cell. Returns estimate, low, high and n_test.
    """
    values = [value(metric, *margins(run.y_true, run.y_pred, classes)) for run in runs]
    at = np.argsort(values, kind="stable")[(len(runs) - 1) // 2]
    y_true, y_pred = runs[at].y_true, runs[at].y_pred
    replicates = value(metric, *resampled(rng, y_true, y_pred, classes, resamples))
    low, high = resampling.percentile_interval(replicates, level)
    return {"estimate": values[at], "low": low, "high": high, "n_test": len(y_true)}
