"""The training loop of a torch network that several processes train together."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from variability import seeding
from variability.errors import UserError
from variability.models import methods
from variability.models.networks import Network, batch_normalisation
from variability.training import inference, memory
from variability.training.activations import Feed
from variability.training.fit_loop import FitSpec
from variability.training.gradients import BatchGradients
from variability.training.micro_batches import SharedMicroBatches
from variability.training.ranks import Ranks
from variability.training.torch_fit import TorchFitLoop


class SharedFitLoop(TorchFitLoop):
    """Training loop of one of the processes of a run: each has the network, and computes a share of every batch.

    All make the same updates from the sum of their gradients. Order, augmentation and dropout are those of the whole
    batch, as for micro-batches; results are those of one process with micro-batches of the same size, bit by bit. The
    first process decides when to save and to stop, and writes the state. Each computes a part of the validation
    examples. Parameters other than ``ranks`` are as of ``TorchFitLoop``.

    Raises UserError, in addition, for BatchNorm that trains, whose statistics would be of one share.
    """

    def __init__(
        self,
        ranks: Ranks,
        spec: FitSpec,
        network: Network,
        trainable: list[str],
        feed: Feed,
        active: list[str] | None = None,
    ):
        self.ranks = ranks
        super().__init__(spec, network, trainable, feed, active)

    def make_gradients(self) -> BatchGradients:
        self.micro_batches = SharedMicroBatches(self.recipe, self.ranks.rank)
        arguments = (self.network, self.feed, self.data, self.parameters, self.recipe, self.seed, self.micro_batches)
        return SharedGradients(self.ranks, *arguments)

    def outputs(self, rows: np.ndarray) -> torch.Tensor:
        self.network.module.eval()
        inputs, ranks = self.feed.inputs, self.ranks
        parts = inputs.parts(rows, inference.BATCH)
        parts_of = [parts[rank :: ranks.size] for rank in range(ranks.size)]
        own = inference.outputs_of_parts(self.feed.module, inputs, rows, parts_of[ranks.rank], self.data.summary)
        outputs = []
        for rank, of_rank in enumerate(parts_of):
            if of_rank:
                computed = torch.cat([batch for _, batch in own]) if rank == ranks.rank else None
                outputs.append((np.concatenate(of_rank), ranks.tensor_of(rank, computed)))
        return inference.in_order(outputs)

    def weights_are_finite(self) -> bool:
        """Return whether all trained weights are finite. Raises UserError if those of two processes differ."""
        finite, checksum = super().weights_are_finite(), sum(map(_byte_sum, self.tensors.values()))
        of_all = self.ranks.of_all([finite, checksum])
        if not of_all[:, 0].all():
            return False
        if (of_all != of_all[0]).any():
            raise UserError(
                "the processes of the run have computed different weights from the same gradients, which GPUs of "
                "different models may do; let CUDA_VISIBLE_DEVICES show GPUs of one model, or use gpus_per_run: 1"
            )
        return True

    def requests(self) -> tuple[bool, bool]:
        stop, due = self.ranks.of_first(super().requests())
        return bool(stop), bool(due)

    def save_state(self, path: Path) -> None:
        # The others only contribute the states of their generators.
        if self.ranks.rank == 0:
            super().save_state(path)
        elif self.losses:
            self.generator_states()

    def generator_states(self) -> dict[str, torch.Tensor]:
        # They may differ where dropout does not sample its numbers for the whole batch.
        own, states = super().generator_states(), {}
        for rank in range(self.ranks.size):
            for name, state in own.items():
                states[f"{rank}/{name}"] = self.ranks.tensor_of(rank, state if rank == self.ranks.rank else None)
        return states

    def load_state(self, path: Path) -> bool:
        rank = self.ranks.rank
        (loaded,) = self.ranks.of_first([rank == 0 and super().load_state(path)])
        if loaded and rank > 0 and not super().load_state(path):
            raise UserError(f"{path} cannot be read by all processes of the run; remove it, and the run starts again")
        own = f"{rank}/"
        self.generators = {
            name.removeprefix(own): state for name, state in self.generators.items() if name.startswith(own)
        }
        return bool(loaded)


class SharedGradients(BatchGradients):
    """Computes the gradients of a share of each batch, and adds up those of all processes.

    If memory runs out in one of the processes, all of them start the step again with smaller micro-batches.
    """

    def __init__(self, ranks: Ranks, *arguments: Any):
        super().__init__(*arguments)
        self.ranks = ranks

    def start_epoch(self) -> None:
        super().start_epoch()
        # The config check finds what is known before the network is built.
        if (layer := batch_normalisation(self.network.module)) is not None:
            raise UserError(f"recipe.gpus_per_run: {methods.shared_batch_message(self.network.name, layer)}")

    def _compute(self, epoch: int, batch: int, rows: np.ndarray) -> torch.Tensor:
        reason, loss = "", torch.zeros((), device=self.device)
        try:
            loss = super()._compute(epoch, batch, rows)
        except Exception as error:
            if not memory.ran_out(error):
                raise
            reason = memory.reason(error)
        has_gradient = [parameter.grad is not None for parameter in self.parameters]
        of_all = self.ranks.of_all([bool(reason), *has_gradient])
        if of_all[:, 0].any():
            raise MemoryError(reason or "in another process of the run")
        # A process has none if its share has no examples, or none with a target.
        sharing = np.flatnonzero(of_all[:, 1:].any(axis=1)).tolist()
        if len(sharing) < self.ranks.size:
            self._follow_generators(sharing[0])
        return self._sum(loss, of_all[:, 1:].any(axis=0), sharing)

    def _sum(self, loss: torch.Tensor, has_gradient: np.ndarray, sharing: list[int]) -> torch.Tensor:
        """Replace the gradients by their sums over the processes that have some, and return the sum of their losses.

        has_gradient: (parameters,) whether the batch as a whole gives a parameter a gradient.
        """
        loss = loss.clone()
        gradients = []
        for parameter, present in zip(self.parameters, has_gradient.tolist(), strict=True):
            if present:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradients.append(parameter.grad)
        self.ranks.sum_in_order([loss, *gradients], sharing)
        return loss

    def _count_targets(self, rows: np.ndarray, inputs: torch.Tensor, of_parts: list[torch.Tensor]) -> int:
        return len(self._targets(rows, inputs))

    def _follow_generators(self, rank: int) -> None:
        """Take over the states of a process's generators, because one that computed nothing sampled nothing."""
        own = seeding.torch_states(self.device)
        followed = {
            name: self.ranks.tensor_of(rank, state if self.ranks.rank == rank else None) for name, state in own.items()
        }
        seeding.set_torch_states(followed, self.device)


def _byte_sum(tensor: torch.Tensor) -> int:
    return int(tensor.detach().reshape(-1).view(torch.uint8).sum(dtype=torch.int64))
