"""The area under the receiver operating characteristic."""

from typing import ClassVar

import numpy as np

from variability.metrics import Metric


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
        from sklearn.metrics import roc_auc_score

        classes = probabilities.shape[1]
        values = {}
        for at in [1] if classes == 2 else range(classes):
            belongs = y_true == at
            defined = belongs.any() and not belongs.all()
            values[(at,)] = float(roc_auc_score(belongs, probabilities[:, at])) if defined else np.nan
        return values
