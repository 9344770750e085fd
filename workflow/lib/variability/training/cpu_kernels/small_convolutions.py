"""A convolution with an output of few pixels, as products of matrices.

With padding, most of what a kernel reads there is the border: of the 36 products of a 3 x 3 kernel on 2 x 2 pixels 20
are with zeros, of the 9 on one pixel 8, and here they are left out. Besides, oneDNN computes such convolutions slowly,
in channels-last layout above all (docs/performance.md has the figures).
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.utils import parametrize

#: Pixels of an output up to which one product is the quicker way for a kernel of one pixel.
POINTWISE = 49
#: The same of wider kernels, whose products are many and take weights arranged for them: they also need so many weights
#: for each pixel of the output, and so many images, if the output has more pixels than one.
PIXELS, WEIGHTS, IMAGES = 9, 100_000, 16

#: Of each output pixel along a side: the first tap of the kernel that meets the input, the one after the last, and the
#: input pixel that the first one meets.
Reach = list[tuple[int, int, int]]


class FewPixels:
    """The forward pass of a convolution layer that takes the quick way where its output has few pixels.

    Without gradients it keeps the weights as its products take them: they must not change as long as it is used.
    """

    def __init__(self, part: nn.Conv2d):
        self.part, self.usual, self.pointwise = part, part.forward, part.kernel_size == (1, 1)
        self.kept: dict[tuple, list[torch.Tensor]] = {}

    @staticmethod
    def fits(part: nn.Module) -> bool:
        """Whether a layer is a convolution that may be computed so."""
        if not isinstance(part, nn.Conv2d) or parametrize.is_parametrized(part):
            return False
        # A class with a forward pass of its own pads, or standardises its weights, in its own way.
        own, usual = type(part), nn.Conv2d
        if own.forward is not usual.forward or own._conv_forward is not usual._conv_forward:
            return False
        plain = part.groups == 1 and part.dilation == (1, 1) and part.padding_mode == "zeros"
        if not plain or isinstance(part.padding, str):
            return False
        return all(padding < taps for padding, taps in zip(part.padding, part.kernel_size, strict=True))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) to the same, as nn.Conv2d does; by the quick way channels last in memory."""
        part = self.part
        if images.ndim != 4:
            return self.usual(images)
        sides = list(zip(images.shape[2:], part.kernel_size, part.stride, part.padding, strict=True))
        rows, columns = (len(_starts(*side)) for side in sides)
        if not self._quicker(len(images), rows * columns):
            return self.usual(images)
        down, across = (_reach(*side) for side in sides)
        halved = torch.is_autocast_enabled("cpu") and images.dtype != torch.float64
        form = torch.get_autocast_dtype("cpu") if halved else images.dtype
        rows = images.to(form).permute(0, 2, 3, 1)
        if self.pointwise:
            rows = rows[:, :: part.stride[0], :: part.stride[1]]
            said = functional.linear(rows.flatten(0, 2), self._matrices(form, [], [])[0]).unflatten(0, rows.shape[:3])
        elif torch.is_grad_enabled():
            said = _Products.apply(rows, part.weight.to(form).permute(0, 2, 3, 1), down, across, part.stride)
        else:
            said = _products(rows, self._matrices(form, down, across), down, across)
        if part.bias is not None:
            said = said + part.bias.to(form)
        return said.permute(0, 3, 1, 2)

    def _quicker(self, images: int, pixels: int) -> bool:
        if self.pointwise:
            return 0 < pixels <= POINTWISE
        if not 0 < pixels <= PIXELS or self.part.weight.numel() < WEIGHTS * pixels:
            return False
        return images >= IMAGES or pixels == 1

    def _matrices(self, form: torch.dtype, down: Reach, across: Reach) -> list[torch.Tensor]:
        """The weights that each product takes: for one of all pixels, or for one of each output pixel."""

        def made() -> list[torch.Tensor]:
            weight = self.part.weight.to(form)
            return _matrices(weight.permute(0, 2, 3, 1), down, across) if down else [weight.flatten(1)]

        if torch.is_grad_enabled():
            return made()
        key = (form, *down, None, *across)
        if key not in self.kept:
            self.kept[key] = made()
        return self.kept[key]


def _reach(size: int, taps: int, stride: int, padding: int) -> Reach:
    starts = _starts(size, taps, stride, padding)
    return [(max(0, -start), min(taps, size - start), max(0, start)) for start in starts]


def _starts(size: int, taps: int, stride: int, padding: int) -> range:
    """Where the kernel stands for each output pixel along a side."""
    return range(-padding, size + padding - taps + 1, stride)


def _met(rows: torch.Tensor, vertical: tuple[int, int, int], horizontal: tuple[int, int, int]) -> torch.Tensor:
    """What of the input an output pixel is made of, (n, height, width, channels)."""
    (first, last, at), (left, right, start) = vertical, horizontal
    return rows[:, at : at + last - first, start : start + right - left]


def _matrices(weight: torch.Tensor, down: Reach, across: Reach) -> list[torch.Tensor]:
    """The weights that meet the input at each output pixel, (out, taps x channels); weight: (out, taps, taps, in)."""
    return [weight[:, u:v, q:r].flatten(1) for u, v, _ in down for q, r, _ in across]


def _products(rows: torch.Tensor, matrices: list[torch.Tensor], down: Reach, across: Reach) -> torch.Tensor:
    """(n, height, width, in) to (n, height, width, out)."""
    pixels = [(vertical, horizontal) for vertical in down for horizontal in across]
    said = [
        functional.linear(_met(rows, *pixel).flatten(1), matrix) for pixel, matrix in zip(pixels, matrices, strict=True)
    ]
    return torch.stack(said, 1).unflatten(1, (len(down), len(across)))


class _Products(torch.autograd.Function):
    """``_products``, with gradients by one product for each tap and each output pixel; autograd's own would fill and
    add a whole gradient of the weights for each output pixel."""

    @staticmethod
    def forward(ctx, rows, weight, down, across, stride):
        ctx.save_for_backward(rows, weight)
        ctx.told = down, across, stride
        return _products(rows, _matrices(weight, down, across), down, across)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        rows, weight = ctx.saved_tensors
        down, across, stride = ctx.told
        of_rows = _of_rows(gradient, rows, weight, down, across) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(gradient, rows, weight, down, across, stride) if ctx.needs_input_grad[1] else None
        return of_rows, of_weight, None, None, None


def _of_rows(
    gradient: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor, down: Reach, across: Reach
) -> torch.Tensor:
    # In fp32 at least: an input pixel's gradient is a sum over the output pixels that it meets.
    total = torch.zeros(rows.shape, dtype=torch.promote_types(rows.dtype, torch.float32))
    matrices = iter(_matrices(weight, down, across))
    for row, vertical in enumerate(down):
        for column, horizontal in enumerate(across):
            met = _met(total, vertical, horizontal)
            met += (gradient[:, row, column] @ next(matrices)).view(met.shape)
    return total.to(rows.dtype)


def _of_weight(
    gradient: torch.Tensor,
    rows: torch.Tensor,
    weight: torch.Tensor,
    down: Reach,
    across: Reach,
    stride: tuple[int, int],
) -> torch.Tensor:
    total = torch.zeros(weight.shape, dtype=weight.dtype)
    for u in range(weight.shape[1]):
        vertical = _that_meet(down, u, stride[0])
        for v in range(weight.shape[2]):
            horizontal = _that_meet(across, v, stride[1])
            if vertical and horizontal:
                said = gradient[:, vertical[0], horizontal[0]].flatten(0, 2)
                total[:, u, v] = said.t() @ rows[:, vertical[1], horizontal[1]].flatten(0, 2)
    return total


def _that_meet(reach: Reach, tap: int, stride: int) -> tuple[slice, slice] | None:
    """The output pixels at which a tap meets the input, and the input pixels that it meets there."""
    outputs = [at for at, (first, last, _) in enumerate(reach) if first <= tap < last]
    if not outputs:
        return None
    first, _, met = reach[outputs[0]]
    start = met + tap - first
    return slice(outputs[0], outputs[-1] + 1), slice(start, start + stride * len(outputs), stride)
