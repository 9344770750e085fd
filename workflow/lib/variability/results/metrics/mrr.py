"""Mean reciprocal rank."""

from typing import ClassVar

from variability.results.metrics import Metric


class Mrr(Metric):
    """The mean of 1 / rank of the right item, wherever in the catalogue it ranks."""

    KIND = "ranking"
    LABELS: ClassVar[dict[str, str]] = {"mrr": "MRR (mean over examples)"}
    HIGHER_IS_BETTER = True
    PERFECT = 1.0

    def compute(self, y_true, y_pred, probabilities):
        return {"mrr": float((1 / y_pred).mean())}
