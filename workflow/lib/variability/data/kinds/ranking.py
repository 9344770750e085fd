"""The one item among all of a catalogue that somebody chose."""

from typing import ClassVar

import numpy as np

from variability.data.kinds import Kind

#: Length of the list that is shown, of which the loss speaks.
SHOWN = 10


def ndcg(ranks: np.ndarray, shown: int = SHOWN) -> np.ndarray:
    """Normalised discounted cumulative gain of lists of ``shown`` items with one right one: 1 / log2(1 + rank), or 0.

    Jarvelin and Kekalainen (2002), whose ideal list, with the right item first, has a gain of 1.
    """
    return np.where(ranks <= shown, 1 / np.log2(1 + ranks), 0.0)


class Ranking(Kind):
    """The label is the index of an item; a prediction is its rank among all that could have been meant, 1 the best.

    Never among a sample of them: sampled metrics need not order two recommenders as the exact ones do (Krichene and
    Rendle, KDD 2020). Items of an equal score rank before the right one, since nothing tells it from them: who scores
    all items alike has it last. The true rank, ``y_true``, is 1.
    """

    PRIMARY: ClassVar[str] = "ndcg_at_10"
    LOSS_METRIC: ClassVar[str] = "ndcg_at_10"
    DISCRETE: ClassVar[bool] = False
    PREDICTION_UNIT: ClassVar[str] = "in ranks"
    MEASURE: ClassVar[str] = "ndcg_at_10"
    MEASURE_LABEL: ClassVar[str] = "NDCG@10"
    MEASURE_UNIT: ClassVar[str] = "mean over examples"
    LOSS_UNIT: ClassVar[str] = "nats per item asked for"
    LABELS: ClassVar[type] = np.int64

    def outputs(self, class_names, facts=None):
        return facts["items"]

    def answers(self, labels):
        return labels.astype(np.int64)

    def loss(self, outputs, targets, label_smoothing=0.0):
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def summary(self, outputs, labels):
        """(B, 2): rank and negative log likelihood of the right item; what was taken out scores -inf.

        Users x items may not fit into memory.
        """
        import torch

        targets = self.targets(labels).to(outputs.device)[:, None]
        right = outputs.gather(1, targets)
        # Not "at least as good": what is not a number is worse than nothing. The right item counts itself.
        rank = (~(outputs < right)).sum(1)
        nll = outputs.logsumexp(1) - right[:, 0]
        return torch.stack([rank.to(nll.dtype), nll], dim=1)

    def evaluate(self, said, labels):
        # Sums over many examples are taken in double precision.
        ranks, nll = np.asarray(said).astype(np.float64).T
        return float(nll.mean()), float(ndcg(ranks).mean())

    def columns(self, said, labels):
        import pyarrow as pa

        return {
            "y_true": pa.array(np.ones(len(labels))),
            "y_pred": pa.array(said[:, 0].astype(np.float64)),
            "probabilities": pa.nulls(len(labels), pa.list_(pa.float32())),
        }

    def losses(self, y_true, y_pred):
        return 1 - ndcg(y_pred)
