"""The mean of the recalls of the classes that occur."""

from typing import ClassVar

import numpy as np

from variability.metrics import Metric


class BalancedAccuracy(Metric):
    """Mean recall over the classes that occur among the examples (absent ones have none); chance is 1/classes."""

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"balanced_accuracy": "balanced accuracy (mean recall, 0 to 1)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import recall_score

        value = recall_score(y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0.0)
        return {"balanced_accuracy": float(value)}
