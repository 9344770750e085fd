"""Kinds of task: one file each. See ``Kind`` for what a new one must say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability import registry

if TYPE_CHECKING:
    import pyarrow as pa
    import torch


class Kind(ABC):
    """What the targets of a task are, and all that follows from it: the head, the loss, and what a prediction is.

    A plug-in module must import without torch and pyarrow: a config is checked with it before the first job.
    """

    #: Metric that is primary where the config names none.
    PRIMARY: ClassVar[str]
    #: Metric that is 1 less the mean over the examples of ``losses`` if higher is better, else that mean.
    LOSS_METRIC: ClassVar[str]
    #: Whether predictions are one of a few values, which agree or do not; else it is asked how far they are apart.
    DISCRETE: ClassVar[bool]
    #: What the disagreement of two predictions is counted in, on average over examples.
    PREDICTION_UNIT: ClassVar[str]
    #: Whether a prediction gives each class a probability, which may be right or wrong about itself.
    PROBABILITIES: ClassVar[bool] = False
    #: What is measured on the validation examples beside the loss, after each epoch; in words; and its unit.
    MEASURE: ClassVar[str]
    MEASURE_LABEL: ClassVar[str]
    MEASURE_UNIT: ClassVar[str]
    #: What a training loss is counted in.
    LOSS_UNIT: ClassVar[str]
    #: What ``loss`` is, by name, for frameworks other than torch: cross_entropy, squared_error.
    LOSS: ClassVar[str | None] = None
    #: Whether ``label_smoothing`` changes the loss.
    SMOOTHED: ClassVar[bool] = True
    #: NumPy type of the stored labels.
    LABELS: ClassVar[type]

    def __init__(self, facts: dict[str, Any] | None = None):
        self._facts = facts or {}

    @staticmethod
    def facts(labels: np.ndarray) -> dict[str, Any]:
        """What has to be known of the labels that may train, (n,), to make the kind again: plain values."""
        return {}

    @abstractmethod
    def outputs(self, class_names: Sequence[str], facts: dict[str, Any] | None = None) -> int:
        """Units of the head. facts: of the task's examples, for what is too many to be named one by one."""

    def strata(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray, Sequence[str]]:
        """By what splits are stratified: (n,) of int, and the strata's names; all alike if there is nothing."""
        return np.zeros(len(labels), np.int64), ["any"]

    def answers(self, labels: np.ndarray) -> np.ndarray:
        """(n,) labels as the loss takes them."""
        return labels

    # Training, in torch --------------------------------------------------------------------------------------------

    def targets(self, labels: np.ndarray) -> torch.Tensor:
        """(n,) labels as the loss takes them."""
        import torch

        return torch.from_numpy(self.answers(labels))

    @abstractmethod
    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        """The mean loss of a batch, a scalar. outputs: (B, units) as the head gives them."""

    # Evaluation ----------------------------------------------------------------------------------------------------

    def summary(self, outputs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
        """What is kept of the outputs (B, units) for examples with the labels (B,): said of each, (B, ...)."""
        return outputs

    @abstractmethod
    def evaluate(self, said: torch.Tensor | np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """The loss, without label smoothing, and MEASURE of summaries (n, ...) in the CPU's memory."""

    @abstractmethod
    def columns(self, said: np.ndarray, labels: np.ndarray) -> dict[str, pa.Array]:
        """y_true, y_pred and probabilities, as they are stored, of summaries (n, ...) in float32."""

    def probabilities(self, table: pa.Table, classes: int) -> np.ndarray | None:
        """(n, classes) of stored predictions; None where the kind has none. Raises ValueError if they are not sound."""
        return None

    def majority(self, y_true: np.ndarray) -> float | None:
        """Share of the most frequent class, where there are classes."""
        return None

    @abstractmethod
    def losses(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """What each prediction costs: floats of the shape of ``y_pred``, 0 for a perfect one."""


def all_kinds() -> dict[str, type[Kind]]:
    """Every plug-in by its name."""
    return {name: registry.find("kinds", name) for name in registry.names("kinds")}


def find(name: str, facts: dict[str, Any] | None = None) -> Kind:
    """The plug-in of a kind's name. facts: see ``Kind.facts``; needed for what is in the unit of the labels."""
    return registry.find("kinds", name)(facts)
