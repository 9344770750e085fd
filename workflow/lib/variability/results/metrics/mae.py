"""The mean absolute error."""

from typing import ClassVar

import numpy as np

from variability.results.metric_scales import OF_TARGET
from variability.results.metrics import Metric


class Mae(Metric):
    """The mean absolute error."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"mae": "mean absolute error (units of the target)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0
    UNIT = OF_TARGET
    RANGE = (0.0, None)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        return {"mae": float(np.abs(y_pred - y_true).mean())}
