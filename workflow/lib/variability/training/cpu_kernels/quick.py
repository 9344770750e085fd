"""Where PyTorch takes a slow way through a layer on the CPU, a quicker one."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from variability.training.cpu_kernels.small_convolutions import FewPixels

#: Tokens up to which plain attention is the quicker one; beyond, it costs memory by their square.
SHORT = 160


class Quick:
    """A context for a module's forward passes; to be entered as often as one likes, once at a time.

    On the CPU (docs/performance.md has the figures) convolutions whose output has few pixels are computed as products
    of matrices, see ``few_pixels``. In bf16, where gradients are taken, depthwise convolutions that stride or are wider
    than 3 are computed in fp32, for which oneDNN's backward pass is up to 40 times as fast, and attention over short
    sequences by its plain formula. Elsewhere all is left as it is. training: whether gradients are taken; without, the
    weights must not change inside the context.
    """

    def __init__(self, module: nn.Module, device: str, precision: str, training: bool = True):
        #: Layers, and what makes the quicker forward pass of each.
        self.ways: list[tuple[nn.Module, Callable]] = []
        if torch.device(device).type != "cpu":
            return
        slow_backward = training and precision != "fp32"
        for part in module.modules():
            # Its own already, or that of a context around this one.
            if "forward" in vars(part):
                continue
            if FewPixels.fits(part):
                self.ways.append((part, FewPixels))
            elif slow_backward and isinstance(part, nn.MultiheadAttention):
                self.ways.append((part, _plain))
            elif slow_backward and isinstance(part, nn.Conv2d) and _slow_in_half(part):
                self.ways.append((part, _in_fp32))

    def __enter__(self) -> None:
        # On the instance, for as long as the context lasts: a copy of the module made later knows nothing of it.
        # Made anew each time: what one keeps of the weights ends with the context.
        for part, made in self.ways:
            part.forward = made(part)

    def __exit__(self, *_: object) -> None:
        for part, _ in self.ways:
            del part.forward


def _slow_in_half(part: nn.Conv2d) -> bool:
    return part.groups == part.in_channels > 1 and (max(part.stride) > 1 or max(part.kernel_size) > 3)


def _in_fp32(part: nn.Conv2d) -> Callable[[torch.Tensor], torch.Tensor]:
    usual = part.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return usual(images.float()).to(images.dtype)

    return forward


def _plain(part: nn.MultiheadAttention) -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
    usual = part.forward

    def forward(query: torch.Tensor, *rest: torch.Tensor, **options: object):
        if query.shape[1 if part.batch_first else 0] > SHORT:
            return usual(query, *rest, **options)
        with sdpa_kernel(SDPBackend.MATH):
            return usual(query, *rest, **options)

    return forward
