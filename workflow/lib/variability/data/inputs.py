"""Inputs of networks in training and in prediction, such as a task's stored examples.

They are cut into batches as whole tensors on the device, never example by example in Python.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch

from variability.data.batching import cut_batches

#: Share of a GPU's free memory that the stored examples or activations of a task may occupy.
_GPU_SHARE = 0.4
#: Examples that are copied to a GPU at a time.
_CHUNK = 4096


class Inputs(ABC):
    """The examples of a task in the form in which a network, or the part after its frozen prefix, takes them.

    ``rows`` are indices of the task's stored examples throughout.
    """

    device: str
    #: Number of augmented views of each example among which training chooses; 0 if there are none.
    views: int = 0
    #: Whether the inputs in training differ from those in prediction.
    augmented: bool = False
    #: (n,) number of tokens of each example, for examples of unequal length.
    lengths: np.ndarray | None = None

    @abstractmethod
    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Return (rows, ...) the inputs without augmentation, on the device."""

    def training(self, rows: np.ndarray, seed: int, epoch: int, batch: int) -> torch.Tensor:
        """Return (rows, ...) the inputs for training, augmented by the position in the seed's stream, on the device."""
        return self.plain(rows)

    def view(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        """Return (rows, ...) one view of each example, on the device. views: (rows,) their indices."""
        raise NotImplementedError(f"{type(self).__name__} have no views")

    def targets(self, inputs: torch.Tensor) -> torch.Tensor | None:
        """Return the targets that a batch of ``training`` contains, or None if its targets are the labels."""
        return None

    def candidates(self, outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Return the outputs (rows, units) with -inf for units that cannot be the answer; may change them in place."""
        return outputs

    def batches(self, order: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Cut the rows of an epoch, in random order, into training batches."""
        return cut_batches(order, size)

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """Cut the positions 0 .. len(rows) - 1 into batches for prediction."""
        positions = np.arange(len(rows))
        return [positions[start : start + size] for start in range(0, len(rows), size)]


def resident(array: np.ndarray | torch.Tensor, device: str) -> np.ndarray | torch.Tensor:
    """Return the array on the GPU, so that batches are cut there, or the array itself on the CPU or if it is too large.

    Too large is more than ``_GPU_SHARE`` of the free memory.
    """
    if not device.startswith("cuda"):
        return array
    free, _ = torch.cuda.mem_get_info(device)
    if array.nbytes > _GPU_SHARE * free:
        return array
    first = array[:1] if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array[:1]))
    copy = torch.empty(array.shape, dtype=first.dtype, device=device)
    # In chunks, because a memory map need not fit into the main memory.
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK]
        copy[start : start + _CHUNK] = chunk if isinstance(chunk, torch.Tensor) else torch.from_numpy(np.array(chunk))
    return copy


def take(array: np.ndarray | torch.Tensor, rows: np.ndarray, device: str) -> torch.Tensor:
    """Return rows of an array or of a tensor, on the device."""
    if isinstance(array, torch.Tensor):
        # Twice as fast as indexing, whose kernel handles indices of any shape.
        return array.index_select(0, torch.from_numpy(rows).to(array.device)).to(device)
    return torch.from_numpy(np.asarray(array[rows])).to(device)
