"""Activations of frozen prefixes: computed once, stored in a file or in memory, and read as inputs."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from variability.data.batching import padded_positions
from variability.data.inputs import Inputs, resident
from variability.io import artefacts, files, mapped_arrays
from variability.models.cutting import Cut
from variability.training import memory, precision
from variability.training.activations import Activations, Feed, TokenActivations
from variability.training.cpu_kernels.quick import QuickLayers

#: Activations with one entry per example, or one per token.
StoredActivations = Activations | TokenActivations

#: File next to the manifest of stored activations.
FILE = "activations.npy"
BATCH = 256
LAYOUTS = {"channels last": torch.channels_last, "as indexed": torch.contiguous_format}
#: Bytes of activations that a job may hold in memory where no rule has stored them.
MEMORY = 10**9

_log = logging.getLogger(__name__)


@torch.no_grad()
def compute(
    prefix: nn.Module,
    parts: Iterable[np.ndarray],
    inputs_of: Callable[[np.ndarray], torch.Tensor],
    device: str,
    number_format: str,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield parts with their activations, on the CPU, in a number format: fp32, bf16 or fp16.

    parts: arrays of positions, which are halved where memory runs out. inputs_of: returns the inputs of a part.
    """

    def activations_of(part: np.ndarray) -> torch.Tensor:
        return prefix(inputs_of(part)).to(precision.DTYPES[number_format]).cpu()

    # One context around all batches: both managers cache the weights that they have converted.
    with precision.autocast(device, number_format), QuickLayers(prefix, device, number_format, training=False):
        yield from memory.in_fitting_parts(parts, activations_of, device)


def _view_parts(views: int, rows: int) -> Iterator[np.ndarray]:
    """Yield the positions of a batch among all augmented views of rows, which follow one view after another."""
    for first in range(0, views * rows, rows or 1):
        for start in range(0, rows, BATCH):
            yield first + np.arange(start, min(start + BATCH, rows))


@dataclass(frozen=True)
class FrozenPrefix:
    """A frozen prefix and its inputs, whose activations are computed when they are needed.

    number_format: of the activations. An entry of stored activations is what the prefix computes of an example, or of a
    token where it computes a vector for each token.
    """

    prefix: nn.Module
    inputs: Inputs
    number_format: str

    def example(self) -> torch.Tensor:
        """Return the activations of one example, (1, ...), in the memory layout in which the prefix returns them."""
        row = np.zeros(1, dtype=np.int64)
        ((_, activations),) = self._compute_plain(row, [row])
        return activations

    def size(self, may_train: np.ndarray) -> int:
        """Return the number of bytes that ``store`` writes. may_train: (n,) bool."""
        count, entry, _ = self._entries(self.example(), np.arange(len(may_train)))
        return (count + self.inputs.views * int(may_train.sum())) * entry.nbytes

    def store(self, may_train: np.ndarray, target: Path) -> dict[str, Any]:
        """Write the activations of all examples, then of the views of the rows that may train.

        may_train: (n,) bool. Returns {each, shape, form, layout, views}, which ``read`` needs: whether an entry belongs
        to an example or to a token, its shape, the number format, and the memory layout of a batch. Half precision of
        either kind is stored as 16-bit integers of the same bits, because NumPy has no bfloat16. The elements of an
        entry are stored in the order of their indices, whatever the memory layout.
        """
        inputs, example = self.inputs, self.example()
        rows, training_rows = np.arange(len(may_train)), np.flatnonzero(may_train)
        parts = inputs.parts(rows, BATCH)
        count, entry, entries_of = self._entries(example, rows)
        shape = (count + inputs.views * len(training_rows), *entry.shape)
        with files.replacing(target) as temporary:
            dtype = np.float32 if self.number_format == "fp32" else np.uint16
            array = mapped_arrays.create(temporary, dtype, shape)
            for part, activations in self._compute_plain(rows, parts):
                indices, entries = entries_of(part, activations)
                array[indices] = self._bits(entries)
            for part, activations in self._compute_views(training_rows):
                array[count + part] = self._bits(activations)
            array.flush()
        size = shape[0] * entry.nbytes / 1e6
        _log.info("%s activations in %s, %.0f MB", "x".join(map(str, shape)), self.number_format, size)
        return {
            "each": "example" if self._token_counts(example) is None else "token",
            "shape": list(shape[1:]),
            "form": self.number_format,
            "layout": _layout(example),
            "views": inputs.views,
        }

    def in_memory(self, rows: np.ndarray, limit: float) -> StoredActivations | None:
        """Return the activations of some rows, held on the device; None if they take more than ``limit`` bytes."""
        inputs, example = self.inputs, self.example()
        count, entry, entries_of = self._entries(example, rows)
        if entry.nbytes * count > limit:
            return None
        parts = inputs.parts(rows, BATCH)
        stored = torch.empty((count, *entry.shape), dtype=entry.dtype)
        for part, activations in self._compute_plain(rows, parts):
            indices, entries = entries_of(part, activations)
            stored[torch.from_numpy(indices)] = entries
        # Rows without stored activations have an index that is out of range.
        index = np.full(int(rows.max()) + 1, count)
        lengths = self._token_counts(example)
        if lengths is not None:
            index[rows] = _starts(lengths[rows])
            return TokenActivations(stored.to(inputs.device), index, lengths, inputs.device)
        index[rows] = np.arange(len(rows))
        return Activations(stored.to(inputs.device), index, inputs.device, LAYOUTS[_layout(example)])

    def _compute_plain(
        self, rows: np.ndarray, parts: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield the activations without augmentation. parts: positions within ``rows``, see ``Inputs.parts``."""
        return self._compute(parts, lambda part: self.inputs.plain(rows[part]))

    def _compute_views(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield the activations of the views of rows, with their positions among all of them."""
        parts = _view_parts(self.inputs.views, len(rows))
        return self._compute(parts, lambda part: self.inputs.view(rows[part % len(rows)], part // len(rows)))

    def _compute(
        self, parts: Iterable[np.ndarray], inputs_of: Callable[[np.ndarray], torch.Tensor]
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        return compute(self.prefix, parts, inputs_of, self.inputs.device, self.number_format)

    def _entries(
        self, example: torch.Tensor, rows: np.ndarray
    ) -> tuple[int, torch.Tensor, Callable[[np.ndarray, torch.Tensor], tuple[np.ndarray, torch.Tensor]]]:
        """Return the number of entries of rows, one entry, and a function that splits a batch into entries.

        example: the activations of one example. The function takes positions within ``rows`` and their activations, and
        returns the indices of the entries among all of them, and the entries.
        """
        token_counts = self._token_counts(example)
        if token_counts is None:
            return len(rows), example[0], lambda part, activations: (part, activations)
        lengths = token_counts[rows]
        starts = _starts(lengths)

        def entries_of(part: np.ndarray, activations: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
            positions, is_token = padded_positions(starts[part], lengths[part])
            return positions[is_token], activations[torch.from_numpy(is_token)]

        return int(lengths.sum()), example[0, 0], entries_of

    def _token_counts(self, example: torch.Tensor) -> np.ndarray | None:
        """Return the number of tokens of each example, (n,), if the prefix computes a vector per token, else None."""
        return self.inputs.lengths if example.ndim == 3 else None

    def _bits(self, activations: torch.Tensor) -> np.ndarray:
        if self.number_format == "fp32":
            return activations.numpy()
        return activations.contiguous().view(torch.uint16).numpy()


def feed(
    module: nn.Module,
    cut: Cut | None,
    inputs: Inputs,
    stored: StoredActivations | None,
    rows: np.ndarray,
    number_format: str,
) -> Feed:
    """Choose the part of a network that is computed to train or evaluate it on ``rows``, and its inputs.

    The part after the frozen prefix, from the stored activations or, without any, from those of ``rows``, computed now
    and held in memory. The whole network, from ``inputs``, if it is not cut, if training augments the inputs in each
    epoch, or if the activations take more than MEMORY. number_format: of the activations held in memory.
    """
    if cut is None:
        return Feed(module, inputs)
    if stored is not None:
        return Feed(cut.suffix, stored, inputs)
    held = None if inputs.augmented else FrozenPrefix(cut.prefix, inputs, number_format).in_memory(rows, MEMORY)
    return Feed(module, inputs) if held is None else Feed(cut.suffix, held, inputs)


def read(
    manifest: Path, may_train: np.ndarray, device: str, lengths: Callable[[], np.ndarray] | None = None
) -> StoredActivations | None:
    """Return the activations that ``FrozenPrefix.store`` wrote; None if the manifest says that none were stored.

    They are memory-mapped, or copied to a GPU with room for them. may_train: as passed to ``store``. lengths: returns
    the lengths of the examples, (n,), which activations of tokens need. Raises UserError if the file differs from the
    one that the manifest describes.
    """
    content, file = artefacts.read_features(manifest), manifest.parent / FILE
    if not content["stored"]:
        return None
    artefacts.require(file, content["sha256"], "features")
    # Copy on write: nothing is written, but torch warns about arrays that are not writable.
    array, layout = np.load(file, mmap_mode="c", allow_pickle=False), content["activations"]
    tensor = resident(torch.from_numpy(array).view(precision.DTYPES[layout["form"]]), device)
    if layout["each"] == "token":
        if lengths is None:
            raise ValueError("activations of tokens need the lengths of the examples")
        counts = lengths()
        return TokenActivations(tensor, _starts(counts), counts, device)
    index, index_in_view = np.arange(len(may_train)), np.cumsum(may_train) - 1
    return Activations(tensor, index, device, LAYOUTS[layout["layout"]], layout["views"], index_in_view)


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Return the index of the first token of each row, (rows,), where tokens of one row follow those of another."""
    return np.cumsum(lengths) - lengths


def _layout(activations: torch.Tensor) -> str:
    """Return the name, a key of LAYOUTS, of the memory layout of a batch of activations."""
    channels_last = activations.is_contiguous(memory_format=torch.channels_last) if activations.ndim == 4 else False
    return "channels last" if channels_last and not activations.is_contiguous() else "as indexed"
