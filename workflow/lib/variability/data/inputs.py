"""What enters a network, in training and in prediction: stored examples, or the activations of its frozen prefix.

They are cut into batches as whole tensors on the device; nothing is done example by example in Python.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from variability.data.augmentation import choose_views
from variability.data.batching import batches_of_similar_length, cut_batches, padded_positions

#: Share of a GPU's free memory that a task's examples or activations may take to stay there.
_RESIDENT = 0.4
_PART = 4096


class Inputs(ABC):
    """A task's examples as one part of a network takes them; rows are indices into the task's stored examples."""

    device: str
    #: Augmented views of each example that training chooses among; 0 where each epoch has new ones, or none.
    views: int = 0
    #: Whether training sees other inputs than prediction does.
    augmented: bool = False
    #: (n,) tokens of each example, where examples are of unequal length.
    lengths: np.ndarray | None = None

    @abstractmethod
    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """(rows, ...) as they are, on the device."""

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        """(rows, ...) augmented as a place in the seed's ``augment`` stream says, on the device."""
        return self.plain(rows)

    def view(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        """(rows, ...) one of the views of each, on the device."""
        raise NotImplementedError(f"{type(self).__name__} have no views")

    def targets(self, inputs: torch.Tensor) -> torch.Tensor | None:
        """What a batch of ``training`` is to be answered with, where that is part of it; None: with its labels."""
        return None

    def candidates(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """The outputs (rows, units) for evaluation, what cannot be an answer taken out; may change them in place."""
        return outputs

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """An epoch's rows, given in random order, cut into batches."""
        return cut_batches(order, size)

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """Positions within ``rows``, cut into batches for prediction."""
        places = np.arange(len(rows))
        return [places[at : at + size] for at in range(0, len(rows), size)]


@dataclass(frozen=True)
class Feed:
    """What is computed of a network, all of it or the rest after its frozen prefix, and from what.

    examples: what the inputs are activations of; None where they are the examples themselves.
    """

    module: nn.Module
    inputs: Inputs
    examples: Inputs | None = None

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """An epoch's rows cut into batches, the same whether activations or examples are fed."""
        return (self.inputs if self.examples is None else self.examples).batches(order, size, seed, epoch)


@dataclass(frozen=True)
class Activations(Inputs):
    """Activations of a frozen prefix, for the rest of the network.

    stored: (m, ...): first those of the images as they are, then ``views`` times those of the rows that may train,
    augmented. places: (n,) where a row stands among the first. layout: of a batch in memory, as the prefix gives it.
    trains: (n,) where a row stands within a view.
    """

    stored: torch.Tensor
    places: np.ndarray
    device: str
    layout: torch.memory_format = torch.contiguous_format
    views: int = 0
    trains: np.ndarray | None = None

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        return self._take(self.places[rows])

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        if not self.views:
            return self.plain(rows)
        first, size = self._sizes
        view = choose_views(self.views, len(rows), seed, epoch, batch)
        return self._take(first + view * size + self.trains[rows])

    def _take(self, places: np.ndarray) -> torch.Tensor:
        return take(self.stored, places, self.device).contiguous(memory_format=self.layout)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """How many rows stand there as they are, and how many in each view."""
        first = int(self.places.max()) + 1
        return first, (len(self.stored) - first) // self.views


@dataclass(frozen=True)
class TokenActivations(Inputs):
    """Activations of a frozen prefix that are a vector of each token: (rows, length, width), NaN where there is none.

    stored: (m, width), those of all tokens one after another. starts, counts: (n,) where those of a row begin, and how
    many there are.
    """

    stored: torch.Tensor
    starts: np.ndarray
    counts: np.ndarray
    device: str

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        places, there = padded_positions(self.starts[rows], self.counts[rows])
        taken = take(self.stored, places[there], self.device)
        batch = taken.new_full((there.size, taken.shape[1]), torch.nan)
        # Not by a mask: a GPU would make the host wait until it has counted.
        batch[torch.from_numpy(np.flatnonzero(there)).to(batch.device)] = taken
        return batch.view(*there.shape, -1)

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        return batches_of_similar_length(self.counts[rows], size)


def resident(array: np.ndarray | torch.Tensor, device: str) -> np.ndarray | torch.Tensor:
    """The array on a GPU that has room for it, so that batches are cut there; elsewhere itself."""
    if not device.startswith("cuda"):
        return array
    free, _ = torch.cuda.mem_get_info(device)
    if array.nbytes > _RESIDENT * free:
        return array
    first = array[:1] if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array[:1]))
    there = torch.empty(array.shape, dtype=first.dtype, device=device)
    # A part at a time: the whole of a memory map would have to fit into memory beside the GPU's.
    for at in range(0, len(array), _PART):
        part = array[at : at + _PART]
        there[at : at + _PART] = part if isinstance(part, torch.Tensor) else torch.from_numpy(np.array(part))
    return there


def take(array: np.ndarray | torch.Tensor, rows: np.ndarray, device: str) -> torch.Tensor:
    """Rows of an array or of a tensor, on the device."""
    if isinstance(array, torch.Tensor):
        # Twice as fast as indexing, whose kernel copes with any shape of index.
        return array.index_select(0, torch.from_numpy(rows).to(array.device)).to(device)
    return torch.from_numpy(np.asarray(array[rows])).to(device)
