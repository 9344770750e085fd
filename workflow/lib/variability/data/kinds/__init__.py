"""Kinds of tasks, such as classification: one file each.

To add a kind, write ``<name>.py`` in this folder with one subclass of ``Kind``. Set the class attributes without a
default and implement the abstract methods; ``regression.py`` is a short example. Then data sets may list the name in
their ``KINDS``, and metrics in their ``KIND``.
"""

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
    """The labels of a task, and what follows from them: the units of the head, the loss, and the stored predictions.

    Outputs of a network pass through a kind in three steps. ``summary`` reduces the outputs of each batch to what
    evaluation needs, on the device; ``evaluate`` computes the loss and one metric from the summaries of all examples,
    after each epoch; ``columns`` converts the summaries of the final network to the columns that are stored.

    A plug-in module must import without torch and pyarrow, because every check of a config imports it; import them
    inside the methods that need them. facts: what ``facts`` returned for the task's labels.
    """

    #: Primary metric if the config names none.
    PRIMARY: ClassVar[str]
    #: Metric that equals the mean of ``losses`` over the examples, or 1 minus that mean if higher values are better.
    LOSS_METRIC: ClassVar[str]
    #: Whether predictions are one of a few values, so that two agree or disagree; otherwise their distance counts.
    DISCRETE: ClassVar[bool]
    #: Unit of the disagreement between two predictions, averaged over examples.
    PREDICTION_UNIT: ClassVar[str]
    #: Whether a prediction contains a probability for each class, whose calibration can be measured.
    PROBABILITIES: ClassVar[bool] = False
    #: Metric that ``evaluate`` computes in addition to the loss; its name in figures; its unit.
    MEASURE: ClassVar[str]
    MEASURE_LABEL: ClassVar[str]
    MEASURE_UNIT: ClassVar[str]
    #: Unit of the training loss.
    LOSS_UNIT: ClassVar[str]
    #: Name of ``loss`` for frameworks other than torch: cross_entropy or squared_error; None if they cannot train it.
    LOSS: ClassVar[str | None] = None
    #: Linear model of frozen features that recipes are compared with: logistic regression or ridge regression, on
    #: ``target_array``; None if no such model has the outputs that ``evaluate`` and ``columns`` take.
    PROBE: ClassVar[str | None] = None
    #: Whether ``label_smoothing`` changes the loss.
    SMOOTHED: ClassVar[bool] = True
    #: NumPy type of the stored labels.
    LABEL_TYPE: ClassVar[type]

    def __init__(self, facts: dict[str, Any] | None = None):
        self._facts = facts or {}

    @staticmethod
    def facts(labels: np.ndarray) -> dict[str, Any]:
        """Return the properties of the labels (n,) of the training pool that the kind needs later, as plain values.

        They are stored with the task and passed to the constructor.
        """
        return {}

    @staticmethod
    def label_problem(labels: np.ndarray, class_names: Sequence[str]) -> str | None:
        """Return the reason why nothing can be learnt from the labels (n,) of the training pool, if there is one."""
        return None

    @abstractmethod
    def outputs(self, class_names: Sequence[str], facts: dict[str, Any] | None = None) -> int:
        """Return the number of units of the head.

        facts: properties of the task's examples, such as the number of items.
        """

    def strata(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray, Sequence[str]]:
        """Return the strata by which splits are stratified: (n,) int, and their names; one stratum by default."""
        return np.zeros(len(labels), np.int64), ["any"]

    def target_array(self, labels: np.ndarray) -> np.ndarray:
        """Return the labels (n,) in the form that the loss takes."""
        return labels

    # Training, in torch --------------------------------------------------------------------------------------------

    def targets(self, labels: np.ndarray) -> torch.Tensor:
        """Return ``target_array`` as a tensor."""
        import torch

        return torch.from_numpy(self.target_array(labels))

    @abstractmethod
    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return the mean loss of a batch, a scalar. outputs: (B, units), as the head returns them."""

    # Evaluation ----------------------------------------------------------------------------------------------------

    def summary(self, outputs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
        """Return what evaluation needs of the outputs (B, units) of examples with labels (B,): (B, ...)."""
        return outputs

    @abstractmethod
    def evaluate(self, summaries: torch.Tensor | np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean loss, without label smoothing, and MEASURE. summaries: (n, ...) in main memory."""

    @abstractmethod
    def columns(self, summaries: np.ndarray, labels: np.ndarray) -> dict[str, pa.Array]:
        """Return the columns to store: y_true, y_pred and probabilities. summaries: (n, ...) float32."""

    def probabilities(self, table: pa.Table, classes: int) -> np.ndarray | None:
        """Return the probabilities (n, classes) of stored predictions; None if the kind has none.

        Raises ValueError if they are invalid.
        """
        return None

    def majority(self, y_true: np.ndarray) -> float | None:
        """Return the share of the most frequent class; None if the kind has no classes."""
        return None

    @abstractmethod
    def losses(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the cost of each prediction: floats in the shape of ``y_pred``, 0 for a perfect prediction."""


def all_kinds() -> dict[str, type[Kind]]:
    """Return all plug-ins by name."""
    return {name: registry.find("kinds", name) for name in registry.names("kinds")}


def find(name: str, facts: dict[str, Any] | None = None) -> Kind:
    """Return a kind by the name of its plug-in. facts: see ``Kind.facts``; some methods work without them."""
    return registry.find("kinds", name)(facts)
