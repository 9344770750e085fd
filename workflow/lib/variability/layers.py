"""Networks that cannot be traced, cut before one of their parts.

What a network of Transformers computes depends on its masks' values, so it is not traced. But it is a list of layers,
each of which is given what the one before says of every token. So the rest of it, from a layer on, is the network with
layers before that one that pass on what they are given, the first of them what it all begins from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from variability.networks import Layered
from variability.tokens import NOTHING


class _Reached(Exception):
    """Carries what a part is given out of the network that would give it."""


class UpTo(nn.Module):
    """A network, run until a part is given its first input, which is what it gives."""

    def __init__(self, whole: nn.Module, part: str):
        super().__init__()
        self._whole = whole
        self._part = part

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        def stop(_, given):
            raise _Reached(given[0])

        hook = self._whole.get_submodule(self._part).register_forward_pre_hook(stop)
        try:
            self._whole(inputs)
        except _Reached as reached:
            return reached.args[0]
        finally:
            hook.remove()
        raise ValueError(f"the network does without its {self._part}")


def halves(network: Layered, layer: str, example: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """What comes before a layer, (B, L) tokens -> (B, L, width) with NaN where no token is, and the rest.

    network: in eval mode. layer: its name, in a list of layers. example: (B, L) tokens, of unequal length. Both halves
    share the network's modules. Raises ValueError where they do not give what the network gives: there a layer knows
    more of the tokens than what the one before says of them.
    """
    example = network.varied(example)
    before, rest = Before(network, layer), Rest(network, layer, example)
    with torch.no_grad():
        if not torch.equal(rest(before(example)), network(example)):
            raise ValueError(f"{layer} is given more than what the layer before it says")
    return before, rest


class Before(nn.Module):
    """(B, L) tokens -> (B, L, width), what the layer is given; NaN where no token is."""

    def __init__(self, network: Layered, layer: str):
        super().__init__()
        self._until = UpTo(network, layer)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._until(tokens).masked_fill((tokens == NOTHING).unsqueeze(2), torch.nan)


class Rest(nn.Module):
    """(B, L, width), what the layer is given, NaN where no token is -> (B, outputs)."""

    def __init__(self, network: Layered, layer: str, example: torch.Tensor):
        super().__init__()
        layers, _, place = layer.rpartition(".")
        if int(place) == 0:
            raise ValueError(f"no layer stands before {layer}")
        self._network = _with_own(network, layers)
        self._filler = network.filler
        self._given: torch.Tensor | None = None
        theirs, own = network.get_submodule(layers), self._network.get_submodule(layers)
        for at in range(int(place)):
            passing = copy.copy(theirs[at])
            passing.forward = self._passing(at == 0, _form(network, theirs[at], example))
            own[at] = passing

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        there = ~activations[..., 0].isnan()
        # Of the tokens nothing matters but where they are: the layers that pass on do not look at what is made of them.
        tokens = torch.where(there, self._filler, NOTHING)
        self._given = activations.masked_fill(~there.unsqueeze(2), 0)
        try:
            return self._network(tokens)
        finally:
            self._given = None

    def _passing(self, first: bool, form: Callable[[torch.Tensor], Any]) -> Callable[..., Any]:
        def forward(*given: Any, **named: Any) -> Any:
            return form(self._given if first else given[0])

        return forward


def _with_own(network: nn.Module, path: str) -> nn.Module:
    """The network with what lies on the way to a part, and that part, of its own; all else is shared."""
    own = copy.copy(network)
    own._modules = dict(network._modules)
    child, _, rest = path.partition(".")
    if child:
        own._modules[child] = _with_own(network._modules[child], rest)
    return own


@torch.no_grad()
def _form(network: nn.Module, layer: nn.Module, example: torch.Tensor) -> Callable[[torch.Tensor], Any]:
    """How a layer says what it says: a tensor, or a tuple whose first it is."""
    said: list[Any] = []
    hook = layer.register_forward_hook(lambda _, given, found: said.append(found))
    try:
        network(example)
    finally:
        hook.remove()
    if isinstance(said[0], tuple):
        others = (None,) * (len(said[0]) - 1)
        return lambda hidden: (hidden, *others)
    return lambda hidden: hidden
