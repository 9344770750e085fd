"""What precision, recall and F1 share: three averages over classes and the values per class."""

from collections.abc import Callable

import numpy as np

AVERAGES = ("macro", "micro", "weighted")


def labels(name: str, title: str) -> dict[str, str]:
    """Axis labels of the averages, as a metric's LABELS."""
    return {f"{name}_{average}": f"{title}, {average} average (0 to 1)" for average in AVERAGES}


def averaged(name: str, score: Callable, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[str, float]:
    """The averages of one of scikit-learn's scores over all ``classes`` of the task, absent ones included.

    A class whose score would be 0/0 counts as 0 in the macro average, and carries no weight in the weighted one.
    """
    return {
        f"{name}_{average}": float(score(y_true, y_pred, labels=range(classes), average=average, zero_division=0.0))
        for average in AVERAGES
    }


def each(score: Callable, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> dict[tuple[int, ...], float]:
    """The score of every class of the task; 0 where it would be 0/0."""
    values = score(y_true, y_pred, labels=range(classes), average=None, zero_division=0.0)
    return {(at,): float(value) for at, value in enumerate(values)}
