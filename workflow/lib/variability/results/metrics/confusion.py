"""The confusion matrix."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Confusion(Metric):
    """Counts of examples by true and predicted class; cells without any are left out."""

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {}
    HIGHER_IS_BETTER = None
    PERFECT = None
    NEEDS_PROBABILITIES = False

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        return {}

    def per_class(
        self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray
    ) -> dict[tuple[int, ...], float]:
        classes = probabilities.shape[1]
        pairs, counts = np.unique(y_true * classes + y_pred, return_counts=True)
        return {divmod(int(pair), classes): float(count) for pair, count in zip(pairs, counts, strict=True)}
