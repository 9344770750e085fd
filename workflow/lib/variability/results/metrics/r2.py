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

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import r2_score

        return {"r2": np.nan if np.ptp(y_true) == 0 else float(r2_score(y_true, y_pred))}
