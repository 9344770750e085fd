"""LoRA: low-rank adapters train."""

import inspect
import io
import tokenize
from typing import ClassVar

from variability import seeding
from variability.errors import UserError
from variability.models.methods import Method

_PARTS = (".lora_A", ".lora_B")


class Lora(Method):
    """To what chosen layers give is added alpha / r * B A x; A, B and the head train (Hu et al., ICLR 2022).

    A is drawn from the seed, B starts at zero, so the network starts as the backbone. ``targets``: names of layers, or
    ends of them; if left out those that peft has for the kind of model, else all linear layers of its attention.
    """

    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("peft",)
    OPTIONS: ClassVar[dict[str, dict]] = {
        "r": {"type": "integer", "minimum": 1, "description": "rank"},
        "alpha": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "alpha / r scales what adapters add",
        },
        "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "before the adapters"},
        "targets": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
            "description": "ends of names of layers",
        },
    }
    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        # Adapters stand in every layer: nothing before the head can be computed once.
        return None

    def attach(self, network):
        import peft

        options, targets = self.options, self._targets(network)
        config = peft.LoraConfig(
            r=options.get("r", 8),
            lora_alpha=options.get("alpha", 16),
            lora_dropout=options.get("dropout", 0.0),
            target_modules=targets,
            fan_in_fan_out=type(network.module.get_submodule(targets[0])).__name__ == "Conv1D",
        )
        # The values that peft samples here are discarded: ``draw`` samples them again. The seed makes no difference.
        with seeding.adapters(0).torch_global():
            peft.inject_adapter_in_model(config, network.module)
        return network

    def sample(self, network, seed: int) -> None:
        """As peft does: A uniform in +-1/sqrt(fan in), B zero."""
        import torch

        generator = seeding.adapters(seed).torch_generator()
        with torch.no_grad():
            for part in self._adapters(network):
                for each in network.module.get_submodule(part).parameters():
                    bound = each[0].numel() ** -0.5 if part.endswith(_PARTS[0]) else 0.0
                    each.copy_(torch.empty(each.shape).uniform_(-bound, bound, generator=generator))

    def trainable(self, network) -> list[str]:
        return [*self._adapters(network), network.head]

    def active(self, network) -> list[str]:
        return [""]

    def _adapters(self, network) -> list[str]:
        return [name for name, _ in network.module.named_modules() if name.endswith(_PARTS)]

    def _targets(self, network) -> list[str]:
        """Names of the layers that get an adapter; raises UserError where there is none that can."""
        layers = _layers(network)
        asked = self.options.get("targets") or _usual(network.module)
        if asked:
            found = [name for name in layers if any(f".{name}".endswith(f".{end}") for end in asked)]
        else:
            found = [name for name in layers if any(word in name.lower() for word in ("attn", "attention"))]
        if not found:
            kind = type(network.module).__name__
            what = f"a name that ends in {' or '.join(asked)}" if asked else "attention that LoRA can be added to"
            ends = sorted({name.rpartition(".")[2] for name in layers})
            raise UserError(
                f"methods: lora: no layer of {kind} has {what}; give it targets, ends of layers' names, such as "
                f"{', '.join(ends) or 'none'}"
            )
        return found


def _layers(network) -> list[str]:
    """Names of the backbone's layers that an adapter can stand beside."""
    from torch import nn

    found = []
    for name, layer in network.module.named_modules():
        fits = isinstance(layer, (nn.Linear, nn.Conv2d)) or type(layer).__name__ == "Conv1D"
        if fits and name != network.head:
            holder, _, own = name.rpartition(".")
            if not _reads_weight(network.module.get_submodule(holder), own):
                found.append(name)
    return found


def _reads_weight(holder, child: str) -> bool:
    """Whether a module takes its child's weight instead of calling it, past any adapter (nn.MultiheadAttention)."""
    try:
        source = inspect.getsource(type(holder).forward)
    except (OSError, TypeError):
        return False
    # Not in comments and docstrings: an edit of one must not decide which layers are trained.
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = "".join(token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.STRING))
    return f".{child}.weight" in code


def _usual(module) -> list[str]:
    """The layers that peft adapts of a kind of model; none where it knows none."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as usual

    configs = (getattr(part, "config", None) for part in module.modules())
    kind = next((config.model_type for config in configs if hasattr(config, "model_type")), None)
    found = usual.get(kind, [])
    return list(found) if not isinstance(found, str) else []
