"""Gradients of training batches of torch networks, computed in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from variability.errors import UserError
from variability.models import methods
from variability.models.networks import Network, batch_normalisation
from variability.training import memory, precision
from variability.training.activations import Feed
from variability.training.cpu_kernels.linear_head import LinearStep
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.fit_loop import FitData
from variability.training.micro_batches import MicroBatches
from variability.training.step_state import StepState
from variability.training.whole_batch_sampling import WholeBatchSampling


class BatchGradients:
    """Computes the gradients of the mean loss of a batch with respect to the parameters that train.

    network, feed: as of ``TorchFitLoop``. parameters: those that train. micro_batches: how batches are cut.
    """

    def __init__(
        self,
        network: Network,
        feed: Feed,
        data: FitData,
        parameters: list[torch.Tensor],
        recipe: Mapping[str, Any],
        seed: int,
        micro_batches: MicroBatches,
    ):
        self.network, self.feed, self.data, self.parameters = network, feed, data, parameters
        self.recipe, self.seed, self.micro_batches = recipe, seed, micro_batches
        self.device: str = feed.inputs.device
        self.quick = QuickLayers(feed.module, self.device, recipe["precision"])
        self.linear = LinearStep.of(feed.module)
        scaled = recipe["precision"] == "fp16" and self.linear is None
        self.scaler = torch.amp.GradScaler(torch.device(self.device).type, enabled=scaled)
        self.step_state: StepState | None = None

    def start_epoch(self) -> None:
        """Prepare for the modes in which the modules of the network are now."""
        # A linear layer has nothing that its forward pass could change.
        self.step_state = StepState(self.network.module, self.device) if self.linear is None else None

    def compute(self, epoch: int, batch: int, rows: np.ndarray) -> torch.Tensor:
        """Set the gradients of a batch, scaled by ``scaler``, and return its loss.

        If memory runs out, the computation starts again from the same state in micro-batches of half the size. Order,
        augmentation and dropout are those of the whole batch. Raises UserError if single examples do not fit.
        """
        if self.step_state is not None:
            self.step_state.save()
        while True:
            try:
                return self._compute(epoch, batch, rows)
            except Exception as error:
                if not memory.ran_out(error):
                    raise
                reason = memory.reason(error)
            # Only here, where the traceback does not hold the tensors of the failed pass any more.
            self._clear()
            memory.release(self.device)
            self.micro_batches.halve(epoch, batch, len(rows), self.device, reason, self._normalises_batches())
            if self.step_state is not None:
                self.step_state.restore()

    def _compute(self, epoch: int, batch: int, rows: np.ndarray) -> torch.Tensor:
        self._clear()
        inputs = self.feed.inputs.training(rows, self.seed, epoch, batch)
        parts = self.micro_batches.cut(len(rows))
        if parts == [(0, len(rows))]:
            return self._add(inputs, self._targets(rows, inputs))
        targets = [self._targets(rows[start:stop], inputs[start:stop]) for start, stop in parts]
        total, losses = self._count_targets(rows, inputs, targets), []
        for (start, stop), of_part in zip(parts, targets, strict=True):
            # The mean of no targets is not a number.
            if len(of_part) == 0:
                continue
            if losses and self.step_state is not None:
                self.step_state.restore_generators()
            sampling = WholeBatchSampling(start, stop, len(rows))
            losses.append(self._add(inputs[start:stop], of_part, len(of_part) / total, sampling))
        return torch.stack(losses).sum() if losses else torch.zeros((), device=self.device)

    def _count_targets(self, rows: np.ndarray, inputs: torch.Tensor, of_parts: list[torch.Tensor]) -> int:
        """Return the number of targets of a batch, of whose parts ``of_parts`` are the targets."""
        return sum(map(len, of_parts))

    def _targets(self, rows: np.ndarray, inputs: torch.Tensor) -> torch.Tensor:
        targets = self.feed.inputs.targets(inputs)
        return self.data.targets(rows).to(self.device) if targets is None else targets

    def _add(
        self,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        weight: float | None = None,
        sampling: AbstractContextManager | None = None,
    ) -> torch.Tensor:
        """Add the gradients of a loss to those of the parameters, and return the loss.

        weight: factor of the loss of a micro-batch. sampling: context of its forward pass.
        """

        def loss_of(outputs: torch.Tensor) -> torch.Tensor:
            loss = self.data.kind.loss(outputs.float(), targets, self.recipe["label_smoothing"])
            return loss if weight is None else weight * loss

        if self.linear is not None:
            return self.linear.loss(inputs, loss_of).detach()
        loss = loss_of(self._forward(inputs, sampling or nullcontext()))
        self.scaler.scale(loss).backward()
        return loss.detach()

    def _forward(self, inputs: torch.Tensor, sampling: AbstractContextManager) -> torch.Tensor:
        try:
            with precision.autocast(self.device, self.recipe["precision"]), self.quick, sampling:
                return self.feed.module(inputs)
        except ValueError as error:
            # The config check finds what is known before the data are.
            if methods.ONE_VALUE not in str(error):
                raise
            message = methods.one_value_message(self.network.name, "")
            raise UserError(self.micro_batches.single_example_message(message, self.device)) from error

    def _clear(self) -> None:
        # As zero_grad does, but without its profiler record, which takes a noticeable part of a small network's step.
        for parameter in self.parameters:
            parameter.grad = None

    def _normalises_batches(self) -> bool:
        return batch_normalisation(self.network.module) is not None
