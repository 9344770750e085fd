"""The area under the receiver operating characteristic."""

from typing import ClassVar

import numpy as np

from variability.results.metrics import Metric


class Auroc(Metric):
    """AUROC of each class against the rest, ties counting half, and their unweighted mean.

    A class that no example, or every example, belongs to has none: NaN per class, and left out of the mean. With two
    classes there is one curve, that of the second class.
    """

    KIND = "classification"
    LABELS: ClassVar[dict[str, str]] = {"auroc": "AUROC (mean over classes, one against the rest)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0

    def compute(self, y_true, y_pred, probabilities):
        values = np.array(list(self.per_class(y_true, y_pred, probabilities).values()))
        defined = values[~np.isnan(values)]
        return {"auroc": float(defined.mean()) if defined.size else np.nan}

    def per_class(self, y_true, y_pred, probabilities):
        classes = probabilities.shape[1]
        return {(at,): _area(probabilities[:, at], y_true == at) for at in ([1] if classes == 2 else range(classes))}


def _area(scores: np.ndarray, belongs: np.ndarray) -> float:
    """The share of pairs (one that belongs, one that does not) in the right order (Mann and Whitney 1947)."""
    others, those = np.sort(scores[~belongs]), scores[belongs]
    if not len(others) or not len(those):
        return np.nan
    below, not_above = (np.searchsorted(others, those, side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(others))
