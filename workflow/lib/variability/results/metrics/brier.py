"""The Brier score."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Brier(Metric):
    """Multiclass Brier score: mean over examples of the sum over classes of (probability - indicator)^2; 0 to 2.

    The original definition (Brier 1950, eq. 2), for two classes too: there it is twice the one-sided score.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"brier": "Brier score (sum over classes, 0 to 2)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0
    UNIT = "probability squared"
    RANGE = (0.0, 2.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        indicator = np.eye(probabilities.shape[1])[y_true]
        return {"brier": float(np.square(probabilities - indicator).sum(axis=1).mean())}
