"""Gradients in closed form of a linear layer that is the whole computation of a step: a head on stored activations."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from variability.training.cpu_kernels import switch


class LinearStep:
    """Loss and gradients of a linear layer, bit by bit those of autograd, without its pass through the layer.

    At common batch sizes a head's step spends its time on starting operations, and half of them are autograd's. The
    step is computed in fp32, also from activations in half precision: converting weights and gradients costs more.
    """

    def __init__(self, layer: nn.Linear):
        self.weight, self.bias = layer.weight, layer.bias

    @classmethod
    def of(cls, module: nn.Module) -> "LinearStep | None":
        """Return the step of a linear layer that trains as a whole; None for other modules and with kernels off."""
        trains = all(parameter.requires_grad for parameter in module.parameters())
        return cls(module) if switch.enabled() and type(module) is nn.Linear and trains else None

    def loss(self, inputs: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Add the gradients of a loss to those of the parameters, as autograd does, and return it.

        inputs: (rows, width). loss_of: maps the layer's outputs, (rows, units), to a scalar.
        """
        inputs = inputs.float()
        with torch.no_grad():
            outputs = functional.linear(inputs, self.weight, self.bias)
        loss = loss_of(outputs.requires_grad_())
        (gradient,) = torch.autograd.grad(loss, outputs)
        _add_gradient(self.weight, gradient.t() @ inputs)
        if self.bias is not None:
            _add_gradient(self.bias, gradient.sum(0))
        return loss


def _add_gradient(parameter: nn.Parameter, gradient: torch.Tensor) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
