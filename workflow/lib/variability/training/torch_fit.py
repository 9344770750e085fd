"""Fits the parts of a torch network that train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from variability import seeding
from variability.models.networks import Network, freeze, train_mode, trained_tensors
from variability.training import checkpoints, inference, precision
from variability.training.activations import Feed
from variability.training.cpu_kernels.linear_head import LinearStep
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.fit_loop import Data, FitResult, Run, of_this_run, require_validation
from variability.training.optimizers import make_optimizer, set_rate


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
    active: list[str] | None = None,
) -> FitResult:
    """Trains the parts named in ``trainable``, in place, on ``device``, where the network is.

    feed: what is computed of the network, all of it or what follows its frozen prefix, and from what. state: file that
    holds, after each epoch, all that resuming needs; one with another ``fingerprint`` is ignored. on_epoch: called with
    each new row of the history. active: modules in training mode, see ``networks.train_mode``. Raises UserError if the
    device lacks the recipe's precision, or a recipe that selects by validation loss has no validation examples.

    A diverged fit (see ``fitting.Run.fit``) ends with the weights of the best epoch (checkpoint: best) or of the last
    one that was sound.
    """
    require_validation(recipe, data)
    precision.require(device, recipe["precision"])
    freeze(network, trainable)
    return _Run(network, trainable, feed, data, recipe, seed, device, active).fit(state, fingerprint, on_epoch)


class _Run(Run):
    """A fit under way."""

    def __init__(
        self,
        network: Network,
        trainable: list[str],
        feed: Feed,
        data: Data,
        recipe: dict[str, Any],
        seed: int,
        device: str,
        active: list[str] | None = None,
    ):
        super().__init__(data, recipe, seed)
        self.network, self.trainable, self.feed, self.device, self.active = network, trainable, feed, device, active
        self.kept: dict[str, torch.Tensor] = {}
        # The very tensors that training updates in place, not copies.
        self.tensors = trained_tensors(self.network, self.trainable)
        parameters = [each for each in self.network.module.parameters() if each.requires_grad]
        self.optimizer = make_optimizer(parameters, self.recipe)
        # In the optimizer's order, in which the gradients' norm is summed.
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        kind = torch.device(self.device).type
        self.quick = QuickLayers(self.feed.module, self.device, self.recipe["precision"])
        self.linear = LinearStep.of(self.feed.module)
        scaled = self.recipe["precision"] == "fp16" and self.linear is None
        self.scaler = torch.amp.GradScaler(kind, enabled=scaled)

    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        return self.feed.batches(order, self.recipe["batch_size"], self.seed, epoch)

    def steps(self, epoch: int, batches: list[np.ndarray], rates: list[float]) -> list[float]:
        train_mode(self.network, self.trainable, self.active)
        losses = []
        # Once an epoch: putting a generator's state aside and back makes the host wait for the GPU.
        with seeding.dropout(self.seed, epoch).torch_global(self.device):
            for at, (rows, lr) in enumerate(zip(batches, rates, strict=True)):
                set_rate(self.optimizer, lr, (epoch - 1) * len(batches) + at, self.recipe)
                losses.append(self._step(epoch, at, rows))
        # Read once an epoch, for the same reason.
        return torch.stack(losses).cpu().double().tolist()

    def _step(self, epoch: int, at: int, rows: np.ndarray) -> torch.Tensor:
        inputs = self.feed.inputs.training(rows, self.seed, epoch, at)
        targets = self.feed.inputs.targets(inputs)
        targets = self.data.targets(rows).to(self.device) if targets is None else targets

        def loss_of(outputs: torch.Tensor) -> torch.Tensor:
            return self.data.kind.loss(outputs.float(), targets, self.recipe["label_smoothing"])

        loss = self._by_autograd(inputs, loss_of) if self.linear is None else self.linear.loss(inputs, loss_of)
        if self.recipe["clip_norm"] is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe["clip_norm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def _by_autograd(self, inputs: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        with precision.autocast(self.device, self.recipe["precision"]), self.quick:
            outputs = self.feed.module(inputs)
        loss = loss_of(outputs)
        # As zero_grad does, without its record for the profiler, which a small network's step would feel.
        for each in self.parameters:
            each.grad = None
        self.scaler.scale(loss).backward()
        return loss

    def said(self, rows: np.ndarray) -> torch.Tensor:
        self.network.module.eval()
        return inference.outputs(self.feed.module, self.feed.inputs, rows, self.data.summary)

    def sound(self) -> bool:
        floating = [each for each in self.tensors.values() if each.is_floating_point()]
        return bool(torch.stack([each.isfinite().all() for each in floating]).all())

    def keep(self, epoch: int) -> None:
        self.kept = {name: each.clone() for name, each in self.tensors.items()}
        self.kept_epoch = epoch

    def restore(self) -> None:
        _copy(self.kept, self.tensors)

    def save(self, path: Path, fingerprint: str) -> None:
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
        found = checkpoints.load_state(path)
        if found is None:
            return False
        tensors, meta = found
        if not of_this_run(path, meta, fingerprint):
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
        return True


def _copy(source: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, each in target.items():
            each.copy_(source[name])
