"""Inputs of networks in training and in prediction, such as a task's stored examples.

They are cut into batches as whole tensors on the device; nothing is done example by example in Python.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch

from variability.data.batching import cut_batches

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
