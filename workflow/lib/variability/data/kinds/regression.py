"""A number."""

from typing import ClassVar

import numpy as np

from variability.data.kinds import Kind


class Regression(Kind):
    """The label is a number in the unit of the data.

    The head has one unit and gives it less the mean, in standard deviations, of the labels that may train: a step's
    size then suits a target whatever its unit. So the loss, the mean squared error, is a share of their variance. What
    is measured and predicted is in the unit of the data.
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
    LOSS: ClassVar[str] = "squared_error"
    LABELS: ClassVar[type] = np.float64

    @staticmethod
    def facts(labels):
        # Labels that are all the same leave nothing to scale by.
        return {"mean": float(labels.mean()), "sd": float(labels.std()) or 1.0}

    def outputs(self, class_names, facts=None):
        return 1

    def answers(self, labels):
        return ((labels - self._facts["mean"]) / self._facts["sd"]).astype(np.float32)

    def loss(self, outputs, targets, label_smoothing=0.0):
        from torch.nn import functional

        return functional.mse_loss(outputs.squeeze(1), targets)

    def evaluate(self, said, labels):
        # Sums over many examples are taken in double precision.
        with np.errstate(over="ignore", invalid="ignore"):  # as torch has it: what is not finite is said by ``fit``
            loss = float(np.square(np.asarray(said)[:, 0].astype(np.float64) - self.answers(labels)).mean())
        return loss, loss**0.5 * self._facts["sd"]

    def columns(self, said, labels):
        import pyarrow as pa

        return {
            "y_true": pa.array(labels.astype(np.float64)),
            "y_pred": pa.array(said[:, 0].astype(np.float64) * self._facts["sd"] + self._facts["mean"]),
            "probabilities": pa.nulls(len(labels), pa.list_(pa.float32())),
        }

    def losses(self, y_true, y_pred):
        return np.square(y_pred - y_true)
