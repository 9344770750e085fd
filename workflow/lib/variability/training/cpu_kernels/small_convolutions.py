"""Convolutions whose output has few pixels, computed as matrix products.

With padding, most of what such a kernel reads is the border: 20 of the 36 products of a 3 x 3 kernel on 2 x 2 pixels
are with zeros, and 8 of the 9 on one pixel. They are left out here. Moreover, oneDNN computes such convolutions slowly,
above all in channels-last layout (docs/performance.md has the figures).
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.utils import parametrize

#: Number of output pixels up to which one matrix product is faster than a convolution with a kernel of one pixel.
POINTWISE = 49
#: For wider kernels, which need several products and rearranged weights: the largest number of output pixels, and the
#: smallest numbers of weights per output pixel and of images. The latter does not apply to outputs of one pixel.
PIXELS, WEIGHTS, IMAGES = 9, 100_000, 16


class Overlap(NamedTuple):
    """The part of a kernel that overlaps the input at one output position along one side.

    first, stop: range of the taps inside the input. start: input position under the first of them.
    """

    first: int
    stop: int
    start: int


#: One entry for each output position along a side.
Overlaps = list[Overlap]


class SmallConvolution:
    """The forward pass of a convolution layer, by matrix products where its output has few pixels.

    Without gradients it caches the rearranged weights, so they must not change during its lifetime.
    """

    def __init__(self, layer: nn.Conv2d):
        self.layer, self.stock_forward, self.pointwise = layer, layer.forward, layer.kernel_size == (1, 1)
        self.cache: dict[tuple, list[torch.Tensor]] = {}

    @staticmethod
    def supports(layer: nn.Module) -> bool:
        """Return whether a layer is a convolution that can be computed by matrix products."""
        if not isinstance(layer, nn.Conv2d) or parametrize.is_parametrized(layer):
            return False
        # A class that overrides the forward pass pads, or standardises its weights, in its own way.
        layer_class, stock = type(layer), nn.Conv2d
        if layer_class.forward is not stock.forward or layer_class._conv_forward is not stock._conv_forward:
            return False
        plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
        if not plain or isinstance(layer.padding, str):
            return False
        return all(padding < taps for padding, taps in zip(layer.padding, layer.kernel_size, strict=True))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Compute what nn.Conv2d does, (n, channels, height, width) to the same; products give channels-last memory."""
        layer = self.layer
        if images.ndim != 4:
            return self.stock_forward(images)
        sides = list(zip(images.shape[2:], layer.kernel_size, layer.stride, layer.padding, strict=True))
        height, width = (len(_kernel_positions(*side)) for side in sides)
        if not self._is_faster(len(images), height * width):
            return self.stock_forward(images)
        vertical, horizontal = (_overlaps(*side) for side in sides)
        mixed = torch.is_autocast_enabled("cpu") and images.dtype != torch.float64
        dtype = torch.get_autocast_dtype("cpu") if mixed else images.dtype
        pixels = images.to(dtype).permute(0, 2, 3, 1)
        if self.pointwise:
            pixels = pixels[:, :: layer.stride[0], :: layer.stride[1]]
            (weight,) = self._matrices(dtype, [], [])
            outputs = functional.linear(pixels.flatten(0, 2), weight).unflatten(0, pixels.shape[:3])
        elif torch.is_grad_enabled():
            weight = layer.weight.to(dtype).permute(0, 2, 3, 1)
            outputs = _Products.apply(pixels, weight, vertical, horizontal, layer.stride)
        else:
            outputs = _products(pixels, self._matrices(dtype, vertical, horizontal), vertical, horizontal)
        if layer.bias is not None:
            outputs = outputs + layer.bias.to(dtype)
        return outputs.permute(0, 3, 1, 2)

    def _is_faster(self, images: int, pixels: int) -> bool:
        if self.pointwise:
            return 0 < pixels <= POINTWISE
        if not 0 < pixels <= PIXELS or self.layer.weight.numel() < WEIGHTS * pixels:
            return False
        return images >= IMAGES or pixels == 1

    def _matrices(self, dtype: torch.dtype, vertical: Overlaps, horizontal: Overlaps) -> list[torch.Tensor]:
        """Return the weights of each product: one for all pixels of a pointwise kernel, else one per output pixel."""

        def arranged() -> list[torch.Tensor]:
            weight = self.layer.weight.to(dtype)
            return _matrices(weight.permute(0, 2, 3, 1), vertical, horizontal) if vertical else [weight.flatten(1)]

        if torch.is_grad_enabled():
            return arranged()
        key = (dtype, *vertical, None, *horizontal)
        if key not in self.cache:
            self.cache[key] = arranged()
        return self.cache[key]


def _overlaps(size: int, taps: int, stride: int, padding: int) -> Overlaps:
    positions = _kernel_positions(size, taps, stride, padding)
    return [Overlap(max(0, -position), min(taps, size - position), max(0, position)) for position in positions]


def _kernel_positions(size: int, taps: int, stride: int, padding: int) -> range:
    """Return the input position under the kernel's first tap, for each output position along a side."""
    return range(-padding, size + padding - taps + 1, stride)


def _window(pixels: torch.Tensor, vertical: Overlap, horizontal: Overlap) -> torch.Tensor:
    """Return the view of the input that one output pixel depends on, (n, height, width, channels)."""
    (top, bottom, row), (left, right, column) = vertical, horizontal
    return pixels[:, row : row + bottom - top, column : column + right - left]


def _matrices(weight: torch.Tensor, vertical: Overlaps, horizontal: Overlaps) -> list[torch.Tensor]:
    """Return the weights that overlap the input, (out, taps x channels) per output pixel.

    weight: (out, taps, taps, in).
    """
    return [
        weight[:, top:bottom, left:right].flatten(1) for top, bottom, _ in vertical for left, right, _ in horizontal
    ]


def _products(
    pixels: torch.Tensor, matrices: list[torch.Tensor], vertical: Overlaps, horizontal: Overlaps
) -> torch.Tensor:
    """Multiply the window of each output pixel by its matrix: (n, height, width, in) to (n, height, width, out)."""
    positions = [(row, column) for row in vertical for column in horizontal]
    outputs = [
        functional.linear(_window(pixels, *position).flatten(1), matrix)
        for position, matrix in zip(positions, matrices, strict=True)
    ]
    return torch.stack(outputs, 1).unflatten(1, (len(vertical), len(horizontal)))


class _Products(torch.autograd.Function):
    """``_products``, with gradients by one product for each tap and each output pixel.

    Autograd's own would fill and add a whole gradient of the weights for each output pixel.
    """

    @staticmethod
    def forward(
        ctx: Any,
        pixels: torch.Tensor,
        weight: torch.Tensor,
        vertical: Overlaps,
        horizontal: Overlaps,
        stride: tuple[int, int],
    ) -> torch.Tensor:
        ctx.save_for_backward(pixels, weight)
        ctx.geometry = vertical, horizontal, stride
        return _products(pixels, _matrices(weight, vertical, horizontal), vertical, horizontal)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        pixels, weight = ctx.saved_tensors
        vertical, horizontal, stride = ctx.geometry
        of_pixels = _pixel_gradient(gradient, pixels, weight, vertical, horizontal) if ctx.needs_input_grad[0] else None
        of_weight = (
            _weight_gradient(gradient, pixels, weight, vertical, horizontal, stride)
            if ctx.needs_input_grad[1]
            else None
        )
        return of_pixels, of_weight, None, None, None


def _pixel_gradient(
    gradient: torch.Tensor, pixels: torch.Tensor, weight: torch.Tensor, vertical: Overlaps, horizontal: Overlaps
) -> torch.Tensor:
    # At least in fp32: an input pixel's gradient is a sum over the output pixels that depend on it.
    total = torch.zeros(pixels.shape, dtype=torch.promote_types(pixels.dtype, torch.float32))
    matrices = iter(_matrices(weight, vertical, horizontal))
    for row, rows in enumerate(vertical):
        for column, columns in enumerate(horizontal):
            window = _window(total, rows, columns)
            window += (gradient[:, row, column] @ next(matrices)).view(window.shape)
    return total.to(pixels.dtype)


def _weight_gradient(
    gradient: torch.Tensor,
    pixels: torch.Tensor,
    weight: torch.Tensor,
    vertical: Overlaps,
    horizontal: Overlaps,
    stride: tuple[int, int],
) -> torch.Tensor:
    total = torch.zeros(weight.shape, dtype=weight.dtype)
    for u in range(weight.shape[1]):
        rows = _positions_of_tap(vertical, u, stride[0])
        for v in range(weight.shape[2]):
            columns = _positions_of_tap(horizontal, v, stride[1])
            if rows and columns:
                of_outputs = gradient[:, rows[0], columns[0]].flatten(0, 2)
                total[:, u, v] = of_outputs.t() @ pixels[:, rows[1], columns[1]].flatten(0, 2)
    return total


def _positions_of_tap(overlaps: Overlaps, tap: int, stride: int) -> tuple[slice, slice] | None:
    """Return the output positions at which a tap is inside the input, and the input positions under it there."""
    outputs = [position for position, overlap in enumerate(overlaps) if overlap.first <= tap < overlap.stop]
    if not outputs:
        return None
    first = overlaps[outputs[0]]
    start = first.start + tap - first.first
    return slice(outputs[0], outputs[-1] + 1), slice(start, start + stride * len(outputs), stride)
