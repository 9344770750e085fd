"""The root of the mean squared error."""

from typing import ClassVar

import numpy as np

from variability.results.metric_scales import OF_TARGET
from variability.results.metrics import Metric


class Rmse(Metric):
    """The root of the mean squared error."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"rmse": "RMSE (units of the target)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0
    UNIT = OF_TARGET
    RANGE = (0.0, None)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        return {"rmse": float(np.sqrt(np.square(y_true - y_pred).mean()))}
