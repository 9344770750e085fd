"""The share of correct predictions among the examples of a class."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric, _averages


class Recall(Metric):
    """Recall: averages over all classes of the task, and per class; 0/0 counts as 0 (``zero_division=0``).

    With one label per example the micro average equals accuracy.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = _averages.labels("recall", "recall")
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of examples"
    RANGE = (0.0, 1.0)
    NEEDS_PROBABILITIES = False

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        return _averages.averages("recall", y_true, y_pred, probabilities.shape[1])

    def per_class(
        self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray
    ) -> dict[tuple[int, ...], float]:
        return _averages.per_class("recall", y_true, y_pred, probabilities.shape[1])
