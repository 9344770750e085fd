"""Random numbers of a part of a batch that are those of the whole batch, such as the masks of dropout."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
#: Operations that fill a tensor with random numbers.
_FILLS = (_aten.bernoulli_.float, _aten.uniform_.default, _aten.normal_.default)
#: Operations that return random numbers in the shape of a tensor.
_LIKES = (_aten.rand_like.default, _aten.randn_like.default)
#: Operations that return a new tensor of random numbers, with its size as first argument.
_FACTORIES = (_aten.rand.default, _aten.randn.default)


class WholeBatchSampling(TorchDispatchMode):
    """A context in which rows ``start`` to ``stop`` of a batch get the random numbers that they get in the whole batch.

    Random numbers are sampled for all rows and cut. If the generator is in the same state at the start of each part, it
    is in the same state at the end of each as after the whole batch. This holds for tensors whose first dimension
    counts the examples, or a fixed number of entries of each; others, and the dropout in the fused attention of GPUs,
    get numbers of their own.
    """

    def __init__(self, start: int, stop: int, total: int):
        super().__init__()
        self._start, self._stop, self._total = start, stop, total

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in (*_FILLS, *_LIKES) and self._entries(args[0].shape) and _is_batch_major(args[0]):
            # In the memory layout of the part, in which its numbers are sampled.
            part, shape = args[0], self._whole(args[0].shape)
            whole = torch.empty_strided(shape, part.stride(), dtype=part.dtype, device=part.device)
            sampled = self._part(func(whole, *args[1:], **options))
            return part.copy_(sampled) if func in _FILLS else sampled.clone()
        if func in _FACTORIES and self._entries(args[0]):
            return self._part(func(self._whole(args[0]), *args[1:], **options)).clone()
        if func is _aten.native_dropout.default and self._entries(args[0].shape) and args[2]:
            inputs, share = args[0], args[1]
            ones = torch.ones(self._whole(inputs.shape), dtype=inputs.dtype, device=inputs.device)
            # A copy: autograd keeps the mask, and a view would keep that of the whole batch.
            mask = self._part(func(ones, share, True)[1]).clone()
            return inputs * mask * (1 / (1 - share) if share < 1 else 0.0), mask
        return func(*args, **options)

    def _entries(self, shape: Sequence[int]) -> int:
        """Return the number of entries of each example in a tensor; 0 if its first dimension does not count them."""
        rows = self._stop - self._start
        return shape[0] // rows if len(shape) and shape[0] % rows == 0 else 0

    def _whole(self, shape: Sequence[int]) -> list[int]:
        return [self._entries(shape) * self._total, *shape[1:]]

    def _part(self, whole: torch.Tensor) -> torch.Tensor:
        entries = len(whole) // self._total
        return whole[entries * self._start : entries * self._stop]


def _is_batch_major(tensor: torch.Tensor) -> bool:
    """Return whether a tensor stores one entry of its first dimension after another."""
    return tensor.stride(0) == tensor[0].numel() and tensor[0].numel() > 0
