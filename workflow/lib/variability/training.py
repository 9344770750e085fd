"""Fits the parts of a network that train.

All randomness is addressed by (seed, stream, epoch, batch), so that nothing but the tensors and the history has to
be stored for a run to resume as if it had never stopped.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from variability import checkpoints, inference, kernels, precision, seeding
from variability.errors import UserError
from variability.inputs import Feed
from variability.networks import Network, freeze, train_mode, trained_tensors
from variability.optimisation import learning_rate, make_optimizer

#: A run has diverged when an epoch's mean training loss is this many times the untrained network's.
DIVERGED = 100.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Targets of a task, and the rows that train and validate.

    labels: (n,). train, validation: row indices; validation may be empty. kind: "classification" or "regression".
    """

    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    kind: str

    def targets(self, rows: np.ndarray) -> torch.Tensor:
        """(rows,) int64 classes, or float32 values."""
        return torch.from_numpy(self.labels[rows].astype(np.int64 if self.kind == "classification" else np.float32))


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


def fit(
    network: Network,
    trainable: list[str],
    feed: Feed,
    data: Data,
    recipe: dict[str, Any],
    seed: int,
    device: str,
    state: Path | None = None,
    fingerprint: str = "",
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> FitResult:
    """Trains the parts named in ``trainable``, in place, on ``device``, where the network is.

    feed: what is computed of the network, all of it or what follows its frozen prefix, and from what. state: file that
    holds, after each epoch, all that resuming needs; one with another ``fingerprint`` is ignored. on_epoch: called with
    each new row of the history. Raises UserError if the device lacks the recipe's precision, or a recipe that selects
    by validation loss has no validation examples.

    A diverged fit (a loss, or weights, that are not finite; an epoch's mean training loss above 100 times the
    untrained one) ends with the weights of the best epoch (checkpoint: best) or of the last one that was sound.
    """
    _check(recipe, data, device)
    freeze(network, trainable)
    run = _Run(network, trainable, feed, data, recipe, seed, device)
    resumed = state is not None and run.load(state, fingerprint)
    if not resumed:
        run.history.append({"epoch": 0, "train_loss": None, **run.validate(), "lr": None, "seconds": 0.0})
        run.history[0]["images_per_second"] = None
        run.keep(0)
        on_epoch(run.history[0])
    reason = None
    while reason is None and run.epoch < recipe["epochs"] and not stops_early(run.history, recipe["early_stopping"]):
        row, reason = run.advance()
        on_epoch(row)
        if reason is None:
            if recipe["checkpoint"] == "last" or best_epoch(run.history) == run.epoch:
                run.keep(run.epoch)
            if state is not None:
                run.save(state, fingerprint)
    run.restore()
    status = "completed" if reason is None else "diverged"
    return FitResult(status, reason, run.epoch, run.kept_epoch, run.history, resumed)


def best_epoch(history: list[dict[str, Any]]) -> int:
    """The trained epoch of the lowest validation loss, the earliest on ties."""
    return min(history[1:], key=lambda row: row["validation_loss"])["epoch"]


def stops_early(history: list[dict[str, Any]], patience: int | None) -> bool:
    """Whether the validation loss has not improved for ``patience`` epochs."""
    return patience is not None and len(history) > 1 and history[-1]["epoch"] - best_epoch(history) >= patience


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows cut into batches, the incomplete last one kept.

    A last batch of a single row joins the one before: BatchNorm has no variance to normalise one example by.
    """
    cut = [rows[at : at + size] for at in range(0, len(rows), size)]
    if len(cut) > 1 and len(cut[-1]) == 1 < size:
        cut[-2:] = [np.concatenate(cut[-2:])]
    return cut


@dataclass
class _Run:
    """A fit under way."""

    network: Network
    trainable: list[str]
    feed: Feed
    data: Data
    recipe: dict[str, Any]
    seed: int
    device: str
    history: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    kept_epoch: int = 0

    def __post_init__(self) -> None:
        # The very tensors that training updates in place, not copies.
        self.tensors = trained_tensors(self.network, self.trainable)
        parameters = [each for each in self.network.module.parameters() if each.requires_grad]
        self.optimizer = make_optimizer(parameters, self.recipe)
        # In the optimizer's order, in which the gradients' norm is summed.
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        self.kind = torch.device(self.device).type
        self.quick = kernels.Quick(self.feed.module, self.device, self.recipe["precision"])
        self.scaler = torch.amp.GradScaler(self.kind, enabled=self.recipe["precision"] == "fp16")

    @property
    def epoch(self) -> int:
        """The last epoch that was trained."""
        return self.history[-1]["epoch"]

    def advance(self) -> tuple[dict[str, Any], str | None]:
        """Trains one epoch; its row of the history, and why the run has diverged, if it has."""
        epoch, started = self.epoch + 1, time.perf_counter()
        losses, sizes, lr = self._train(epoch)
        training = time.perf_counter() - started
        mean = float(np.average(losses, weights=sizes))
        row = {"epoch": epoch, "train_loss": mean, **self.validate(), "lr": lr}
        row["seconds"] = time.perf_counter() - started
        row["images_per_second"] = sum(sizes) / training
        self.history.append(row)
        if epoch == 1:
            # What the untrained network made of its first batch, before the first step.
            self.history[0]["train_loss"] = losses[0]
        return row, self._why_diverged(row, losses)

    def _train(self, epoch: int) -> tuple[list[float], list[int], float]:
        order = seeding.generator(self.seed, "order", epoch).permutation(self.data.train)
        cut = batches(order, self.recipe["batch_size"])
        train_mode(self.network, self.trainable)
        losses = []
        # Once an epoch: putting a generator's state aside and back makes the host wait for the GPU.
        with seeding.torch_global(self.seed, "dropout", epoch, device=self.device):
            for at, rows in enumerate(cut):
                lr = learning_rate((epoch - 1) * len(cut) + at, self.recipe["epochs"] * len(cut), self.recipe)
                losses.append(self._step(epoch, at, rows, lr))
        # Read once an epoch, for the same reason.
        return torch.stack(losses).cpu().double().tolist(), [len(rows) for rows in cut], lr

    def _step(self, epoch: int, at: int, rows: np.ndarray, lr: float) -> torch.Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        inputs = self.feed.inputs.training(rows, self.seed, epoch, at)
        with precision.autocast(self.device, self.recipe["precision"]), self.quick:
            outputs = self.feed.module(inputs)
        loss = self._loss(outputs.float(), self.data.targets(rows).to(self.device))
        # As zero_grad does, without its record for the profiler, which a head's step would feel.
        for each in self.parameters:
            each.grad = None
        self.scaler.scale(loss).backward()
        if self.recipe["clip_norm"] is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe["clip_norm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def _loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.data.kind == "classification":
            return functional.cross_entropy(outputs, targets, label_smoothing=self.recipe["label_smoothing"])
        return functional.mse_loss(outputs.squeeze(1), targets)

    def validate(self) -> dict[str, float | None]:
        """Loss (without label smoothing) and accuracy or RMSE on the validation rows; None where there are none."""
        measure = "validation_accuracy" if self.data.kind == "classification" else "validation_rmse"
        rows = self.data.validation
        if len(rows) == 0:
            return {"validation_loss": None, measure: None}
        self.network.module.eval()
        outputs = inference.outputs(self.feed.module, self.feed.inputs, rows).double()
        targets = self.data.targets(rows)
        if self.data.kind == "classification":
            loss = functional.cross_entropy(outputs, targets).item()
            return {"validation_loss": loss, measure: (outputs.argmax(1) == targets).double().mean().item()}
        loss = functional.mse_loss(outputs.squeeze(1), targets.double()).item()
        return {"validation_loss": loss, measure: math.sqrt(loss)}

    def _why_diverged(self, row: dict[str, Any], losses: list[float]) -> str | None:
        epoch, untrained = row["epoch"], self.history[0]["train_loss"]
        for step, loss in enumerate(losses, 1):
            if not math.isfinite(loss):
                return f"the training loss is {loss} at step {step} of epoch {epoch}"
        floating = [each for each in self.tensors.values() if each.is_floating_point()]
        if not torch.stack([each.isfinite().all() for each in floating]).all():
            return f"weights are not finite after epoch {epoch}"
        if row["validation_loss"] is not None and not math.isfinite(row["validation_loss"]):
            return f"the validation loss is {row['validation_loss']} after epoch {epoch}"
        if row["train_loss"] > DIVERGED * untrained:
            grown = f"{row['train_loss']:.4g}, over {DIVERGED:g} times the untrained network's {untrained:.4g}"
            return f"the training loss of epoch {epoch} is {grown}"
        return None

    def keep(self, epoch: int) -> None:
        """Sets the weights as they are aside as those of the run."""
        self.kept = {name: each.clone() for name, each in self.tensors.items()}
        self.kept_epoch = epoch

    def restore(self) -> None:
        """Puts the weights that were set aside back into the network."""
        _copy(self.kept, self.tensors)

    def save(self, path: Path, fingerprint: str) -> None:
        """Writes all that the next epoch depends on."""
        optimizer, plain = checkpoints.pack_optimizer(self.optimizer)
        parts = {"now": self.tensors, "optimizer": optimizer}
        if self.kept_epoch != self.epoch:
            parts["kept"] = self.kept
        tensors = {f"{part}/{name}": each for part, group in parts.items() for name, each in group.items()}
        meta = {
            "fingerprint": fingerprint,
            "history": self.history,
            "kept_epoch": self.kept_epoch,
            "optimizer": plain,
            "scaler": self.scaler.state_dict(),
        }
        checkpoints.save_state(path, tensors, meta)

    def load(self, path: Path, fingerprint: str) -> bool:
        """Takes up where ``save`` left off; False if there is nothing of this run to take up."""
        found = checkpoints.load_state(path)
        if found is None:
            return False
        tensors, meta = found
        if meta["fingerprint"] != fingerprint:
            _log.info("%s is of a run with other settings and is ignored", path)
            return False
        parts = {"now": {}, "kept": {}, "optimizer": {}}
        for name, each in tensors.items():
            part, _, inner = name.partition("/")
            parts[part][inner] = each
        _copy(parts["now"], self.tensors)
        checkpoints.unpack_optimizer(self.optimizer, parts["optimizer"], meta["optimizer"])
        self.scaler.load_state_dict(meta["scaler"])
        self.history = meta["history"]
        self.keep(meta["kept_epoch"])
        if parts["kept"]:
            _copy(parts["kept"], self.kept)
        _log.info("resumes after epoch %d", self.epoch)
        return True


def _copy(source: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, each in target.items():
            each.copy_(source[name])


def _check(recipe: dict[str, Any], data: Data, device: str) -> None:
    selects = recipe["checkpoint"] == "best" or recipe["early_stopping"] is not None
    if selects and len(data.validation) == 0:
        raise UserError(
            "recipe.checkpoint: best and recipe.early_stopping need validation examples, but the task has none; "
            "give it some (split.validation) or use checkpoint: last without early stopping"
        )
    precision.require(device, recipe["precision"])
