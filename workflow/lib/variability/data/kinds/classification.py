"""Classification: the label is one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.data.kinds import Kind

if TYPE_CHECKING:
    import pyarrow as pa
    import torch


class Classification(Kind):
    """The label is the index of a class; a prediction is a probability for each class."""

    PRIMARY: ClassVar[str] = "accuracy"
    LOSS_METRIC: ClassVar[str] = "accuracy"
    DISCRETE: ClassVar[bool] = True
    PREDICTION_UNIT: ClassVar[str] = "share of examples"
    PROBABILITIES: ClassVar[bool] = True
    MEASURE: ClassVar[str] = "accuracy"
    MEASURE_LABEL: ClassVar[str] = "accuracy"
    MEASURE_UNIT: ClassVar[str] = "fraction of examples"
    LOSS_UNIT: ClassVar[str] = "nats per example"
    LOSS: ClassVar[str | None] = "cross_entropy"
    PROBE: ClassVar[str | None] = "logistic regression"
    LABEL_TYPE: ClassVar[type] = np.int64

    @staticmethod
    def label_problem(labels: np.ndarray, class_names: Sequence[str]) -> str | None:
        if len(class_names) > 1:
            return None
        return f"all examples are of one class, {class_names[0]!r}, so that there is nothing to predict"

    def outputs(self, class_names: Sequence[str], facts: dict[str, Any] | None = None) -> int:
        return len(class_names)

    def strata(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray, Sequence[str]]:
        return labels, class_names

    def target_array(self, labels: np.ndarray) -> np.ndarray:
        return labels.astype(np.int64)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def evaluate(self, summaries: torch.Tensor | np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        targets, scores = self.target_array(labels), np.asarray(summaries)
        # In double precision, because it is a sum over many examples.
        log_likelihoods = _log_softmax(scores)[np.arange(len(targets)), targets]
        return float(-log_likelihoods.mean()), float((scores.argmax(1) == targets).mean())

    def columns(self, summaries: np.ndarray, labels: np.ndarray) -> dict[str, pa.Array]:
        import pyarrow as pa

        probabilities = np.exp(_log_softmax(summaries)).astype(np.float32)
        offsets = np.arange(len(labels) + 1, dtype=np.int32) * probabilities.shape[1]
        return {
            "y_true": pa.array(labels.astype(np.int64)),
            "y_pred": pa.array(summaries.argmax(1)),
            "probabilities": pa.ListArray.from_arrays(offsets, probabilities.reshape(-1)),
        }

    def probabilities(self, table: pa.Table, classes: int) -> np.ndarray:
        column = table["probabilities"].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        if len(flat) != table.num_rows * classes:
            raise ValueError(f"probabilities are not those of {plural(classes, 'class', 'classes')}")
        probabilities = flat.reshape(table.num_rows, classes)
        sums = probabilities.sum(axis=1, keepdims=True)
        if not np.allclose(sums, 1, atol=1e-2):
            raise ValueError("probabilities do not sum to 1")
        return probabilities / sums

    def majority(self, y_true: np.ndarray) -> float:
        return np.bincount(y_true).max() / len(y_true)

    def losses(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return (y_pred != y_true).astype(float)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return the log-softmax of (n, classes), in double precision.

    Rounded to single precision, the result is the same whichever library computed the scores.
    """
    with np.errstate(invalid="ignore"):  # scores that are not finite give NaN
        shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
