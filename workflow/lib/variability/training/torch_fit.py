"""The training loop of torch networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from variability import seeding
from variability.errors import UserError
from variability.models.networks import Network, freeze, train_mode, trained_tensors
from variability.training import checkpoints, inference, memory, precision
from variability.training.activations import Feed
from variability.training.fit_loop import FitLoop, FitSpec, Step
from variability.training.gradients import BatchGradients
from variability.training.optimizers import make_optimizer, set_rate
from variability.training.saving import matches_fingerprint


class TorchFitLoop(FitLoop):
    """Training loop of a torch network, whose weights it changes in place.

    trainable: names of the parts that train. feed: the module to compute, all of the network or what follows its frozen
    prefix, and its inputs, on whose device the network must be. active: modules in training mode, see
    ``networks.train_mode``.

    Raises UserError if the device lacks the recipe's precision, and as ``FitLoop`` does.
    """

    def __init__(
        self, spec: FitSpec, network: Network, trainable: list[str], feed: Feed, active: list[str] | None = None
    ):
        super().__init__(spec)
        self.network, self.trainable, self.feed, self.active = network, trainable, feed, active
        self.device: str = feed.inputs.device
        precision.require(self.device, self.recipe["precision"])
        freeze(network, trainable)
        self.retained: dict[str, torch.Tensor] = {}
        #: States of the generators of dropout at a step within an epoch, from which the fit resumes.
        self.generators: dict[str, torch.Tensor] = {}
        # The tensors that training updates in place, not copies of them.
        self.tensors = trained_tensors(network, trainable)
        parameters = [parameter for parameter in network.module.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(parameters, self.recipe)
        # In the optimizer's order, in which the norm of the gradients is summed.
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.gradients = self.make_gradients()
        self.scaler = self.gradients.scaler

    def make_gradients(self) -> BatchGradients:
        """Return what computes the gradients of batches."""
        return BatchGradients(
            self.network, self.feed, self.data, self.parameters, self.recipe, self.seed, self.micro_batches
        )

    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        return self.feed.batches(order, self.recipe["batch_size"], self.seed, epoch)

    @contextmanager
    def training(self, epoch: int) -> Iterator[None]:
        train_mode(self.network, self.trainable, self.active)
        self.gradients.start_epoch()
        # Once per epoch: saving and restoring a generator's state makes the host wait for the GPU.
        with seeding.dropout(self.seed, epoch).torch_global(self.device):
            if self.generators:
                seeding.set_torch_states(self.generators, self.device)
            yield
        self.generators = {}

    def step(self, step: Step) -> torch.Tensor:
        set_rate(self.optimizer, step.lr, step.number, self.recipe)
        loss = self.gradients.compute(step.epoch, step.batch, step.rows)
        try:
            self._update()
        except Exception as error:
            if not memory.ran_out(error):
                raise
            # It may be half done, and smaller micro-batches would not make it smaller.
            what = "the network, its gradients and the state of the optimizer do not fit"
            raise UserError(memory.message(what, self.device, memory.reason(error))) from error
        return loss

    def _update(self) -> None:
        if self.recipe["clip_norm"] is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe["clip_norm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def floats(self, losses: list[torch.Tensor]) -> list[float]:
        # Read seldom, because it makes the host wait for the GPU.
        return torch.stack(losses).cpu().double().tolist() if losses else []

    def outputs(self, rows: np.ndarray) -> torch.Tensor:
        self.network.module.eval()
        return inference.outputs(self.feed.module, self.feed.inputs, rows, self.data.summary)

    def weights_are_finite(self) -> bool:
        floating = [tensor for tensor in self.tensors.values() if tensor.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in floating]).all())

    def retain_weights(self, epoch: int) -> None:
        self.retained = {name: tensor.clone() for name, tensor in self.tensors.items()}
        self.retained_epoch = epoch

    def restore_retained_weights(self) -> None:
        _copy(self.retained, self.tensors)

    def save_state(self, path: Path) -> None:
        optimizer, plain = checkpoints.pack_optimizer(self.optimizer)
        parts = {"current": self.tensors, "optimizer": optimizer}
        if self.losses:
            parts["generators"] = self.generator_states()
        if self.losses or self.retained_epoch != self.epoch:
            parts["retained"] = self.retained
        tensors = {f"{part}/{name}": tensor for part, group in parts.items() for name, tensor in group.items()}
        metadata = {
            "fingerprint": self.spec.fingerprint,
            "progress": self.progress(),
            "optimizer": plain,
            "scaler": self.scaler.state_dict(),
        }
        checkpoints.save_state(path, tensors, metadata)

    def generator_states(self) -> dict[str, torch.Tensor]:
        """Return the states of the generators of dropout."""
        return seeding.torch_states(self.device)

    def load_state(self, path: Path) -> bool:
        state = checkpoints.load_state(path)
        if state is None:
            return False
        tensors, metadata = state
        if not matches_fingerprint(path, metadata, self.spec.fingerprint):
            return False
        names = ("current", "retained", "optimizer", "generators")
        parts: dict[str, dict[str, torch.Tensor]] = {name: {} for name in names}
        for name, tensor in tensors.items():
            part, _, inner = name.partition("/")
            parts[part][inner] = tensor
        _copy(parts["current"], self.tensors)
        checkpoints.unpack_optimizer(self.optimizer, parts["optimizer"], metadata["optimizer"])
        self.scaler.load_state_dict(metadata["scaler"])
        # Copies: torch reads a state from the start of its tensor's storage, which may hold other tensors before it.
        self.generators = {name: state.clone() for name, state in parts["generators"].items()}
        self.restore_progress(metadata["progress"])
        self.retain_weights(metadata["progress"]["retained_epoch"])
        if parts["retained"]:
            _copy(parts["retained"], self.retained)
        return True


def _copy(source: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
