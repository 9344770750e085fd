"""The share of examples whose class is among the five most probable."""

from math import nan
from typing import ClassVar

from variability.metrics import Metric

K = 5


class Top5(Metric):
    """Top-5 accuracy. NaN for tasks of five classes or fewer, where every prediction would count as right.

    Of equally probable classes those with the higher index win, as in scikit-learn.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"top5": "top-5 accuracy (fraction of examples)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0

    def compute(self, y_true, y_pred, probabilities):
        from sklearn.metrics import top_k_accuracy_score

        classes = probabilities.shape[1]
        if classes <= K:
            return {"top5": nan}
        return {"top5": float(top_k_accuracy_score(y_true, probabilities, k=K, labels=range(classes)))}
