"""The frozen prefix of a network: all that does not depend on what trains, so that it need not be computed twice.

A network is cut where its trained parts begin: ``prefix`` gives, for an image, the same activations in every epoch and
for every seed that shares the backbone; ``suffix`` turns them into outputs. Both use the network's own modules, so
that training the suffix trains the network.

A network of Transformers cannot be traced, because what it computes depends on the values of its masks. But it is a
list of layers, each of which receives the hidden states of the one before. The part from a layer on is the network with
pass-through layers before that one, the first of which injects the stored hidden states.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from variability.data.padding import PADDING
from variability.models.networks import Layered, Network, freeze

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """prefix: (B, ...) inputs -> (B, ...) activations. suffix: activations -> (B, outputs)."""

    prefix: nn.Module
    suffix: nn.Module


def cut(network: Network, trainable: Iterable[str], example: torch.Tensor) -> Cut | None:
    """Cuts a network where its trained parts begin; None where it cannot be cut, or nothing is frozen before them.

    trainable: names of parts, each a unit of the network or all of it (""). example: a batch as the network takes it,
    on its device, on which the halves are compared with the whole. Only what stands between the units is traced (Reed
    et al., torch.fx, MLSys 2022), and that in eval mode: the units, and what is frozen as a whole, run as they are.
    """
    trainable = list(trainable)
    if "" in trainable:
        return None
    network.module.eval()
    try:
        return _tried(_traced(network, set(trainable)), network, example)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # Tracing runs the network's own code on symbols, and that may raise anything.
        name = type(network.module).__name__
        untraced = _before_head if trainable == [network.head] else _before_layer
        if found := untraced(network, trainable, example):
            return found
        _log.info("%s is not cut (%s: %s); all of it is computed each time", name, type(error).__name__, error)
        return None


class _Tracer(fx.Tracer):
    """Looks into what holds parts that train, down to the units, and no further."""

    def __init__(self, units: set[str], trainable: set[str]):
        super().__init__()
        self._units = units
        self._trainable = trainable

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        holds = any(part.startswith(f"{module_qualified_name}.") for part in self._trainable)
        return module_qualified_name in self._units or not holds


def _tried(found: Cut | None, network: Network, example: torch.Tensor) -> Cut | None:
    if found is not None and not _alike(network.module, found, example):
        raise ValueError("the halves do not give what the whole gives")
    return found


def _before_head(network: Network, trainable: list[str], example: torch.Tensor) -> Cut | None:
    """The cut before the head of a network whose last step it is; None of another."""
    try:
        halves = UpTo(network.module, network.head), network.module.get_submodule(network.head)
        return _tried(Cut(*halves), network, example)
    except (ValueError, RuntimeError, TypeError):
        return None


def _before_layer(network: Network, trainable: list[str], example: torch.Tensor) -> Cut | None:
    """The cut before the first block that trains of a ``networks.Layered`` network; None of another."""
    first = next((block for block in network.blocks if block in trainable), None)
    if first is None or not isinstance(network.module, Layered):
        return None
    try:
        found = Cut(*halves(network.module, first, example))
        if _depends(found.prefix, network, trainable, example):
            raise ValueError(f"what trains has a part in what {first} is given")
        return _tried(found, network, example)
    except (ValueError, RuntimeError, TypeError, AttributeError, LookupError) as error:
        _log.info("%s is not cut before %s: %s", network.name, first, error)
        return None


def _depends(prefix: nn.Module, network: Network, trainable: list[str], example: torch.Tensor) -> bool:
    """Whether a gradient would reach what trains through what the prefix gives."""
    before = [(each, each.requires_grad) for each in network.module.parameters()]
    freeze(network, trainable)
    try:
        with torch.enable_grad():
            return prefix(example).requires_grad
    finally:
        for each, required in before:
            each.requires_grad_(required)


def _traced(network: Network, trainable: set[str]) -> Cut | None:
    # Symbols in the place of optional arguments would be taken for masks and the like that were given.
    parameters = inspect.signature(network.module.forward).parameters.values()
    optional = {each.name: each.default for each in parameters if each.default is not each.empty}
    graph = _Tracer(set(network.chain), trainable).trace(network.module, optional)
    trained: set[fx.Node] = set()
    for node in graph.nodes:
        if (node.op == "call_module" and node.target in trainable) or trained.intersection(node.all_input_nodes):
            trained.add(node)
    used = {parent for node in trained for parent in node.all_input_nodes} - trained
    between = [node for node in graph.nodes if node in used and node.op != "get_attr"]
    if len(between) != 1 or between[0].op == "placeholder":
        return None
    return Cut(_before(network.module, graph, between[0]), _after(network.module, graph, between[0], trained))


def _before(module: nn.Module, graph: fx.Graph, last: fx.Node) -> fx.GraphModule:
    needed = {last}
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    half, copies = fx.Graph(), {}
    for node in graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = half.node_copy(node, copies.__getitem__)
    half.output(copies[last])
    return fx.GraphModule(module, half)


def _after(module: nn.Module, graph: fx.Graph, last: fx.Node, trained: set[fx.Node]) -> nn.Module:
    if [node.op for node in graph.nodes if node in trained] == ["call_module", "output"]:
        return module.get_submodule(next(node.target for node in graph.nodes if node in trained))
    half = fx.Graph()
    copies = {last: half.placeholder("activations")}
    for node in graph.nodes:
        if (node.op == "get_attr" and trained.intersection(node.users)) or node in trained:
            copies[node] = half.node_copy(node, copies.__getitem__)
    return fx.GraphModule(module, half)


@torch.inference_mode()
def _alike(module: nn.Module, halves: Cut, example: torch.Tensor) -> bool:
    return torch.equal(halves.suffix(halves.prefix(example)), module(example))


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
        return self._until(tokens).masked_fill((tokens == PADDING).unsqueeze(2), torch.nan)


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
        tokens = torch.where(there, self._filler, PADDING)
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
