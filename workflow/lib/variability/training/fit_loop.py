"""The training loop of a fit: its epochs, their history and its end, independent of the library that trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from variability import seeding
from variability.data.kinds import Kind
from variability.errors import Interrupted, UserError
from variability.training.divergence import why_diverged
from variability.training.micro_batches import MicroBatches, Reduction
from variability.training.optimizers import learning_rate
from variability.training.saving import Saving

if TYPE_CHECKING:
    import torch

#: One row of a history: epoch, train_loss, validation_loss, validation_<MEASURE>, lr, seconds, examples_per_second.
Row = dict[str, Any]


def _ignore(row: Row) -> None:
    pass


@dataclass(frozen=True)
class FitData:
    """Labels of a task, and the rows that train and validate.

    labels: (n,). train, validation: row indices; validation may be empty. kind: the plug-in that defines the loss.
    """

    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    kind: Kind

    def targets(self, rows: np.ndarray) -> torch.Tensor:
        """Return the labels of rows as the loss takes them, (rows,)."""
        return self.kind.targets(self.labels[rows])

    def summary(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Return the part of a head's outputs, (rows, units), that evaluation needs, see ``Kind.summary``."""
        return self.kind.summary(outputs, self.labels[rows])


@dataclass(frozen=True)
class FitSpec:
    """Description of a fit, except for the network.

    recipe: the config's recipe with all defaults filled in. state: file for all that resuming needs, written as
    ``saving`` says; one with another ``fingerprint`` is ignored. on_epoch: called with each new row of the history.
    """

    data: FitData
    recipe: Mapping[str, Any]
    seed: int
    state: Path | None = None
    fingerprint: str = ""
    on_epoch: Callable[[Row], None] = _ignore
    saving: Saving = field(default_factory=Saving)


@dataclass(frozen=True)
class Step:
    """One update of the weights.

    epoch: counts from 1. batch, number: count from 0, in the epoch and in the fit. rows: the examples of the batch.
    """

    epoch: int
    batch: int
    number: int
    rows: np.ndarray
    lr: float


@dataclass(frozen=True)
class FitResult:
    """Outcome of a fit.

    status: "completed" or "diverged", then with a fail_reason. epochs: number of epochs trained, a diverged one
    included. best_epoch: the epoch whose weights the network now holds; 0 if they are untrained. history: one row per
    epoch, from 0 (before training). resumed: whether an earlier process made some of the steps. reductions: of the
    micro-batches, because memory ran out.
    """

    status: str
    fail_reason: str | None
    epochs: int
    best_epoch: int
    history: list[Row]
    resumed: bool
    reductions: list[Reduction]


class FitLoop(ABC):
    """The training loop of one fit. A subclass trains and evaluates with its library.

    All randomness is addressed by (seed, stream, epoch, batch), except for dropout, whose generators run through an
    epoch. The state has these, the tensors and what ``progress`` returns: a fit resumes at any step as if it had never
    stopped.

    Raises UserError if the recipe selects by validation loss and the data have no validation examples.
    """

    def __init__(self, spec: FitSpec):
        require_validation(spec.recipe, spec.data)
        self.spec = spec
        self.data, self.recipe, self.seed = spec.data, spec.recipe, spec.seed
        self.history: list[Row] = []
        self.retained_epoch = 0
        self.micro_batches = MicroBatches(spec.recipe)
        #: Losses of the finished steps of an unfinished epoch, and the seconds that these took.
        self.losses: list[float] = []
        self.seconds = 0.0
        #: Losses of the last of these steps, as ``step`` returned them.
        self._latest: list[Any] = []
        self._started = self._saved_at = 0.0

    @abstractmethod
    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Cut the rows of an epoch, given in random order, into batches."""

    @abstractmethod
    def training(self, epoch: int) -> AbstractContextManager[None]:
        """Return a context for the steps of an epoch, in which the generators of dropout are at the next step."""

    @abstractmethod
    def step(self, step: Step) -> Any:
        """Train on a batch and return its loss, computed before the update, for ``floats``."""

    @abstractmethod
    def floats(self, losses: list[Any]) -> list[float]:
        """Return the values of losses that ``step`` returned."""

    @abstractmethod
    def outputs(self, rows: np.ndarray) -> Any:
        """Return the current network's outputs for rows, in their order, as ``Kind.evaluate`` takes them."""

    @abstractmethod
    def weights_are_finite(self) -> bool:
        """Return whether all trained weights are finite."""

    @abstractmethod
    def retain_weights(self, epoch: int) -> None:
        """Copy the current weights, as those that the fit would end with, and set ``retained_epoch``."""

    @abstractmethod
    def restore_retained_weights(self) -> None:
        """Copy the retained weights back into the network."""

    @abstractmethod
    def save_state(self, path: Path) -> None:
        """Write all that the next step depends on: ``progress``, the fingerprint, weights, optimizer and dropout."""

    @abstractmethod
    def load_state(self, path: Path) -> bool:
        """Restore what ``save_state`` wrote; return False if the file is missing, damaged, or of another fit."""

    @property
    def epoch(self) -> int:
        """The last epoch that was trained."""
        return self.history[-1]["epoch"]

    def run(self) -> FitResult:
        """Train to the end.

        A fit diverges if a loss or a weight is not finite, or if an epoch's mean training loss exceeds 100 times the
        untrained network's (100 where that is below 1). It then ends with the weights of the best epoch (checkpoint:
        best) or of the last epoch that did not diverge.
        """
        spec, recipe = self.spec, self.recipe
        self._started = self._saved_at = spec.saving.clock()
        resumed = spec.state is not None and self.load_state(spec.state)
        if not resumed:
            self.history.append({"epoch": 0, "train_loss": None, **self.validate(), "lr": None, "seconds": 0.0})
            self.history[0]["examples_per_second"] = None
            self.retain_weights(0)
            spec.on_epoch(self.history[0])
        reason = None
        while (
            reason is None and self.epoch < recipe["epochs"] and not stops_early(self.history, recipe["early_stopping"])
        ):
            if not self.losses:
                self._save_if_due()
            row, reason = self.advance()
            spec.on_epoch(row)
            if reason is None and (recipe["checkpoint"] == "last" or best_epoch(self.history) == self.epoch):
                self.retain_weights(self.epoch)
        self.restore_retained_weights()
        status = "completed" if reason is None else "diverged"
        reductions = self.micro_batches.reductions
        return FitResult(status, reason, self.epoch, self.retained_epoch, self.history, resumed, reductions)

    def advance(self) -> tuple[Row, str | None]:
        """Train the rest of an epoch; return its row of the history and, if the fit has diverged, the reason."""
        epoch, self._started = self.epoch + 1, self.spec.saving.clock()
        order = seeding.example_order(self.seed, epoch).generator().permutation(self.data.train)
        batches = self.batches(order, epoch)
        first_step, total = (epoch - 1) * len(batches), self.recipe["epochs"] * len(batches)
        rates = [learning_rate(first_step + batch, total, self.recipe) for batch in range(len(batches))]
        with self.training(epoch):
            for batch in range(len(self.losses), len(batches)):
                step = Step(epoch, batch, first_step + batch, batches[batch], rates[batch])
                self._latest.append(self.step(step))
                self._save_if_due(len(batches))
            self._pause()
        training_seconds, losses, sizes = self.seconds, self.losses, [len(rows) for rows in batches]
        mean = float(np.average(losses, weights=sizes))
        row = {"epoch": epoch, "train_loss": mean, **self.validate(), "lr": rates[-1]}
        self._pause()
        row["seconds"] = self.seconds
        row["examples_per_second"] = sum(sizes) / training_seconds
        self.history.append(row)
        self.losses, self.seconds = [], 0.0
        if epoch == 1:
            # The untrained network's loss on its first batch, before the first step.
            self.history[0]["train_loss"] = losses[0]
        untrained = self.history[0]["train_loss"]
        return row, why_diverged(row, losses, self.weights_are_finite(), untrained)

    def progress(self) -> dict[str, Any]:
        """Return the position of the fit and its records so far, as JSON values."""
        names = ("history", "retained_epoch", "losses", "seconds")
        return {name: getattr(self, name) for name in names} | {"reductions": self.micro_batches.reductions}

    def restore_progress(self, progress: Mapping[str, Any]) -> None:
        """Restore what ``progress`` returned, except for ``retained_epoch``, which belongs to the retained weights."""
        self.history, self.losses = list(progress["history"]), list(progress["losses"])
        self.seconds = progress["seconds"]
        self.micro_batches.repeat(progress["reductions"])

    def _save_if_due(self, steps: int | None = None) -> None:
        """Save the state if it is time, or if the fit must stop, and then raise Interrupted.

        steps: number of steps of the epoch that is being trained, None between two epochs.
        """
        stop, due = self.requests()
        if not due:
            return
        if steps is not None:
            self._pause()
        if self.spec.state is not None:
            self.save_state(self.spec.state)
        if stop:
            position = f"step {len(self.losses)} of {steps} of epoch {self.epoch + 1}"
            where = f"before epoch {self.epoch + 1}" if steps is None else f"at {position}"
            raise Interrupted(f"{where}; state saved" if self.spec.state else where)
        self._started = self._saved_at = self.spec.saving.clock()

    def requests(self) -> tuple[bool, bool]:
        """Return whether the fit must stop now, and whether it must save its state, as it does before it stops."""
        saving = self.spec.saving
        stop = saving.should_stop()
        return stop, stop or saving.clock() - self._saved_at >= saving.every

    def _pause(self) -> None:
        """Add what happened since ``_started`` to the losses and seconds of the epoch."""
        self.losses += self.floats(self._latest)
        self._latest = []
        now = self.spec.saving.clock()
        self.seconds, self._started = self.seconds + now - self._started, now

    def validate(self) -> dict[str, float | None]:
        """Return the loss (without label smoothing) and the kind's MEASURE on the validation rows, None without any."""
        kind, rows = self.data.kind, self.data.validation
        measure = f"validation_{kind.MEASURE}"
        if len(rows) == 0:
            return {"validation_loss": None, measure: None}
        loss, measured = kind.evaluate(self.outputs(rows), self.data.labels[rows])
        return {"validation_loss": loss, measure: measured}


def best_epoch(history: list[Row]) -> int:
    """Return the trained epoch of the lowest validation loss, the earliest on ties."""
    return min(history[1:], key=lambda row: row["validation_loss"])["epoch"]


def stops_early(history: list[Row], patience: int | None) -> bool:
    """Return whether the validation loss has not improved for ``patience`` epochs."""
    return patience is not None and len(history) > 1 and history[-1]["epoch"] - best_epoch(history) >= patience


def require_validation(recipe: Mapping[str, Any], data: FitData) -> None:
    """Raise UserError if a recipe selects by validation loss and there are no validation examples."""
    selects = recipe["checkpoint"] == "best" or recipe["early_stopping"] is not None
    if selects and len(data.validation) == 0:
        raise UserError(
            "recipe.checkpoint: best and recipe.early_stopping need validation examples, but the task has none; "
            "give it some (split.validation) or use checkpoint: last without early stopping"
        )
