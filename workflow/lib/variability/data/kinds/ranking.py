"""Ranking: the label is the item that a user chose among all items of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.data.kinds import Kind

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

#: Length of the list of recommendations that ``losses`` and ``MEASURE`` evaluate.
LIST_LENGTH = 10


def ndcg(ranks: np.ndarray, length: int = LIST_LENGTH) -> np.ndarray:
    """Return the normalised discounted cumulative gain of lists with one relevant item: 1 / log2(1 + rank), or 0.

    Jarvelin and Kekalainen (2002); the ideal list, with the relevant item first, has a gain of 1. ranks: those of the
    relevant items, from 1. length: of the lists; an item of a higher rank is not on its list.
    """
    return np.where(ranks <= length, 1 / np.log2(1 + ranks), 0.0)


class Ranking(Kind):
    """The label is the index of an item; a prediction is the item's rank among all items that are candidates.

    Ranks are from 1, the best, and never among a sample of the items: sampled metrics may order two recommenders
    differently than the exact ones (Krichene and Rendle, KDD 2020). Items with the same score as the right one rank
    before it, so a recommender that scores all items alike ranks it last. The stored ``y_true`` is rank 1.
    """

    PRIMARY: ClassVar[str] = "ndcg_at_10"
    LOSS_METRIC: ClassVar[str] = "ndcg_at_10"
    DISCRETE: ClassVar[bool] = False
    PREDICTION_UNIT: ClassVar[str] = "in ranks"
    MEASURE: ClassVar[str] = "ndcg_at_10"
    MEASURE_LABEL: ClassVar[str] = "NDCG@10"
    MEASURE_UNIT: ClassVar[str] = "mean over examples"
    LOSS_UNIT: ClassVar[str] = "nats per predicted item"
    LABEL_TYPE: ClassVar[type] = np.int64

    def outputs(self, class_names: Sequence[str], facts: dict[str, Any] | None = None) -> int:
        return (facts or {})["items"]

    def target_array(self, labels: np.ndarray) -> np.ndarray:
        return labels.astype(np.int64)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def summary(self, outputs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
        """Return (B, 2): rank and negative log-likelihood of the right item. Items excluded before score -inf.

        The scores themselves, users x items, may not fit into memory.
        """
        import torch

        targets = self.targets(labels).to(outputs.device)[:, None]
        right = outputs.gather(1, targets)
        # Not "at least as good", so that NaN ranks last. The right item counts itself.
        rank = (~(outputs < right)).sum(1)
        nll = outputs.logsumexp(1) - right[:, 0]
        return torch.stack([rank.to(nll.dtype), nll], dim=1)

    def evaluate(self, summaries: torch.Tensor | np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        # In double precision, because it is a sum over many examples.
        ranks, nll = np.asarray(summaries).astype(np.float64).T
        return float(nll.mean()), float(ndcg(ranks).mean())

    def columns(self, summaries: np.ndarray, labels: np.ndarray) -> dict[str, pa.Array]:
        import pyarrow as pa

        return {
            "y_true": pa.array(np.ones(len(labels))),
            "y_pred": pa.array(summaries[:, 0].astype(np.float64)),
            "probabilities": pa.nulls(len(labels), pa.list_(pa.float32())),
        }

    def losses(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 1 - ndcg(y_pred)
