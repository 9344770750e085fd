"""Normalised discounted cumulative gain of the first k of the list."""

from typing import ClassVar

import numpy as np

from variability.data.kinds.ranking import ndcg
from variability.results.metrics import Metric


class Ndcg(Metric):
    """With one correct item per list: 1 / log2(1 + its rank), 0 beyond k."""

    KIND = "ranking"
    LABELS: ClassVar[dict[str, str]] = {f"ndcg_at_{k}": f"NDCG@{k} (mean over examples)" for k in (5, 10)}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "NDCG"
    RANGE = (0.0, 1.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        return {name: float(ndcg(y_pred, int(name.rpartition("_")[2])).mean()) for name in self.NAMES}
