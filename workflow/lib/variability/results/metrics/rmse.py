"""The root of the mean squared error."""

from typing import ClassVar

from variability.results.metrics import Metric


class Rmse(Metric):
    """The root of the mean squared error."""

    KIND = "regression"
    LABELS: ClassVar[dict[str, str]] = {"rmse": "RMSE (units of the target)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import root_mean_squared_error

        return {"rmse": float(root_mean_squared_error(y_true, y_pred))}
