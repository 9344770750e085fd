"""Mean reciprocal rank."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Mrr(Metric):
    """The mean of 1 / rank of the correct item, at any rank in the catalogue."""

    KIND = "ranking"
    LABELS: ClassVar[dict[str, str]] = {"mrr": "MRR (mean over examples)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "reciprocal rank"
    RANGE = (0.0, 1.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        return {"mrr": float((1 / y_pred).mean())}
