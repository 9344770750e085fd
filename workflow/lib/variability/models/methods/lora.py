"""LoRA: low-rank adapters train."""

from __future__ import annotations

import inspect
import io
import tokenize
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from variability import seeding
from variability.errors import UserError
from variability.models.methods import Method

if TYPE_CHECKING:
    from torch import nn

    from variability.models.networks import Network

_PARTS = (".lora_A", ".lora_B")


class Lora(Method):
    """alpha / r * B A x is added to the output of chosen layers; A, B and the head train (Hu et al., ICLR 2022).

    A is sampled from the seed and B starts at zero, so the network starts as the backbone. ``targets``: names of
    layers, or ends of names; the default is peft's for the type of model, or all linear layers of its attention.
    """

    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("peft",)
    OPTIONS: ClassVar[dict[str, dict]] = {
        "r": {"type": "integer", "minimum": 1, "default": 8, "description": "rank"},
        "alpha": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 16,
            "description": "alpha / r scales the output of the adapters",
        },
        "dropout": {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.0,
            "description": "before the adapters",
        },
        "targets": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
            "description": "ends of names of layers",
        },
    }
    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        # Adapters are in all layers, so that no activation before the head can be computed once for all runs.
        return None

    def attach(self, network: Network) -> Network:
        import peft

        targets = self._targets(network)
        config = peft.LoraConfig(
            r=self.option("r"),
            lora_alpha=self.option("alpha"),
            lora_dropout=self.option("dropout"),
            target_modules=targets,
            fan_in_fan_out=type(network.module.get_submodule(targets[0])).__name__ == "Conv1D",
        )
        # The values that peft samples here are discarded: ``sample`` samples them again. The seed makes no difference.
        with seeding.adapters(0).torch_global(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Merging is not supported")  # nothing is merged
            peft.inject_adapter_in_model(config, network.module)
        return network

    def sample(self, network: Network, seed: int) -> None:
        """Sample A uniformly in +-1/sqrt(fan in) and set B to zero, as peft does."""
        import torch

        generator = seeding.adapters(seed).torch_generator()
        with torch.no_grad():
            for part in self._adapters(network):
                for parameter in network.module.get_submodule(part).parameters():
                    bound = parameter[0].numel() ** -0.5 if part.endswith(_PARTS[0]) else 0.0
                    parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))

    def trainable(self, network: Network) -> list[str]:
        return [*self._adapters(network), network.head]

    def active(self, network: Network) -> list[str]:
        return [""]

    def _adapters(self, network: Network) -> list[str]:
        return [name for name, _ in network.module.named_modules() if name.endswith(_PARTS)]

    def _targets(self, network: Network) -> list[str]:
        """Names of the layers that get an adapter; raises UserError if there is none, or one that cannot have it."""
        layers, rank = _layers(network), self.option("r")
        grouped = [name for name in layers if getattr(network.module.get_submodule(name), "groups", 1) > 1]
        # peft divides the rank among the groups of a convolution.
        unfit = [name for name in grouped if rank % network.module.get_submodule(name).groups]
        chosen = self.options.get("targets")
        if ends := chosen or _peft_targets(network.module):
            targets = [name for name in layers if _ends_in_one_of(name, ends)]
        else:
            targets = [name for name in layers if any(word in name.lower() for word in ("attn", "attention"))]
        # Only layers that were asked for by name are an error.
        refused = [name for name in targets if name in unfit] if chosen else []
        targets = [name for name in targets if name not in unfit]
        if targets and not refused:
            return targets
        if refused:
            groups = network.module.get_submodule(refused[0]).groups
            problem = (
                f"{refused[0]} of {network.name}{_and_others(refused)} is a convolution in {groups} groups, whose "
                f"adapter needs a rank r that is a multiple of {groups}, not {rank}"
            )
        else:
            missing = f"a name that ends in {' or '.join(ends)}" if ends else "attention that LoRA can be added to"
            problem = f"no layer of {network.name} has {missing}"
        known = _distinct_ends([name for name in layers if name not in unfit], unfit)
        advice = f"set targets to ends of layers' names, such as {', '.join(known)}" if known else "use another method"
        raise UserError(f"methods: lora: {problem}; {advice}")


def _ends_in_one_of(name: str, ends: Iterable[str]) -> bool:
    return any(f".{name}".endswith(f".{end}") for end in ends)


def _and_others(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _distinct_ends(names: list[str], excluded: list[str]) -> list[str]:
    """Return the shortest ends of the names, sorted, that are not ends of an excluded name.

    Each is a list of whole parts of a dotted name, as in ``targets``.
    """
    ends = set()
    for name in names:
        parts = name.split(".")
        candidates = (".".join(parts[start:]) for start in reversed(range(len(parts))))
        ends |= set([end for end in candidates if not any(_ends_in_one_of(other, [end]) for other in excluded)][:1])
    return sorted(ends)


def _layers(network: Network) -> list[str]:
    """Names of the backbone's layers that can have an adapter."""
    from torch import nn

    layers = []
    for name, layer in network.module.named_modules():
        fits = isinstance(layer, (nn.Linear, nn.Conv2d)) or type(layer).__name__ == "Conv1D"
        if fits and name != network.head:
            parent, _, child = name.rpartition(".")
            if not _reads_weight(network.module.get_submodule(parent), child):
                layers.append(name)
    return layers


def _reads_weight(parent: nn.Module, child: str) -> bool:
    """Return whether a module reads its child's weight instead of calling it (``nn.MultiheadAttention`` does).

    An adapter of such a child would have no effect.
    """
    try:
        source = inspect.getsource(type(parent).forward)
    except (OSError, TypeError):
        return False
    # Without comments and docstrings, whose edits must not decide which layers train.
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = "".join(token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.STRING))
    return f".{child}.weight" in code


def _peft_targets(module: nn.Module) -> list[str]:
    """Ends of the names of the layers that peft adapts by default for this type of model; empty if it has none."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS

    configs = (getattr(part, "config", None) for part in module.modules())
    model_type = next((config.model_type for config in configs if hasattr(config, "model_type")), None)
    targets = DEFAULTS.get(model_type, [])
    return list(targets) if not isinstance(targets, str) else []
