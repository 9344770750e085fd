"""The processes that train one run together, and what they exchange."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from variability.errors import UserError
from variability.training import memory

#: Bytes of gradients that are exchanged at a time.
_BUCKET = 64 * 2**20
#: Time for all processes to meet. Afterwards they wait for one another as long as necessary, because one that ends
#: closes its connections.
_MEETING, _WAITING = datetime.timedelta(minutes=5), datetime.timedelta(days=30)


class Lost(Exception):
    """The connection to another of the processes, which has ended."""


class Ranks:
    """The processes that train a run together, as one of them sees them; all call the same methods in the same order.

    They are on one machine and meet through a file, so that no network port is chosen. rank: number of this process,
    from 0. size: number of all. device: the one that this process computes on. Tensors on a GPU are exchanged by NCCL,
    numbers and tensors in main memory by Gloo, for which nobody waits for a GPU.
    """

    def __init__(self, meeting: Path, rank: int, size: int, device: str):
        self.rank, self.size, self.device = rank, size, device
        if sys.platform == "linux":
            # Connections within the machine only, also where its name belongs to an address that others reach.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
        store = distributed.FileStore(str(meeting), size)
        store.set_timeout(_MEETING)
        with _errors(device):
            distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_WAITING)

    def leave(self) -> None:
        """Close the connections; the others need not do the same."""
        if self.device.startswith("cuda"):
            # NCCL would wait for what another process never sent.
            with suppress(RuntimeError, AttributeError):
                distributed.distributed_c10d._abort_process_group()
                return
        with suppress(RuntimeError):
            distributed.destroy_process_group()

    def of_first(self, values: Sequence[int]) -> list[int]:
        """Return the integers that the first process calls this with."""
        tensor = torch.tensor(values, dtype=torch.int64)
        with _errors(self.device):
            distributed.broadcast(tensor, src=0)
        return tensor.tolist()

    def of_all(self, values: Sequence[int]) -> np.ndarray:
        """Return the integers that each process calls this with, (size, values)."""
        return self._gathered(torch.tensor(values, dtype=torch.int64)).numpy()

    def tensor_of(self, rank: int, tensor: torch.Tensor | None) -> torch.Tensor:
        """Return a tensor in main memory that one process calls this with; the others pass None.

        It has the type float32, or uint8 for the state of a random generator.
        """
        types = (torch.float32, torch.uint8)
        header = torch.zeros(8, dtype=torch.int64)
        if tensor is not None:
            header[: tensor.ndim + 2] = torch.tensor([types.index(tensor.dtype), tensor.ndim, *tensor.shape])
        with _errors(self.device):
            distributed.broadcast(header, src=rank)
            kind, dimensions, *shape = header.tolist()
            result = torch.empty(shape[:dimensions], dtype=types[kind]) if tensor is None else tensor.clone()
            distributed.broadcast(result, src=rank)
        return result

    def sum_in_order(self, tensors: list[torch.Tensor], ranks: Sequence[int]) -> None:
        """Replace tensors on the device, in place, by their sums over some of the processes, in the order of ``ranks``.

        In this order, and not in one that the topology of the machine suggests, the sums are those of one process that
        adds one part after another, bit by bit.
        """
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            of_ranks = self._gathered(flat)
            total = of_ranks[ranks[0]]
            for rank in ranks[1:]:
                total += of_ranks[rank]
            parts = total.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                # Element by element, whatever the memory layout.
                tensor.copy_(part.view(tensor.shape))

    def _gathered(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a one-dimensional tensor of each process, (size, elements)."""
        with _errors(self.device):
            result = tensor.new_empty(self.size * len(tensor))
            distributed.all_gather_into_tensor(result, tensor)
        return result.view(self.size, -1)


@contextmanager
def _errors(device: str) -> Iterator[None]:
    """Raise Lost for errors of connections, and UserError for memory that does not suffice to exchange gradients."""
    try:
        yield
    except RuntimeError as error:
        if memory.ran_out(error):
            what = "the gradients that the processes of a run exchange do not fit"
            raise UserError(memory.message(what, device, memory.reason(error))) from error
        raise Lost(str(error)) from error


def _buckets(tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yield the tensors in groups of one type each, of about ``_BUCKET`` bytes."""
    for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[torch.Tensor] = []
        size = 0
        for tensor in tensors:
            if tensor.dtype == kind:
                bucket.append(tensor)
                size += tensor.nbytes
                if size >= _BUCKET:
                    yield bucket
                    bucket, size = [], 0
        if bucket:
            yield bucket
