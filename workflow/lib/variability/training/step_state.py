"""State that a forward pass in training changes, so that a step can start again."""

import torch
from torch import nn

from variability import seeding


class StepState:
    """Buffers of the modules in training mode, such as the statistics of BatchNorm, and torch's random generators.

    module: in the modes in which it trains. Without a step that was saved nothing can be restored.
    """

    def __init__(self, module: nn.Module, device: str):
        self._device = device
        self._buffers = [buffer for part in module.modules() if part.training for buffer in part.buffers(recurse=False)]
        self._copies = [buffer.clone() for buffer in self._buffers]

    def save(self) -> None:
        """Save the state at the start of a step."""
        if self._buffers:
            # One call for all of them: networks have up to some hundreds.
            torch._foreach_copy_(self._copies, self._buffers)
        self._generators = seeding.torch_states(self._device)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the state at the start of the step."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._copies)
        self.restore_generators()

    def restore_generators(self) -> None:
        """Restore only the generators."""
        seeding.set_torch_states(self._generators, self._device)
