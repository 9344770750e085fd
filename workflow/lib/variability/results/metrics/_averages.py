"""Shared parts of precision, recall and F1: three averages over classes, and values per class."""

import numpy as np

from variability.stats import confusion_scores


def labels(name: str, title: str) -> dict[str, str]:
    """Return the axis labels of the averages, for a metric's LABELS."""
    return {f"{name}_{average}": f"{title}, {average} average (0 to 1)" for average in confusion_scores.AVERAGES}


def averages(name: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[str, float]:
    """Return the averages of a score over all ``classes`` of the task, absent ones included."""
    counts = confusion_scores.class_counts(y_true, y_pred, classes)
    names = [f"{name}_{average}" for average in confusion_scores.AVERAGES]
    return {metric: float(confusion_scores.score(metric, *counts)) for metric in names}


def per_class(name: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[tuple[int, ...], float]:
    """Return the score of every class of the task; 0 where it is 0/0."""
    values = confusion_scores.per_class(name, *confusion_scores.class_counts(y_true, y_pred, classes))
    return {(index,): float(value) for index, value in enumerate(values)}
