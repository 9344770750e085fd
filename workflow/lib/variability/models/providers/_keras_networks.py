"""Keras networks as the workflow sees them: a model, its fresh head, its blocks, and where to cut it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.utils import naming

from variability import seeding

HEAD = "head"
_NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
)
# The layers of a block share the beginning of their names: block_1_expand, conv2_block3_out, stage_0_block_1_dense_1.
_BLOCK = re.compile(r"^(.*?(?:block|cell)_?\d+[a-z]?)(?=_|$)|^((?:expanded_conv|conv_dw|conv_pw)(?:_\d+)?)(?=_|$)")


class Unit(NamedTuple):
    """A part that a network is a chain of: all of it that the next sees is ``output``, one tensor."""

    name: str
    layers: list[keras.layers.Layer]
    output: Any


@dataclass(frozen=True)
class KerasNetwork:
    """A network with a fresh head.

    model: a functional model, (B, size, size, 3) float32 -> (B, outputs). Its parts go by the names of its units.
    """

    model: keras.Model

    @property
    def head(self) -> str:
        return HEAD

    @property
    def name(self) -> str:
        """What it is, in a message."""
        return self.model.name

    @cached_property
    def units(self) -> list[Unit]:
        return _units(self.model)

    @cached_property
    def blocks(self) -> list[str]:
        """Names of the backbone's blocks, from input to output: units that are more than normalisation."""
        return [unit.name for unit in self.units if unit.name != HEAD and _learns(unit.layers)]

    def last_blocks(self, count: int) -> list[str]:
        """The parts from the ``count``-th last block to the output, the head included."""
        names = [unit.name for unit in self.units]
        return names[names.index(self.blocks[-count]) :]

    def trained_from(self, parts: list[str]) -> int:
        """Number of the first unit that trains where these parts do: "" is all of the network."""
        names = [unit.name for unit in self.units]
        return 0 if "" in parts else min(names.index(part) for part in parts)

    def cut(self, at: int) -> tuple[keras.Model | None, keras.Model]:
        """What comes before a unit, if there is something, and the rest: models on the very same layers."""
        if at == 0:
            return None, self.model
        between = self.units[at - 1].output
        return keras.Model(self.model.inputs[0], between), keras.Model(between, self.model.outputs[0])


def attach_head(backbone: keras.Model, outputs: int, seed: int) -> KerasNetwork:
    """A backbone, (B, features) at its output, with a fresh head drawn from the seed's ``init`` stream."""
    head = keras.layers.Dense(outputs, name=HEAD, dtype="float32", kernel_initializer="zeros")
    network = KerasNetwork(keras.Model(backbone.inputs[0], head(backbone.outputs[0]), name=backbone.name))
    sample_head(network, seed)
    return network


def sample_head(network: KerasNetwork, seed: int) -> None:
    """Draws the head anew, in place: uniform in +-1/sqrt(fan in), the law of ``networks.sample_head``."""
    generator = seeding.head(seed).generator()
    layer = network.model.get_layer(HEAD)
    bound = layer.kernel.shape[0] ** -0.5
    for weight in layer.weights:
        weight.assign(generator.uniform(-bound, bound, weight.shape).astype(np.float32))


def tensors(model: keras.Model) -> dict[str, np.ndarray]:
    """All weights by their paths; states of random generators are no weights."""
    return {weight.path: weight.value.numpy() for weight in model.weights}


@contextmanager
def constructing(seed: int) -> Iterator[None]:
    """Let Keras sample weights from the seed, and number its layers from 1, inside the ``with`` block.

    An initializer without a seed takes one from Python's global generator.
    """
    naming.reset_uids()
    with seeding.backbone(seed).python_global():
        yield


def _units(model: keras.Model) -> list[Unit]:
    """Cuts the graph wherever a single tensor is all that later layers need of earlier ones, and joins what is a block.

    Layers whose names begin with the same block are one unit, and what learns nothing but a normalisation belongs to
    the unit before it.
    """
    units: list[Unit] = []
    for layers, output in _pieces(model):
        name = _name(layers)
        mere = layers[-1].name != HEAD and not _learns(layers)
        if units and units[-1].name != HEAD and (mere or name == units[-1].name):
            units[-1] = Unit(units[-1].name, units[-1].layers + layers, output)
        else:
            units.append(Unit(name, layers, output))
    # What stands before the first block, such as padding, belongs to it.
    if len(units) > 1 and not _learns(units[0].layers):
        units[:2] = [Unit(units[1].name, units[0].layers + units[1].layers, units[1].output)]
    return units


def _pieces(model: keras.Model) -> Iterator[tuple[list[keras.layers.Layer], Any]]:
    """Layers from input to output, cut wherever one tensor is all that crosses; each piece with that tensor."""
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    needed = {id(tensor): at for at, node in enumerate(nodes) for tensor in node.input_tensors}
    needed |= {id(tensor): len(nodes) for tensor in model.outputs}
    open_, piece = {}, []
    for at, node in enumerate(nodes):
        piece.append(node.operation)
        open_ |= {id(tensor): tensor for tensor in node.output_tensors if id(tensor) in needed}
        open_ = {key: tensor for key, tensor in open_.items() if needed[key] > at}
        if len(open_) == 1 and not isinstance(node.operation, keras.layers.InputLayer):
            yield [layer for layer in piece if not isinstance(layer, keras.layers.InputLayer)], *open_.values()
            piece = []


def _name(layers: list[keras.layers.Layer]) -> str:
    stems = [match[0] for layer in layers if (match := _BLOCK.match(layer.name))]
    return stems[-1] if stems else layers[-1].name


def _learns(layers: list[keras.layers.Layer]) -> bool:
    return any(layer.weights and not isinstance(layer, _NORMALISATIONS) for layer in layers)
