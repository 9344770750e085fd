"""The mean of the recalls of the classes that occur."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric
from variability.stats import confusion_scores


class BalancedAccuracy(Metric):
    """Mean recall over the classes that occur among the examples (absent ones have none); chance is 1/classes."""

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"balanced_accuracy": "balanced accuracy (mean recall, 0 to 1)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of examples"
    RANGE = (0.0, 1.0)
    NEEDS_PROBABILITIES = False

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        counts = confusion_scores.class_counts(y_true, y_pred, probabilities.shape[1])
        return {"balanced_accuracy": float(confusion_scores.score("balanced_accuracy", *counts))}
