"""Named positions in independent streams of random numbers, derived from one seed.

Each stream is a ``numpy.random.SeedSequence`` whose spawn key is derived from the stream's name, so that sampling from
one stream cannot shift another: a larger head does not change the order of the data. Further integers (epoch, batch)
address a position in a stream directly, so that a resumed run needs no stored generator states.

The functions that return a ``Position`` are the table of all positions that training, splitting and augmentation sample
from. Code outside this module uses their names and never a stream's integers. What is meant to sample the same numbers,
such as a PyTorch and a Keras network of one seed, uses the same name; different names never share a state.

Two kinds of random numbers are not part of a run's seed and have separate namespaces: ``resampling.generator`` for
the analyses, keyed by words, and the data sets that generate their examples, keyed in their modules by the data
set's options.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

#: Streams that a run's seed sets.
STREAMS = ("init", "order", "augment", "dropout", "split")
#: Stream of the augmented views of images, which runs of all seeds share.
_VIEWS, _VIEWS_SEED = "views", 0


@dataclass(frozen=True)
class Position:
    """Position in a stream of a seed, from which the generators of several libraries can start.

    key: position within the stream; empty for its root. Raises ValueError for an unknown stream: a typing error would
    silently create a new one.
    """

    seed: int
    stream: str
    key: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.stream not in (*STREAMS, _VIEWS):
            raise ValueError(f"unknown stream {self.stream!r}; the streams are {', '.join(STREAMS)}")

    def sequence(self) -> "np.random.SeedSequence":
        """Return the seed sequence, from which all that this class offers is derived."""
        import numpy as np

        stream = int.from_bytes(hashlib.sha256(self.stream.encode()).digest()[:4], "big")
        return np.random.SeedSequence(entropy=self.seed, spawn_key=(stream, *self.key))

    def generator(self) -> "np.random.Generator":
        """Return a NumPy generator."""
        import numpy as np

        return np.random.default_rng(self.sequence())

    def integer(self) -> int:
        """Return a 63-bit integer for libraries that take an integer seed."""
        return int(self.sequence().generate_state(1, "uint64")[0]) >> 1

    def torch_generator(self) -> "torch.Generator":
        """Return a ``torch.Generator`` on the CPU, which reads the low 32 bits of ``integer``."""
        import torch

        return torch.Generator().manual_seed(self.integer())

    @contextmanager
    def torch_global(self, device: "torch.device | str | None" = None) -> Iterator[None]:
        """Seed torch's global generators inside the ``with`` block and restore them after it.

        For code that accepts no generator (dropout, torchvision's constructors and transforms): the global state never
        leaks out of the block. device: whose generator is seeded in addition to the CPU's.
        """
        import torch

        kind = "cpu" if device is None else torch.device(device).type
        cuda_devices = [device] if kind == "cuda" else []
        state = self.integer()
        with torch.random.fork_rng(devices=cuda_devices), _mps_seeded(state) if kind == "mps" else nullcontext():
            torch.default_generator.manual_seed(state)
            for cuda_device in cuda_devices:
                with torch.cuda.device(cuda_device):
                    torch.cuda.manual_seed(state)
            yield

    @contextmanager
    def python_global(self) -> Iterator[None]:
        """Seed Python's global generator inside the ``with`` block and restore it after it, for code such as Keras's
        initializers, which take their seeds from there.
        """
        outside = random.getstate()
        random.seed(self.integer())
        try:
            yield
        finally:
            random.setstate(outside)


def torch_states(device: "torch.device | str") -> "dict[str, torch.Tensor]":
    """Return the states of torch's global generators, on the CPU and on a device, by kind of device."""
    import torch

    states, kind = {"cpu": torch.get_rng_state()}, torch.device(device).type
    if kind == "cuda":
        states[kind] = torch.cuda.get_rng_state(device)
    elif kind == "mps":
        states[kind] = torch.mps.get_rng_state()
    return states


def set_torch_states(states: "Mapping[str, torch.Tensor]", device: "torch.device | str") -> None:
    """Restore what ``torch_states`` returned for a device of the same kind."""
    import torch

    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    if "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def stream_number(seed: int, stream: str) -> int:
    """Return the number that identifies a stream of a seed in the records of runs.

    It is the integer at the stream's root: runs whose streams have equal numbers sample equal values.
    """
    return Position(seed, stream).integer()


# The table of positions. Epochs count from 1, batches, views and rows from 0. A position's integers are part of what a
# seed means: changing one changes the results of every study.


def backbone(seed: int) -> Position:
    """Random weights of a network, except for its head."""
    return Position(seed, "init")


def head(seed: int) -> Position:
    """Weights of a head, apart from the backbone's: the size of one does not shift the other."""
    return Position(seed, "init", (1,))


def adapters(seed: int) -> Position:
    """Weights of adapters that a method adds to a network."""
    return Position(seed, "init", (2,))


def example_order(seed: int, epoch: int) -> Position:
    """Order of the training examples in an epoch."""
    return Position(seed, "order", (epoch,))


def batch_order(seed: int, epoch: int) -> Position:
    """Order of an epoch's batches where these are composed by length."""
    return Position(seed, "order", (epoch, 1))


def batch_augmentation(seed: int, epoch: int, batch: int) -> Position:
    """Random choices for each example of a batch: a stored view of an image, or the hidden items of a sequence."""
    return Position(seed, "augment", (epoch, batch))


# Each kind of change has a position: switching one on does not alter what the others sample.
_FLIP, _CROP, _RANDAUGMENT = range(3)


def flips(seed: int, epoch: int, batch: int) -> Position:
    """Mirroring of the images of a batch."""
    return Position(seed, "augment", (epoch, batch, _FLIP))


def crops(seed: int, epoch: int, batch: int) -> Position:
    """Cropping of the images of a batch."""
    return Position(seed, "augment", (epoch, batch, _CROP))


def randaugment(seed: int, epoch: int, batch: int) -> Position:
    """RandAugment of the images of a batch."""
    return Position(seed, "augment", (epoch, batch, _RANDAUGMENT))


def view_flips(view: int) -> Position:
    """Mirroring of all images in a view."""
    return Position(_VIEWS_SEED, _VIEWS, (view, _FLIP))


def view_crops(view: int) -> Position:
    """Cropping of all images in a view."""
    return Position(_VIEWS_SEED, _VIEWS, (view, _CROP))


def view_randaugment(view: int, row: int) -> Position:
    """RandAugment of one image in a view."""
    return Position(_VIEWS_SEED, _VIEWS, (view, row, _RANDAUGMENT))


def dropout(seed: int, epoch: int) -> Position:
    """Dropout of a whole network in an epoch."""
    return Position(seed, "dropout", (epoch,))


def layer_dropout(seed: int, epoch: int, layer: int) -> Position:
    """Dropout of one layer in an epoch, where each layer has a generator. layer: index among those that have one."""
    return Position(seed, "dropout", (epoch, layer))


def split(seed: int, name: str) -> Position:
    """Selection of the examples of a split. name: ``test``, ``validation`` or ``train``."""
    return Position(seed, "split", (("test", "validation", "train").index(name),))


@contextmanager
def _mps_seeded(state: int) -> Iterator[None]:
    import torch

    outside = torch.mps.get_rng_state()
    torch.mps.manual_seed(state)
    try:
        yield
    finally:
        torch.mps.set_rng_state(outside)
