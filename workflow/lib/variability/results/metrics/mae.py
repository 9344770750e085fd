"""The mean absolute error."""

from typing import ClassVar

from variability.results.metrics import Metric


class Mae(Metric):
    """The mean absolute error."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"mae": "mean absolute error (units of the target)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import mean_absolute_error

        return {"mae": float(mean_absolute_error(y_true, y_pred))}
