"""Networks: a module, its new head, its blocks, and which of its parts train.

A part of a network is named by the dotted name of its module, children included; "" is the whole network.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from variability import seeding
from variability.errors import UserError

_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Network:
    """A network with a new head.

    module: (B, ...) a batch of the modality, such as (B, 3, H, W) float32 images -> (B, outputs).
    head: dotted name of the head within the module.
    blocks: dotted names of the backbone's blocks, from input to output, without the head.
    parts: dotted names of the parts that run one after another, from input to output, blocks and head among them; None:
    what ``units`` returns.
    """

    module: nn.Module
    head: str
    blocks: list[str]
    parts: list[str] | None = None

    @property
    def chain(self) -> list[str]:
        """Dotted names of the parts that run one after another, from input to output."""
        return self.parts or units(self.module, self.head)

    @property
    def name(self) -> str:
        """Name for messages: that of the module's class."""
        return type(self.module).__name__

    def last_blocks(self, count: int) -> list[str]:
        """The parts from the ``count``-th last block to the output: blocks, normalisation between them, the head."""
        return self.chain[self.chain.index(self.blocks[-count]) :]


class TokenNetwork(nn.Module):
    """A network of tokens, (B, L) with -1 as padding -> (B, outputs), whose blocks are a list of layers.

    The input of each layer is the hidden states that the layer before it returned. So the network can be cut before a
    layer even if it cannot be traced, see ``cutting``.
    """

    #: Any token that is not padding, for layers whose output does not depend on the tokens.
    dummy_token: int

    def with_marks(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens with all the marks that tokens may carry, such as the segment, for a trial run."""
        return tokens


def attach_head(module: nn.Module, outputs: int, seed: int, head: str | None = None) -> Network:
    """Return the network of a module whose head is replaced by one sampled from the seed's ``init`` stream.

    head: its dotted name; None: what ``find_head`` returns. Activations behind it in its ``nn.Sequential`` are removed.
    """
    head = replace_head(module, outputs, head)
    _remove_activations_behind(module, head)
    network = Network(module, head, find_blocks(module, head))
    sample_head(network, seed)
    return network


def sample_head(network: Network, seed: int) -> None:
    """Sample the head again, in place, from the seed's ``init`` stream.

    Weights and bias are uniform in +-1/sqrt(fan in), PyTorch's default for a new layer. A fine-tuning script with
    ``model.fc = nn.Linear(...)`` gets the same, so that the spread over init seeds is that of common practice.
    """
    generator = seeding.head(seed).torch_generator()
    layer = network.module.get_submodule(network.head)
    bound = layer.weight[0].numel() ** -0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))


def find_head(module: nn.Module) -> str:
    """Return the dotted name of the output layer: the last ``Linear``, or the last ``Conv2d`` (SqueezeNet).

    Raises UserError if the module has neither.
    """
    for kind in (nn.Linear, nn.Conv2d):
        names = [name for name, child in module.named_modules() if isinstance(child, kind)]
        if names:
            return names[-1]
    raise UserError(f"{type(module).__name__} has no Linear or Conv2d layer that could be replaced as its head")


def replace_head(module: nn.Module, outputs: int, name: str | None = None) -> str:
    """Replace the head in place by one with this number of outputs and undefined values; return its name."""
    name = name or find_head(module)
    old = module.get_submodule(name)
    kwargs = {"bias": old.bias is not None, "dtype": old.weight.dtype, "device": old.weight.device}
    if isinstance(old, nn.Linear):
        new = undefined_layer(nn.Linear, old.in_features, outputs, **kwargs)
    else:
        geometry = {"stride": old.stride, "padding": old.padding, "dilation": old.dilation}
        new = undefined_layer(nn.Conv2d, old.in_channels, outputs, old.kernel_size, **geometry, **kwargs)
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)
    return name


def undefined_layer(kind: type[nn.Module], *arguments: Any, device: Any = "cpu", **options: Any) -> nn.Module:
    """Return a layer with undefined values, without using the global generator as the layer's own initialisation does.

    As ``torch.nn.utils.skip_init``, whose first call imports a library for symbolic mathematics, which takes a second.
    """
    layer = kind(*arguments, device="meta", **options)
    for name, parameter in list(layer.named_parameters(recurse=False)):
        values = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
        setattr(layer, name, nn.Parameter(values))
    return layer


def _remove_activations_behind(module: nn.Module, head: str) -> None:
    """Replace activations that follow the head in an ``nn.Sequential`` by identities, in place.

    The outputs of a head have either sign. Behind that of SqueezeNet is a ReLU, which would make negative ones 0 and
    stop their gradients.
    """
    parts = head.split(".")
    for depth, child in enumerate(parts):
        sequence = module.get_submodule(".".join(parts[:depth]))
        if isinstance(sequence, nn.Sequential):
            names = [name for name, _ in sequence.named_children()]
            for name in names[names.index(child) + 1 :]:
                if type(sequence.get_submodule(name)).__module__ == nn.ReLU.__module__:
                    setattr(sequence, name, nn.Identity())


def find_blocks(module: nn.Module, head: str) -> list[str]:
    """Return the dotted names of the backbone's blocks, from input to output.

    A block is a unit (see ``units``) with parameters that is neither the head nor a normalisation; a normalisation
    belongs to the block before it.
    """
    return [name for name in units(module, head) if name != head and _is_block(module.get_submodule(name))]


def units(module: nn.Module, head: str) -> list[str]:
    """Return the dotted names of the parts that run one after another, in the order of definition, with the head.

    These modules are replaced by their children: the root; plain containers (a subclass of ``nn.Sequential`` is a
    block); modules that contain the head; and a child of the root with more than half of the backbone's parameters,
    which is a container in all but its type (the Encoder of a vision transformer).
    """
    total = _size(module) - _size(module.get_submodule(head))

    def expand(name: str, part: nn.Module) -> Iterator[str]:
        dominant = name.count(".") == 0 and _size(part) > total / 2 and any(True for _ in part.children())
        if name == "" or type(part) in _CONTAINERS or head.startswith(name + ".") or (name != head and dominant):
            for child_name, child in part.named_children():
                yield from expand(f"{name}.{child_name}" if name else child_name, child)
        else:
            yield name

    return list(expand("", module))


def freeze(network: Network, trainable: Iterable[str]) -> None:
    """Let gradients reach only the named parts."""
    trainable = list(trainable)
    for name, parameter in network.module.named_parameters():
        parameter.requires_grad_(_belongs(name, trainable))


def train_mode(network: Network, trainable: Iterable[str], active: Iterable[str] | None = None) -> None:
    """Put the ``active`` modules (None: the trainable ones) into training mode and all others into eval mode.

    BatchNorm is in training mode only if all of it trains: the running statistics of a frozen one must not change.
    """
    trainable = list(trainable)
    network.module.eval()
    for name in trainable if active is None else active:
        network.module.get_submodule(name).train()
    for name, child in network.module.named_modules():
        if isinstance(child, _BATCH_NORM) and not _belongs(name, trainable):
            child.eval()


def batch_normalisation(module: nn.Module) -> str | None:
    """Return the name of a BatchNorm in training mode, which normalises a batch by itself; None if there is none."""
    named = module.named_modules()
    return next((name for name, part in named if part.training and isinstance(part, _BATCH_NORM)), None)


def trained_tensors(network: Network, trainable: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers of the named parts by their names in the state dict; they are not copied."""
    trainable = list(trainable)
    return {name: tensor for name, tensor in network.module.state_dict().items() if _belongs(name, trainable)}


def frozen_tensors(network: Network, trainable: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return everything that is not trained by its name in the state dict; the tensors are not copied."""
    trained = trained_tensors(network, trainable)
    return {name: tensor for name, tensor in network.module.state_dict().items() if name not in trained}


def frozen_digest(network: Network, trainable: Iterable[str]) -> str:
    """Return the SHA-256 of everything that is not trained, independent of device and memory layout."""
    return tensors_digest(frozen_tensors(network, trainable))


def tensors_digest(tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names, dtypes, shapes and values of tensors, whatever their order, device and layout."""
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
    # Normalisations and scales of all libraries have only vectors and scalars.
    return any(parameter.numel() > max(parameter.shape, default=1) for parameter in part.parameters())
