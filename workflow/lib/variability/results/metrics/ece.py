"""The expected calibration error."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric

BINS = 15


class Ece(Metric):
    """Expected calibration error of the predicted class (Guo et al. 2017, eq. 3).

    15 bins of equal width over confidence, ((k-1)/15, k/15]; the gap between accuracy and mean confidence of each bin,
    weighted by its share of the examples. Biased upwards on few examples.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"ece": f"expected calibration error ({BINS} equal-width bins, 0 to 1)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0
    UNIT = "probability"
    RANGE = (0.0, 1.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        confidence = probabilities.max(axis=1)
        excess = (y_true == y_pred) - confidence
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        gaps = np.bincount(bins, weights=excess, minlength=BINS)
        return {"ece": float(np.abs(gaps).sum() / len(y_true))}
