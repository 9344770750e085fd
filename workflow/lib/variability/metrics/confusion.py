"""The confusion matrix."""

from typing import ClassVar

import numpy as np

from variability.metrics import Metric


class Confusion(Metric):
    """Counts of examples by true and predicted class; cells without any are left out."""

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {}
    HIGHER_IS_BETTER = None
    PERFECT = None

    def compute(self, y_true, y_pred, probabilities):
        return {}

    def per_class(self, y_true, y_pred, probabilities):
        from sklearn.metrics import confusion_matrix

        counts = confusion_matrix(y_true, y_pred, labels=range(probabilities.shape[1]))
        return {(int(true), int(predicted)): float(counts[true, predicted]) for true, predicted in np.argwhere(counts)}
