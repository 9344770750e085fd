"""The share of examples whose class is among the five most probable."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric

K = 5


class Top5(Metric):
    """Top-5 accuracy. NaN for tasks of five classes or fewer, where every prediction would count as correct.

    Of equally probable classes those with the higher index win, as in scikit-learn.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"top5": "top-5 accuracy (fraction of examples)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of examples"
    RANGE = (0.0, 1.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        if probabilities.shape[1] <= K:
            return {"top5": np.nan}
        best = np.argsort(probabilities, axis=1, kind="stable")[:, -K:]
        return {"top5": float((best == y_true[:, None]).any(axis=1).mean())}
