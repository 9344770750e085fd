"""Scores that are functions of the margins of a confusion matrix: of one set of predictions, or of many at once.

scikit-learn's are the same numbers (tests compare them), but they check their arguments for milliseconds at each call,
which a hundred thousand runs of fifteen metrics add up to hours.
"""

import numpy as np

AVERAGES = ("macro", "micro", "weighted")
_AVERAGED = {f"{score}_{average}" for score in ("f1", "precision", "recall") for average in AVERAGES}
#: Names of the metrics that ``value`` computes.
METRICS = frozenset({"balanced_accuracy", *_AVERAGED})


def margins(y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(classes,) each: right examples, examples of the class, examples predicted to be of it."""
    right = y_true[y_true == y_pred]
    hits, true, predicted = (np.bincount(labels, minlength=classes) for labels in (right, y_true, y_pred))
    return hits, true, predicted


def each(score: str, hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """f1, precision or recall of each class from margins (..., classes); 0 where it would be 0/0."""
    parts = {"f1": (2 * hits, true + predicted), "precision": (hits, predicted), "recall": (hits, true)}[score]
    return np.divide(*parts, out=np.zeros(hits.shape), where=parts[1] > 0)


def value(metric: str, hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """One of METRICS from margins (..., classes).

    A class whose score would be 0/0 counts as 0 in the macro average, and carries no weight in the weighted one.
    Balanced accuracy is the mean recall of the classes that occur.
    """
    score, _, average = ("recall", "", "present") if metric == "balanced_accuracy" else metric.rpartition("_")
    total = true.sum(axis=-1)
    if average == "micro":
        # Every example has one true and one predicted class, so all three are the share of right ones.
        return hits.sum(axis=-1) / total
    found = each(score, hits, true, predicted)
    if average == "macro":
        return found.mean(axis=-1)
    weights = true if average == "weighted" else (true > 0).astype(float)
    return (found * weights).sum(axis=-1) / weights.sum(axis=-1)
