"""The mean squared error."""

from typing import ClassVar

from variability.results.metrics import Metric


class Mse(Metric):
    """The mean squared error."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"mse": "mean squared error (squared units of the target)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import mean_squared_error

        return {"mse": float(mean_squared_error(y_true, y_pred))}
