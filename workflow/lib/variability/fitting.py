"""What a fit is given and what it gives, whatever the library that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.kinds import Kind

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Data:
    """Targets of a task, and the rows that train and validate.

    labels: (n,). train, validation: row indices; validation may be empty. kind: what the labels are.
    """

    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    kind: Kind

    def targets(self, rows: np.ndarray) -> torch.Tensor:
        """(rows,) labels as the loss takes them."""
        return self.kind.targets(self.labels[rows])

    def summary(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """What is kept of outputs (rows, units) for evaluation."""
        return self.kind.summary(outputs, self.labels[rows])


@dataclass(frozen=True)
class FitResult:
    """How a fit went.

    status: "completed" or "diverged", then with a fail_reason. epochs: how many were trained, a diverged one included.
    best_epoch: the epoch whose weights the network now holds; 0 are the untrained ones. history: one row per epoch,
    from 0 (before training). resumed: whether a part of it was trained by an earlier process.
    """

    status: str
    fail_reason: str | None
    epochs: int
    best_epoch: int
    history: list[dict[str, Any]]
    resumed: bool
