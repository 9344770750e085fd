"""The share of examples whose correct item is among the first k of the list."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Hr(Metric):
    """Hit rate; with one correct item per list it is recall at k."""

    KIND = "ranking"
    LABELS: ClassVar[dict[str, str]] = {f"hr_at_{k}": f"HR@{k} (fraction of examples)" for k in (1, 5, 10)}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "fraction of examples"
    RANGE = (0.0, 1.0)

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: None) -> dict[str, float]:
        return {name: float((y_pred <= int(name.rpartition("_")[2])).mean()) for name in self.NAMES}
