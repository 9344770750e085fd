"""Faster CPU implementations of layers that PyTorch runs slowly, in place for the duration of a context."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from variability.training.cpu_kernels import switch
from variability.training.cpu_kernels.small_convolutions import SmallConvolution

#: Number of tokens up to which plain attention is the faster one; beyond, its memory grows with their square.
SHORT = 160

Forward = Callable[..., object]


class QuickLayers:
    """A context for the forward passes of a module, which replaces those of slow layers on the CPU.

    Convolutions whose output has few pixels are computed as matrix products, see ``small_convolutions``. In bf16, where
    gradients are computed, depthwise convolutions with a stride or a kernel wider than 3 are computed in fp32, for
    which oneDNN's backward pass is up to 40 times as fast, and attention over short sequences by its plain formula.
    docs/performance.md has the figures. On other devices, and where the kernels are off (``switch``), nothing changes.

    The context may be entered any number of times, but not while it is active. training: whether gradients are
    computed; if not, the weights must not change inside the context.
    """

    def __init__(self, module: nn.Module, device: str, precision: str, training: bool = True):
        #: Layers to replace the forward pass of, each with the function that makes the replacement.
        self.replacements: list[tuple[nn.Module, Callable[..., Forward]]] = []
        if torch.device(device).type != "cpu" or not switch.enabled():
            return
        slow_backward = training and precision != "fp32"
        for layer in module.modules():
            # The layer has a forward pass of its own, or that of an enclosing context.
            if "forward" in vars(layer):
                continue
            if SmallConvolution.supports(layer):
                self.replacements.append((layer, SmallConvolution))
            elif slow_backward and isinstance(layer, nn.MultiheadAttention):
                self.replacements.append((layer, _plain_attention))
            elif slow_backward and isinstance(layer, nn.Conv2d) and _slow_in_half_precision(layer):
                self.replacements.append((layer, _in_fp32))

    def __enter__(self) -> None:
        # Set on the instance and deleted at the end, so that a copy of the module made later is not affected. Made
        # again at each entry, so that arranged weights are released with the context.
        for layer, replacement in self.replacements:
            layer.forward = replacement(layer)

    def __exit__(self, *_: object) -> None:
        for layer, _ in self.replacements:
            del layer.forward


def _slow_in_half_precision(layer: nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels > 1 and (max(layer.stride) > 1 or max(layer.kernel_size) > 3)


def _in_fp32(layer: nn.Conv2d) -> Forward:
    stock_forward = layer.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return stock_forward(images.float()).to(images.dtype)

    return forward


def _plain_attention(layer: nn.MultiheadAttention) -> Forward:
    stock_forward = layer.forward

    def forward(
        query: torch.Tensor, *rest: torch.Tensor, **options: object
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if query.shape[1 if layer.batch_first else 0] > SHORT:
            return stock_forward(query, *rest, **options)
        with sdpa_kernel(SDPBackend.MATH):
            return stock_forward(query, *rest, **options)

    return forward
