"""Gradients of a linear layer that is all that is computed in a step: a head on stored activations."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


class LinearStep:
    """Loss and gradients of a linear layer, as autograd gives them bit by bit, without its walk through the layer.

    A head's step at usual batch sizes is the starting of operations, not their sums, and autograd's are half of them.
    All of it is in fp32, of activations in half precision too, which converting weights and gradients costs more than.
    """

    def __init__(self, layer: nn.Linear):
        self.weight, self.bias = layer.weight, layer.bias

    @classmethod
    def of(cls, module: nn.Module) -> "LinearStep | None":
        """The step of a module that is a linear layer and trains as a whole; None of another."""
        trains = all(each.requires_grad for each in module.parameters())
        return cls(module) if type(module) is nn.Linear and trains else None

    def loss(self, inputs: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Sets the gradients of a loss, a function of the outputs (rows, units); inputs: (rows, width)."""
        inputs = inputs.float()
        with torch.no_grad():
            outputs = functional.linear(inputs, self.weight, self.bias)
        loss = loss_of(outputs.requires_grad_())
        (gradient,) = torch.autograd.grad(loss, outputs)
        self.weight.grad = gradient.t() @ inputs
        if self.bias is not None:
            self.bias.grad = gradient.sum(0)
        return loss
