"""The share of examples whose predicted class is correct."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Accuracy(Metric):
    """Top-1 accuracy."""

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"accuracy": "accuracy (fraction of examples)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of examples"
    RANGE = (0.0, 1.0)
    NEEDS_PROBABILITIES = False

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        return {"accuracy": float((y_true == y_pred).mean())}
