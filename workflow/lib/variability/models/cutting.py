"""Cutting a network into a frozen prefix, which is computed once, and a suffix that trains.

A network is cut where its trained parts begin. For an image ``prefix`` returns the same activations in all epochs
and for all seeds that share the backbone; ``suffix`` turns them into outputs. Both use the network's own modules, so
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
from variability.models.networks import Network, TokenNetwork, freeze

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """prefix: (B, ...) inputs -> (B, ...) activations. suffix: activations -> (B, outputs)."""

    prefix: nn.Module
    suffix: nn.Module


def cut(network: Network, trainable: Iterable[str], example: torch.Tensor) -> Cut | None:
    """Cut a network where its trained parts begin; None if it cannot be cut, or if nothing before them is frozen.

    trainable: names of parts, each a unit of the network or all of it (""). example: a batch on the network's device,
    with which the halves are compared with the whole network. Only the code between the units is traced (Reed et al.,
    torch.fx, MLSys 2022), in eval mode; the units, and modules that are frozen as a whole, run unchanged.
    """
    trainable = list(trainable)
    if "" in trainable:
        return None
    network.module.eval()
    try:
        return _verified(_traced(network, set(trainable)), network, example)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # Tracing runs the network's code on symbols, which may raise any exception.
        name = type(network.module).__name__
        cut_untraced = _cut_before_head if trainable == [network.head] else _cut_before_layer
        if untraced := cut_untraced(network, trainable, example):
            return untraced
        _log.info("%s is not cut (%s: %s); all of it is computed each time", name, type(error).__name__, error)
        return None


class _Tracer(fx.Tracer):
    """Traces modules that contain trained parts, down to the units."""

    def __init__(self, units: set[str], trainable: set[str]):
        super().__init__()
        self._units = units
        self._trainable = trainable

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        contains_trained = any(part.startswith(f"{module_qualified_name}.") for part in self._trainable)
        return module_qualified_name in self._units or not contains_trained


def _verified(halves: Cut | None, network: Network, example: torch.Tensor) -> Cut | None:
    """Return the halves; raises ValueError if they do not compute what the network computes."""
    if halves is not None and not _agree(network.module, halves, example):
        raise ValueError("the halves do not return what the whole network returns")
    return halves


def _cut_before_head(network: Network, trainable: list[str], example: torch.Tensor) -> Cut | None:
    """Cut a network before its head, if that is its last step; None otherwise."""
    try:
        halves = Cut(_InputOf(network.module, network.head), network.module.get_submodule(network.head))
        return _verified(halves, network, example)
    except (ValueError, RuntimeError, TypeError):
        return None


def _cut_before_layer(network: Network, trainable: list[str], example: torch.Tensor) -> Cut | None:
    """Cut a ``TokenNetwork`` before its first block that trains; None for other networks."""
    first = next((block for block in network.blocks if block in trainable), None)
    if first is None or not isinstance(network.module, TokenNetwork):
        return None
    try:
        halves = _split_at_layer(network.module, first, example)
        if _depends(halves.prefix, network, trainable, example):
            raise ValueError(f"the input of {first} depends on parts that train")
        return _verified(halves, network, example)
    except (ValueError, RuntimeError, TypeError, AttributeError, LookupError) as error:
        _log.info("%s is not cut before %s: %s", network.name, first, error)
        return None


def _depends(prefix: nn.Module, network: Network, trainable: list[str], example: torch.Tensor) -> bool:
    """Return whether gradients would reach trained parts through the prefix's output."""
    before = [(parameter, parameter.requires_grad) for parameter in network.module.parameters()]
    freeze(network, trainable)
    try:
        with torch.enable_grad():
            return prefix(example).requires_grad
    finally:
        for parameter, required in before:
            parameter.requires_grad_(required)


def _traced(network: Network, trainable: set[str]) -> Cut | None:
    # Symbols for optional arguments would be mistaken for masks and the like.
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
    prefix = _traced_prefix(network.module, graph, between[0])
    return Cut(prefix, _traced_suffix(network.module, graph, between[0], trained))


def _traced_prefix(module: nn.Module, graph: fx.Graph, last: fx.Node) -> fx.GraphModule:
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


def _traced_suffix(module: nn.Module, graph: fx.Graph, last: fx.Node, trained: set[fx.Node]) -> nn.Module:
    if [node.op for node in graph.nodes if node in trained] == ["call_module", "output"]:
        return module.get_submodule(next(node.target for node in graph.nodes if node in trained))
    half = fx.Graph()
    copies = {last: half.placeholder("activations")}
    for node in graph.nodes:
        if (node.op == "get_attr" and trained.intersection(node.users)) or node in trained:
            copies[node] = half.node_copy(node, copies.__getitem__)
    return fx.GraphModule(module, half)


@torch.inference_mode()
def _agree(module: nn.Module, halves: Cut, example: torch.Tensor) -> bool:
    return torch.equal(halves.suffix(halves.prefix(example)), module(example))


class _Reached(Exception):
    """Carries the input of a part out of the running network."""


class _InputOf(nn.Module):
    """A network that is run until a part is called; returns the part's first argument."""

    def __init__(self, whole: nn.Module, part: str):
        super().__init__()
        self._whole = whole
        self._part = part

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        def stop(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            raise _Reached(arguments[0])

        hook = self._whole.get_submodule(self._part).register_forward_pre_hook(stop)
        try:
            self._whole(inputs)
        except _Reached as reached:
            return reached.args[0]
        finally:
            hook.remove()
        raise ValueError(f"the network does not call its {self._part}")


def _split_at_layer(network: TokenNetwork, layer: str, example: torch.Tensor) -> Cut:
    """Cut a network before one of its layers; both halves share the network's modules.

    network: in eval mode. layer: its dotted name, in a list of layers. example: (B, L) tokens, of unequal length.
    Raises ValueError if the halves do not compute what the network computes: then the layer has inputs other than
    the hidden states.
    """
    example = network.with_marks(example)
    halves = Cut(_LayersBefore(network, layer), _LayersFrom(network, layer, example))
    with torch.no_grad():
        if not torch.equal(halves.suffix(halves.prefix(example)), network(example)):
            raise ValueError(f"{layer} has inputs other than the output of the layer before it")
    return halves


class _LayersBefore(nn.Module):
    """(B, L) tokens -> (B, L, width) hidden states that are the input of a layer; NaN at padding."""

    def __init__(self, network: TokenNetwork, layer: str):
        super().__init__()
        self._input_of_layer = _InputOf(network, layer)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._input_of_layer(tokens).masked_fill((tokens == PADDING).unsqueeze(2), torch.nan)


class _LayersFrom(nn.Module):
    """(B, L, width) hidden states that are the input of a layer, NaN at padding -> (B, outputs).

    The network with pass-through layers before that layer, the first of which returns the hidden states.
    """

    def __init__(self, network: TokenNetwork, layer: str, example: torch.Tensor):
        super().__init__()
        path, _, position = layer.rpartition(".")
        if int(position) == 0:
            raise ValueError(f"there is no layer before {layer}")
        self._network = _copied_along(network, path)
        self._dummy_token = network.dummy_token
        self._hidden: torch.Tensor | None = None
        layers, copies = network.get_submodule(path), self._network.get_submodule(path)
        for index in range(int(position)):
            pass_through = copy.copy(layers[index])
            pass_through.forward = self._pass_through(index == 0, _output_form(network, layers[index], example))
            copies[index] = pass_through

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        is_token = ~activations[..., 0].isnan()
        # Only the positions of the tokens matter: pass-through layers ignore the embeddings.
        tokens = torch.where(is_token, self._dummy_token, PADDING)
        self._hidden = activations.masked_fill(~is_token.unsqueeze(2), 0)
        try:
            return self._network(tokens)
        finally:
            self._hidden = None

    def _pass_through(self, first: bool, form: Callable[[Any], Any]) -> Callable[..., Any]:
        def forward(*arguments: Any, **named: Any) -> Any:
            return form(self._hidden if first else arguments[0])

        return forward


def _copied_along(network: nn.Module, path: str) -> nn.Module:
    """Return a shallow copy of a network in which the modules along a path are copied, too; all others are shared."""
    copied = copy.copy(network)
    copied._modules = dict(network._modules)
    child, _, rest = path.partition(".")
    if child:
        copied._modules[child] = _copied_along(network._modules[child], rest)
    return copied


@torch.no_grad()
def _output_form(network: nn.Module, layer: nn.Module, example: torch.Tensor) -> Callable[[Any], Any]:
    """Return a function that wraps hidden states as the layer does: not at all, or as the first of a tuple."""
    outputs: list[Any] = []
    hook = layer.register_forward_hook(lambda _module, _arguments, output: outputs.append(output))
    try:
        network(example)
    finally:
        hook.remove()
    if isinstance(outputs[0], tuple):
        others = (None,) * (len(outputs[0]) - 1)
        return lambda hidden: (hidden, *others)
    return lambda hidden: hidden
