"""The negative log-likelihood of the true classes."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Nll(Metric):
    """Mean negative log-likelihood (cross-entropy) in nats.

    Probabilities below 2^-23, the resolution of the 32-bit floats in which they are stored, count as 2^-23: one
    confident mistake costs at most 15.9 nats, and a probability of 0 does not make the mean infinite.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"nll": "negative log-likelihood (nats per example)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0
    UNIT = "nats"
    RANGE = (0.0, None)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        likelihood = probabilities[np.arange(len(y_true)), y_true]
        return {"nll": float(-np.log(np.maximum(likelihood, np.finfo(np.float32).eps)).mean())}
