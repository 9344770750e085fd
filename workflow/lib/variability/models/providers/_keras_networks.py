"""Networks of Keras: a model, its new head, its blocks, and the layers to cut it at."""

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
# Layers of one block have names with the same beginning: block_1_expand, conv2_block3_out, stage_0_block_1_dense_1.
_BLOCK = re.compile(r"^(.*?(?:block|cell)_?\d+[a-z]?)(?=_|$)|^((?:expanded_conv|conv_dw|conv_pw)(?:_\d+)?)(?=_|$)")


class Unit(NamedTuple):
    """One of the parts that run one after another; only its ``output``, one tensor, is an input of the next."""

    name: str
    layers: list[keras.layers.Layer]
    output: Any


@dataclass(frozen=True)
class KerasNetwork:
    """A network with a new head.

    model: a functional model, (B, size, size, 3) float32 -> (B, outputs). Its parts have the names of its units.
    """

    model: keras.Model

    @property
    def head(self) -> str:
        """Name of the head's layer."""
        return HEAD

    @property
    def name(self) -> str:
        """Name for messages: that of the model."""
        return self.model.name

    @cached_property
    def units(self) -> list[Unit]:
        """Parts that run one after another, from input to output."""
        return _units(self.model)

    @cached_property
    def blocks(self) -> list[str]:
        """Names of the backbone's blocks, from input to output: units that are not only normalisation."""
        return [unit.name for unit in self.units if unit.name != HEAD and _learns(unit.layers)]

    def last_blocks(self, count: int) -> list[str]:
        """Return the parts from the ``count``-th last block to the output, the head included."""
        names = [unit.name for unit in self.units]
        return names[names.index(self.blocks[-count]) :]

    def trained_from(self, parts: list[str]) -> int:
        """Return the index of the first unit that trains if these parts do; "" is the whole network."""
        names = [unit.name for unit in self.units]
        return 0 if "" in parts else min(names.index(part) for part in parts)

    def cut(self, index: int) -> tuple[keras.Model | None, keras.Model]:
        """Return the part before a unit (None for the first unit) and the rest, as models that share the layers."""
        if index == 0:
            return None, self.model
        between = self.units[index - 1].output
        return keras.Model(self.model.inputs[0], between), keras.Model(between, self.model.outputs[0])


def attach_head(backbone: keras.Model, outputs: int, seed: int) -> KerasNetwork:
    """Return a backbone with output (B, features) and a new head, sampled from the seed's ``init`` stream."""
    head = keras.layers.Dense(outputs, name=HEAD, dtype="float32", kernel_initializer="zeros")
    network = KerasNetwork(keras.Model(backbone.inputs[0], head(backbone.outputs[0]), name=backbone.name))
    sample_head(network, seed)
    return network


def sample_head(network: KerasNetwork, seed: int) -> None:
    """Sample the head again, in place: uniform in +-1/sqrt(fan in), like ``networks.sample_head``."""
    generator = seeding.head(seed).generator()
    layer = network.model.get_layer(HEAD)
    bound = layer.kernel.shape[0] ** -0.5
    for weight in layer.weights:
        weight.assign(generator.uniform(-bound, bound, weight.shape).astype(np.float32))


def one_value_normalisation(network: KerasNetwork, trainable: list[str]) -> str | None:
    """Return the name of a BatchNorm that trains and sees one value per channel if a batch has one image.

    The variance of one value is 0, so Keras's layer returns its bias and passes no gradient on. None if there is none.
    """
    for unit in network.units[network.trained_from(trainable) :]:
        for layer in unit.layers:
            if isinstance(layer, keras.layers.BatchNormalization) and np.prod(layer.output.shape[1:-1]) == 1:
                return layer.name
    return None


def tensors(model: keras.Model) -> dict[str, np.ndarray]:
    """Return all weights by their paths; states of random generators are not weights."""
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
    """Cut the graph wherever later layers need only one tensor of earlier ones, and join the pieces of a block.

    Pieces whose layers' names begin with the same block are one unit. A piece that learns at most a normalisation
    belongs to the unit before it.
    """
    units: list[Unit] = []
    for layers, output in _pieces(model):
        name = _name(layers)
        joined = layers[-1].name != HEAD and not _learns(layers)
        if units and units[-1].name != HEAD and (joined or name == units[-1].name):
            units[-1] = Unit(units[-1].name, units[-1].layers + layers, output)
        else:
            units.append(Unit(name, layers, output))
    # Layers before the first block, such as padding, belong to it.
    if len(units) > 1 and not _learns(units[0].layers):
        units[:2] = [Unit(units[1].name, units[0].layers + units[1].layers, units[1].output)]
    return units


def _pieces(model: keras.Model) -> Iterator[tuple[list[keras.layers.Layer], Any]]:
    """Yield the layers from input to output, cut wherever only one tensor crosses; each piece with that tensor."""
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    last_use = {id(tensor): index for index, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in model.outputs}
    crossing: dict[int, Any] = {}
    piece: list[Any] = []
    for index, node in enumerate(nodes):
        piece.append(node.operation)
        crossing |= {id(tensor): tensor for tensor in node.output_tensors if id(tensor) in last_use}
        crossing = {key: tensor for key, tensor in crossing.items() if last_use[key] > index}
        if len(crossing) == 1 and not isinstance(node.operation, keras.layers.InputLayer):
            yield [layer for layer in piece if not isinstance(layer, keras.layers.InputLayer)], *crossing.values()
            piece = []


def _name(layers: list[keras.layers.Layer]) -> str:
    stems = [match[0] for layer in layers if (match := _BLOCK.match(layer.name))]
    return stems[-1] if stems else layers[-1].name


def _learns(layers: list[keras.layers.Layer]) -> bool:
    return any(layer.weights and not isinstance(layer, _NORMALISATIONS) for layer in layers)
