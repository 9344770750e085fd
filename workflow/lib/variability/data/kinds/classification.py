"""One of several classes."""

from typing import ClassVar

import numpy as np

from variability.data.kinds import Kind


class Classification(Kind):
    """The label is the index of a class; a prediction is a probability for each."""

    PRIMARY: ClassVar[str] = "accuracy"
    LOSS_METRIC: ClassVar[str] = "accuracy"
    DISCRETE: ClassVar[bool] = True
    PREDICTION_UNIT: ClassVar[str] = "share of examples"
    PROBABILITIES: ClassVar[bool] = True
    MEASURE: ClassVar[str] = "accuracy"
    MEASURE_LABEL: ClassVar[str] = "accuracy"
    MEASURE_UNIT: ClassVar[str] = "fraction of examples"
    LOSS_UNIT: ClassVar[str] = "nats per example"
    LOSS: ClassVar[str] = "cross_entropy"
    LABELS: ClassVar[type] = np.int64

    def outputs(self, class_names, facts=None):
        return len(class_names)

    def strata(self, labels, class_names):
        return labels, class_names

    def answers(self, labels):
        return labels.astype(np.int64)

    def loss(self, outputs, targets, label_smoothing=0.0):
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def evaluate(self, said, labels):
        answers, scores = self.answers(labels), np.asarray(said)
        # Sums over many examples are taken in double precision.
        right = _log_softmax(scores)[np.arange(len(answers)), answers]
        return float(-right.mean()), float((scores.argmax(1) == answers).mean())

    def columns(self, said, labels):
        import pyarrow as pa

        probabilities = np.exp(_log_softmax(said)).astype(np.float32)
        offsets = np.arange(len(labels) + 1, dtype=np.int32) * probabilities.shape[1]
        return {
            "y_true": pa.array(labels.astype(np.int64)),
            "y_pred": pa.array(said.argmax(1)),
            "probabilities": pa.ListArray.from_arrays(offsets, probabilities.reshape(-1)),
        }

    def probabilities(self, table, classes):
        column = table["probabilities"].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        if len(flat) != table.num_rows * classes:
            raise ValueError(f"probabilities are not those of {classes} classes")
        found = flat.reshape(table.num_rows, classes)
        sums = found.sum(axis=1, keepdims=True)
        if not np.allclose(sums, 1, atol=1e-2):
            raise ValueError("probabilities do not sum to 1")
        return found / sums

    def majority(self, y_true):
        return np.bincount(y_true).max() / len(y_true)

    def losses(self, y_true, y_pred):
        return (y_pred != y_true).astype(float)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """(n, classes) in double precision: rounded to single, it is the same whichever library the scores are from."""
    with np.errstate(invalid="ignore"):  # what is not finite gives NaN
        shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
