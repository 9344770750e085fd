"""The area under the receiver operating characteristic."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Auroc(Metric):
    """AUROC of each class against the rest, ties counting half, and their unweighted mean.

    It is undefined for a class that no example, or every example, belongs to: NaN per class, and left out of the mean.
    With two classes there is one curve, that of the second class.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"auroc": "AUROC (mean over classes, one against the rest)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0
    UNIT = "AUROC"
    RANGE = (0.0, 1.0)
    REFERENCE = 0.5

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        values = np.array(list(self.per_class(y_true, y_pred, probabilities).values()))
        defined = values[~np.isnan(values)]
        return {"auroc": float(defined.mean()) if defined.size else np.nan}

    def per_class(
        self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray
    ) -> dict[tuple[int, ...], float]:
        classes = probabilities.shape[1]
        indices = [1] if classes == 2 else range(classes)
        return {(index,): _area(probabilities[:, index], y_true == index) for index in indices}


def _area(scores: np.ndarray, belongs: np.ndarray) -> float:
    """Return the share of pairs (one that belongs, one that does not) in the right order (Mann and Whitney 1947)."""
    negatives, positives = np.sort(scores[~belongs]), scores[belongs]
    if not len(negatives) or not len(positives):
        return np.nan
    below, not_above = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(negatives))
