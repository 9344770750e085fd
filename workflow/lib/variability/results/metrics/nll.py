"""The negative log-likelihood of the true classes."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Nll(Metric):
    """Mean negative log-likelihood (cross-entropy) in nats.

    Probabilities below 2^-23, the resolution of the 32-bit floats they are kept in, count as 2^-23: one confident
    mistake costs 15.9 nats at most, and a probability of 0 no infinity.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"nll": "negative log-likelihood (nats per example)"}
    HIGHER_IS_BETTER = False
    PERFECT = 0.0

    def compute(self, y_true, y_pred, probabilities):
        likelihood = probabilities[np.arange(len(y_true)), y_true]
        return {"nll": float(-np.log(np.maximum(likelihood, np.finfo(np.float32).eps)).mean())}
