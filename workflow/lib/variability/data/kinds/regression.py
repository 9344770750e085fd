"""Regression: the label is a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.data.kinds import Kind

if TYPE_CHECKING:
    import pyarrow as pa
    import torch


class Regression(Kind):
    """The label is a number in the unit of the data.

    The head has one unit. Its output is standardised with the mean and the standard deviation of the labels of the
    training pool, so that one learning rate suits targets in any unit. So the loss, the mean squared error, is a share
    of their variance. Metrics and predictions are in the unit of the data.
    """

    PRIMARY: ClassVar[str] = "rmse"
    LOSS_METRIC: ClassVar[str] = "mse"
    DISCRETE: ClassVar[bool] = False
    PREDICTION_UNIT: ClassVar[str] = "in the target's unit"
    MEASURE: ClassVar[str] = "rmse"
    MEASURE_LABEL: ClassVar[str] = "RMSE"
    MEASURE_UNIT: ClassVar[str] = "in the target's unit"
    LOSS_UNIT: ClassVar[str] = "share of the variance"
    SMOOTHED: ClassVar[bool] = False
    LOSS: ClassVar[str | None] = "squared_error"
    PROBE: ClassVar[str | None] = "ridge regression"
    LABEL_TYPE: ClassVar[type] = np.float64

    @staticmethod
    def facts(labels: np.ndarray) -> dict[str, Any]:
        return {"mean": float(labels.mean()), "sd": float(labels.std())}

    @staticmethod
    def label_problem(labels: np.ndarray, class_names: Sequence[str]) -> str | None:
        if labels.min() < labels.max():
            return None
        examples = plural(len(labels), "training example has", "training examples all have")
        return f"{examples} the target {labels[0]:g}, so that there is nothing to predict"

    def outputs(self, class_names: Sequence[str], facts: dict[str, Any] | None = None) -> int:
        return 1

    def target_array(self, labels: np.ndarray) -> np.ndarray:
        return ((labels - self._facts["mean"]) / self._facts["sd"]).astype(np.float32)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        from torch.nn import functional

        return functional.mse_loss(outputs.squeeze(1), targets)

    def evaluate(self, summaries: torch.Tensor | np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        # In double precision, because it is a sum over many examples.
        with np.errstate(over="ignore", invalid="ignore"):  # as in torch; ``fit`` reports a loss that is not finite
            errors = np.asarray(summaries)[:, 0].astype(np.float64) - self.target_array(labels)
            loss = float(np.square(errors).mean())
        return loss, loss**0.5 * self._facts["sd"]

    def columns(self, summaries: np.ndarray, labels: np.ndarray) -> dict[str, pa.Array]:
        import pyarrow as pa

        return {
            "y_true": pa.array(labels.astype(np.float64)),
            "y_pred": pa.array(summaries[:, 0].astype(np.float64) * self._facts["sd"] + self._facts["mean"]),
            "probabilities": pa.nulls(len(labels), pa.list_(pa.float32())),
        }

    def losses(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.square(y_pred - y_true)
