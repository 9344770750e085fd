"""Scores computed from the row and column sums of a confusion matrix, of one or many sets of predictions.

scikit-learn gives the same numbers (tests compare them), but validates its arguments for milliseconds at each call,
which adds up to hours for a hundred thousand runs with fifteen metrics.
"""

import numpy as np

AVERAGES = ("macro", "micro", "weighted")
_AVERAGED = {f"{name}_{average}" for name in ("f1", "precision", "recall") for average in AVERAGES}
#: Names of the metrics that ``score`` computes.
METRICS = frozenset({"balanced_accuracy", *_AVERAGED})


def class_counts(y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, per class, the correct predictions, the examples, and the predictions: (classes,) each."""
    correct = y_true[y_true == y_pred]
    hits, true, predicted = (np.bincount(labels, minlength=classes) for labels in (correct, y_true, y_pred))
    return hits, true, predicted


def per_class(name: str, hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return f1, precision or recall of each class from counts (..., classes); 0 where it is 0/0."""
    parts = {"f1": (2 * hits, true + predicted), "precision": (hits, predicted), "recall": (hits, true)}[name]
    return np.divide(*parts, out=np.zeros(hits.shape), where=parts[1] > 0)


def score(metric: str, hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return one of METRICS from counts (..., classes).

    A class whose score is 0/0 counts as 0 in the macro average, and has no weight in the weighted one. Balanced
    accuracy is the mean recall of the classes that occur.
    """
    name, _, average = ("recall", "", "present") if metric == "balanced_accuracy" else metric.rpartition("_")
    total = true.sum(axis=-1)
    if average == "micro":
        # Every example has one true and one predicted class, so all three equal the share of correct predictions.
        return hits.sum(axis=-1) / total
    values = per_class(name, hits, true, predicted)
    if average == "macro":
        return values.mean(axis=-1)
    weights = true if average == "weighted" else (true > 0).astype(float)
    return (values * weights).sum(axis=-1) / weights.sum(axis=-1)


def contributions(metric: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> np.ndarray:
    """Return one number per example, (examples,), whose mean is the score: one of METRICS.

    These are the score plus the examples' empirical influence (Hampel 1974, the infinitesimal jackknife): the
    derivative of the score by the weight of the example. For a share of examples they are 0 and 1. The variance of
    their mean approximates that of the score over samples of examples.
    """
    name, _, average = ("recall", "", "present") if metric == "balanced_accuracy" else metric.rpartition("_")
    if average == "micro":
        return (y_true == y_pred).astype(float)
    counts = class_counts(y_true, y_pred, classes)
    hits, true, predicted = (count.astype(float) for count in counts)
    total, value = len(y_true), score(metric, *counts)
    numerator, denominator, by_true, by_predicted = {
        "f1": (2 * hits, true + predicted, 1, 1),
        "precision": (hits, predicted, 0, 1),
        "recall": (hits, true, 1, 0),
    }[name]
    known = denominator > 0
    inverse = np.divide(1, denominator, out=np.zeros(classes), where=known)
    values = numerator * inverse
    weight = {"macro": np.ones(classes), "weighted": true, "present": (true > 0).astype(float)}[average]
    weight = weight / weight.sum()
    # Each class's score is a quotient of counts; its numerator has a derivative by hits, its denominator by the others.
    by_hit = weight * inverse * (2 if name == "f1" else 1)
    by_count = -weight * values * inverse
    influence = np.where(y_true == y_pred, by_hit[y_true], 0) + by_true * by_count[y_true]
    influence = total * (influence + by_predicted * by_count[y_pred])
    if average == "weighted":
        # The weights depend on the examples, too.
        influence += values[y_true] - value
    return value + influence
