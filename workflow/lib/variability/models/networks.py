"""Networks as the workflow sees them: a module, its fresh head, its blocks, and which of them train.

A part of a network is named by the dotted name of its module, children included; "" is all of it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from variability import seeding
from variability.errors import UserError

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Network:
    """A network with a fresh head.

    module: a batch as the modality gives it, (B, 3, H, W) float32 of images -> (B, outputs).
    head: dotted name of the head within the module.
    blocks: dotted names of the backbone's blocks, from input to output, the head excluded.
    parts: dotted names of what the network is a chain of, from input to output, blocks and head among them; None: what
    ``units`` finds.
    """

    module: nn.Module
    head: str
    blocks: list[str]
    parts: list[str] | None = None

    @property
    def chain(self) -> list[str]:
        """Dotted names of what the network is a chain of, from input to output."""
        return self.parts or units(self.module, self.head)

    @property
    def name(self) -> str:
        """What it is, in a message."""
        return type(self.module).__name__

    def last_blocks(self, count: int) -> list[str]:
        """The parts from the ``count``-th last block to the output: blocks, normalisation between them, the head."""
        return self.chain[self.chain.index(self.blocks[-count]) :]


class Layered(nn.Module):
    """A network of tokens, (B, L) -> (B, outputs), -1 where there is none, whose blocks are a list of layers.

    Each layer is given what the one before says of all tokens. So it can be cut before a layer, see ``layers``, also
    where it cannot be traced.
    """

    #: A token that may stand for any where what is made of tokens is not looked at.
    filler: int

    def varied(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens of a trial, with all that tokens may have beside their number."""
        return tokens


def attach_head(module: nn.Module, outputs: int, seed: int, head: str | None = None) -> Network:
    """The network that results from replacing a module's head by a fresh one, drawn from the seed's ``init`` stream.

    head: its dotted name; what ``find_head`` finds if None.
    """
    head = replace_head(module, outputs, head)
    network = Network(module, head, find_blocks(module, head))
    sample_head(network, seed)
    return network


def sample_head(network: Network, seed: int) -> None:
    """Draws the head anew, in place, from the seed's ``init`` stream.

    Weights and bias are uniform in +-1/sqrt(fan in), PyTorch's default for a new layer: what a fine-tuning script
    that says ``model.fc = nn.Linear(...)`` gets, so that the spread over init seeds is that of common practice.
    """
    generator = seeding.head(seed).torch_generator()
    layer = network.module.get_submodule(network.head)
    bound = layer.weight[0].numel() ** -0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))


def find_head(module: nn.Module) -> str:
    """Dotted name of the layer that gives the outputs: the last ``Linear``, else the last ``Conv2d`` (SqueezeNet).

    Raises UserError if the module has neither.
    """
    for kind in (nn.Linear, nn.Conv2d):
        found = [name for name, child in module.named_modules() if isinstance(child, kind)]
        if found:
            return found[-1]
    raise UserError(f"{type(module).__name__} has no Linear or Conv2d layer whose outputs could be replaced")


def replace_head(module: nn.Module, outputs: int, name: str | None = None) -> str:
    """Replaces the head in place by one with as many outputs as asked for, whose values are undefined; its name."""
    name = name or find_head(module)
    old = module.get_submodule(name)
    kwargs = {"bias": old.bias is not None, "dtype": old.weight.dtype, "device": old.weight.device}
    # skip_init leaves the global generator alone, which the layer's own initialisation would draw from.
    if isinstance(old, nn.Linear):
        new = nn.utils.skip_init(nn.Linear, old.in_features, outputs, **kwargs)
    else:
        geometry = {"stride": old.stride, "padding": old.padding, "dilation": old.dilation}
        new = nn.utils.skip_init(nn.Conv2d, old.in_channels, outputs, old.kernel_size, **geometry, **kwargs)
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)
    return name


def find_blocks(module: nn.Module, head: str) -> list[str]:
    """Dotted names of the backbone's blocks, from input to output.

    A block is a unit (see ``units``) with parameters that is neither the head nor mere normalisation, which belongs
    to the block it follows.
    """
    return [name for name in units(module, head) if name != head and _is_block(module.get_submodule(name))]


def units(module: nn.Module, head: str) -> list[str]:
    """Dotted names of the parts that a network is a chain of, in the order of definition, the head among them.

    Expanded are the root; plain containers (a subclass of ``nn.Sequential`` is a block of its own making); what holds
    the head; and a child of the root with more than half of the backbone's parameters, which is a container by
    another name (the Encoder of a vision transformer).
    """
    total = _size(module) - _size(module.get_submodule(head))

    def expand(name: str, part: nn.Module) -> Iterator[str]:
        dominant = name.count(".") == 0 and _size(part) > total / 2 and any(True for _ in part.children())
        if name == "" or type(part) in _CONTAINERS or head.startswith(name + ".") or (name != head and dominant):
            for child, below in part.named_children():
                yield from expand(f"{name}.{child}" if name else child, below)
        else:
            yield name

    return list(expand("", module))


def freeze(network: Network, trainable: Iterable[str]) -> None:
    """Lets gradients reach the named parts and nothing else."""
    trainable = list(trainable)
    for name, parameter in network.module.named_parameters():
        parameter.requires_grad_(_belongs(name, trainable))


def train_mode(network: Network, trainable: Iterable[str], active: Iterable[str] | None = None) -> None:
    """Puts the modules named as ``active``, those that train if None, into training mode and all else into eval mode.

    BatchNorm is in training mode only where all of it trains: the running statistics of a frozen one must not drift.
    """
    trainable = list(trainable)
    network.module.eval()
    for name in trainable if active is None else active:
        network.module.get_submodule(name).train()
    for name, child in network.module.named_modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and not _belongs(name, trainable):
            child.eval()


def trained_tensors(network: Network, trainable: Iterable[str]) -> dict[str, torch.Tensor]:
    """Parameters and buffers of the named parts, by their names in the module's state dict; not copied."""
    trainable = list(trainable)
    return {name: tensor for name, tensor in network.module.state_dict().items() if _belongs(name, trainable)}


def frozen_digest(network: Network, trainable: Iterable[str]) -> str:
    """SHA-256 of all that is not trained, independent of device and memory layout."""
    trained = trained_tensors(network, trainable)
    return tensors_digest({name: each for name, each in network.module.state_dict().items() if name not in trained})


def tensors_digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values of tensors, independent of their order, device and layout."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _belongs(name: str, parts: list[str]) -> bool:
    return any(part == "" or name == part or name.startswith(part + ".") for part in parts)


def _size(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _is_block(part: nn.Module) -> bool:
    # Normalisations and scales of any library have vectors at most.
    return any(parameter.numel() > max(parameter.shape, default=1) for parameter in part.parameters())
