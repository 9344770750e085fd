"""The coefficient of determination."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class R2(Metric):
    """R^2: 1 - squared error / squared deviation from the mean target. NaN where the targets are all equal."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"r2": "R² (1 is perfect, 0 is the mean)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of variance"
    RANGE = (None, 1.0)
    REFERENCE = 0.0

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        if np.ptp(y_true) == 0:
            return {"r2": np.nan}
        residual = np.square(y_true - y_pred).sum()
        total = np.square(y_true - y_true.mean()).sum()
        return {"r2": float(1 - residual / total)}
