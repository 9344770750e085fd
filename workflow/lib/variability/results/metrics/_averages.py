"""What precision, recall and F1 share: three averages over classes and the values per class."""

import numpy as np

from variability.stats import confusion_scores


def labels(name: str, title: str) -> dict[str, str]:
    """Axis labels of the averages, as a metric's LABELS."""
    return {f"{name}_{average}": f"{title}, {average} average (0 to 1)" for average in confusion_scores.AVERAGES}


def averaged(name: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[str, float]:
    """The averages of a score over all ``classes`` of the task, absent ones included."""
    found = confusion_scores.class_counts(y_true, y_pred, classes)
    names = [f"{name}_{average}" for average in confusion_scores.AVERAGES]
    return {metric: float(confusion_scores.score(metric, *found)) for metric in names}


def each(name: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[tuple[int, ...], float]:
    """The score of every class of the task; 0 where it would be 0/0."""
    values = confusion_scores.per_class(name, *confusion_scores.class_counts(y_true, y_pred, classes))
    return {(at,): float(value) for at, value in enumerate(values)}
