"""The share that is found among the examples of a class."""

from typing import ClassVar

from variability.results.metrics import Metric, _averages


class Recall(Metric):
    """Recall: averages over all classes of the task, and per class; 0/0 counts as 0 (``zero_division=0``).

    With one label per example the micro average equals accuracy.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = _averages.labels("recall", "recall")
    HIGHER_IS_BETTER = True
    PERFECT = 1.0

    def compute(self, y_true, y_pred, probabilities):
        return _averages.averaged("recall", y_true, y_pred, probabilities.shape[1])

    def per_class(self, y_true, y_pred, probabilities):
        return _averages.each("recall", y_true, y_pred, probabilities.shape[1])
