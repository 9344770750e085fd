"""One seed, several named and independent streams of random numbers.

Each stream is a ``numpy.random.SeedSequence`` whose spawn key is derived from the stream's name, so that what one
stream consumes cannot shift another: a larger head does not change the order of the data. Further integers
(epoch, batch) address a place in a stream directly, which makes resuming exact without storing generator states.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np

STREAMS = ("init", "order", "augment", "dropout", "split")


def sequence(seed: int, stream: str, *place: int) -> np.random.SeedSequence:
    """The seed sequence of a stream, or of a place in it.

    Raises ValueError for a stream that is not one of STREAMS: a typing error would silently make a new one.
    """
    if stream not in STREAMS:
        raise ValueError(f"unknown stream {stream!r}; the streams are {', '.join(STREAMS)}")
    key = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
    return np.random.SeedSequence(entropy=seed, spawn_key=(key, *place))


def generator(seed: int, stream: str, *place: int) -> np.random.Generator:
    """A NumPy generator at a place in a stream."""
    return np.random.default_rng(sequence(seed, stream, *place))


def integer(seed: int, stream: str, *place: int) -> int:
    """A 63-bit integer for libraries that want a seed of their own (torch)."""
    return int(sequence(seed, stream, *place).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, stream: str, *place: int):
    """A CPU ``torch.Generator`` at a place in a stream."""
    import torch

    return torch.Generator().manual_seed(integer(seed, stream, *place))


@contextmanager
def torch_global(seed: int, stream: str, *place: int, device=None) -> Iterator[None]:
    """Seeds torch's global generators inside the block and restores them after it.

    For code that accepts no generator (dropout, torchvision's constructors and transforms): the global state is a
    parameter of the block and never leaks out of it. device: whose generator is seeded beside the CPU's.
    """
    import torch

    kind = "cpu" if device is None else torch.device(device).type
    devices = [device] if kind == "cuda" else []
    state = integer(seed, stream, *place)
    with torch.random.fork_rng(devices=devices), _mps_seeded(state) if kind == "mps" else nullcontext():
        torch.default_generator.manual_seed(state)
        for each in devices:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(state)
        yield


@contextmanager
def _mps_seeded(state: int) -> Iterator[None]:
    import torch

    outside = torch.mps.get_rng_state()
    torch.mps.manual_seed(state)
    try:
        yield
    finally:
        torch.mps.set_rng_state(outside)
