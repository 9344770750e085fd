"""What a fit is given and what it gives, and what of it is the same whatever the library that trains."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability import seeding
from variability.data.kinds import Kind
from variability.errors import UserError
from variability.training.optimizers import learning_rate

if TYPE_CHECKING:
    import torch

#: A run has diverged when an epoch's mean training loss is this many times the untrained network's...
DIVERGED = 100.0
#: ... or this, if the untrained one knows the answers already (a zero-shot head): about what knowing nothing costs, in
#: nats or in variances.
UNINFORMED = 1.0

_log = logging.getLogger(__name__)


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


class Run(ABC):
    """A fit under way: epochs, their history, and what ends it. A subclass trains, in its library.

    All randomness is addressed by (seed, stream, epoch, batch), so that nothing but the tensors and the history has to
    be stored for a run to resume as if it had never stopped.
    """

    def __init__(self, data: Data, recipe: dict[str, Any], seed: int):
        self.data = data
        self.recipe = recipe
        self.seed = seed
        self.history: list[dict[str, Any]] = []
        self.kept_epoch = 0

    @abstractmethod
    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        """An epoch's rows, given in random order, cut into batches."""

    @abstractmethod
    def steps(self, epoch: int, batches: list[np.ndarray], rates: list[float]) -> list[float]:
        """Trains on the batches of an epoch in turn, each at its learning rate; the loss of each before its step."""

    @abstractmethod
    def said(self, rows: np.ndarray) -> Any:
        """What ``Kind.evaluate`` takes of rows, from the network as it is, in their order."""

    @abstractmethod
    def sound(self) -> bool:
        """Whether all weights that train are finite."""

    @abstractmethod
    def keep(self, epoch: int) -> None:
        """Sets the weights as they are aside as those of the run, and notes the epoch as ``kept_epoch``."""

    @abstractmethod
    def restore(self) -> None:
        """Puts the weights that were set aside back into the network."""

    @abstractmethod
    def save(self, path: Path, fingerprint: str) -> None:
        """Writes all that the next epoch depends on."""

    @abstractmethod
    def load(self, path: Path, fingerprint: str) -> bool:
        """Takes up where ``save`` left off; False if there is nothing of this run to take up."""

    @property
    def epoch(self) -> int:
        """The last epoch that was trained."""
        return self.history[-1]["epoch"]

    def fit(self, state: Path | None, fingerprint: str, on_epoch: Callable[[dict[str, Any]], None]) -> FitResult:
        """Trains to the end. state: file that holds, after each epoch, all that resuming needs.

        A diverged fit (a loss, or weights, that are not finite; an epoch's mean training loss above 100 times the
        untrained one, or above 100 where that is below 1) ends with the weights of the best epoch (checkpoint: best) or
        of the last one that was sound.
        """
        resumed = state is not None and self.load(state, fingerprint)
        if not resumed:
            self.history.append({"epoch": 0, "train_loss": None, **self.validate(), "lr": None, "seconds": 0.0})
            self.history[0]["examples_per_second"] = None
            self.keep(0)
            on_epoch(self.history[0])
        reason, recipe = None, self.recipe
        while (
            reason is None and self.epoch < recipe["epochs"] and not stops_early(self.history, recipe["early_stopping"])
        ):
            row, reason = self.advance()
            on_epoch(row)
            if reason is None:
                if recipe["checkpoint"] == "last" or best_epoch(self.history) == self.epoch:
                    self.keep(self.epoch)
                if state is not None:
                    self.save(state, fingerprint)
        self.restore()
        status = "completed" if reason is None else "diverged"
        return FitResult(status, reason, self.epoch, self.kept_epoch, self.history, resumed)

    def advance(self) -> tuple[dict[str, Any], str | None]:
        """Trains one epoch; its row of the history, and why the run has diverged, if it has."""
        epoch, started = self.epoch + 1, time.perf_counter()
        order = seeding.example_order(self.seed, epoch).generator().permutation(self.data.train)
        cut = self.batches(order, epoch)
        first, total = (epoch - 1) * len(cut), self.recipe["epochs"] * len(cut)
        rates = [learning_rate(first + at, total, self.recipe) for at in range(len(cut))]
        losses, sizes = self.steps(epoch, cut, rates), [len(rows) for rows in cut]
        training = time.perf_counter() - started
        mean = float(np.average(losses, weights=sizes))
        row = {"epoch": epoch, "train_loss": mean, **self.validate(), "lr": rates[-1]}
        row["seconds"] = time.perf_counter() - started
        row["examples_per_second"] = sum(sizes) / training
        self.history.append(row)
        if epoch == 1:
            # What the untrained network made of its first batch, before the first step.
            self.history[0]["train_loss"] = losses[0]
        return row, self._why_diverged(row, losses)

    def validate(self) -> dict[str, float | None]:
        """Loss (without label smoothing) and the kind's MEASURE on the validation rows; None where there are none."""
        kind, rows = self.data.kind, self.data.validation
        measure = f"validation_{kind.MEASURE}"
        if len(rows) == 0:
            return {"validation_loss": None, measure: None}
        loss, measured = kind.evaluate(self.said(rows), self.data.labels[rows])
        return {"validation_loss": loss, measure: measured}

    def _why_diverged(self, row: dict[str, Any], losses: list[float]) -> str | None:
        epoch, untrained = row["epoch"], self.history[0]["train_loss"]
        for step, loss in enumerate(losses, 1):
            if not math.isfinite(loss):
                return f"the training loss is {loss} at step {step} of epoch {epoch}"
        if not self.sound():
            return f"weights are not finite after epoch {epoch}"
        if row["validation_loss"] is not None and not math.isfinite(row["validation_loss"]):
            return f"the validation loss is {row['validation_loss']} after epoch {epoch}"
        if row["train_loss"] > DIVERGED * max(untrained, UNINFORMED):
            grown = f"{row['train_loss']:.4g}, over {DIVERGED:g} times the untrained network's {untrained:.4g}"
            grown += "" if untrained > UNINFORMED else f", and over {DIVERGED:g}"
            return f"the training loss of epoch {epoch} is {grown}"
        return None


def best_epoch(history: list[dict[str, Any]]) -> int:
    """The trained epoch of the lowest validation loss, the earliest on ties."""
    return min(history[1:], key=lambda row: row["validation_loss"])["epoch"]


def stops_early(history: list[dict[str, Any]], patience: int | None) -> bool:
    """Whether the validation loss has not improved for ``patience`` epochs."""
    return patience is not None and len(history) > 1 and history[-1]["epoch"] - best_epoch(history) >= patience


def require_validation(recipe: dict[str, Any], data: Data) -> None:
    """Raises UserError where a recipe selects by validation and there are no examples for it."""
    selects = recipe["checkpoint"] == "best" or recipe["early_stopping"] is not None
    if selects and len(data.validation) == 0:
        raise UserError(
            "recipe.checkpoint: best and recipe.early_stopping need validation examples, but the task has none; "
            "give it some (split.validation) or use checkpoint: last without early stopping"
        )


def of_this_run(path: Path, meta: dict[str, Any], fingerprint: str) -> bool:
    """Whether a stored state is of the run with this fingerprint; says so where it is not."""
    if meta["fingerprint"] != fingerprint:
        _log.info("%s is of a run with other settings and is ignored", path)
    return meta["fingerprint"] == fingerprint
