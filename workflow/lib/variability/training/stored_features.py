"""Activations of frozen prefixes: computed once, stored, and opened again."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from variability import advice
from variability.data.batching import padded_positions
from variability.data.inputs import Inputs, resident
from variability.errors import UserError
from variability.io import files
from variability.training import precision
from variability.training.activations import Activations, Feed, TokenActivations
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.seeded_network import Untrained

#: Activations of each example, or of each token of it.
Stored = Activations | TokenActivations

_log = logging.getLogger(__name__)

#: What lies beside the manifest of stored activations.
FILE = "activations.npy"
BATCH = 256
LAYOUTS = {"channels last": torch.channels_last, "as indexed": torch.contiguous_format}
#: Bytes of activations that a job may hold in memory, where no rule has stored them.
MEMORY = 10**9


@dataclass(frozen=True)
class Frozen:
    """What a frozen prefix makes of all inputs, see ``store``: not computed yet."""

    prefix: nn.Module
    inputs: Inputs
    trains: np.ndarray
    device: str
    form: str

    def bytes(self) -> int:
        return estimate(self.prefix, self.inputs, self.trains, self.device, self.form)

    def store(self, target: Path) -> dict[str, Any]:
        return store(self.prefix, self.inputs, self.trains, self.device, self.form, target)


@torch.no_grad()
def compute(prefix: nn.Module, batches: Iterator[torch.Tensor], device: str, form: str) -> Iterator[torch.Tensor]:
    """The activations of batches of inputs, on the CPU, in the number format ``form`` (fp32, bf16, fp16)."""
    # One context around all: both keep the weights that they have converted.
    with precision.autocast(device, form), QuickLayers(prefix, device, form, training=False):
        for batch in batches:
            yield prefix(batch).to(precision.DTYPES[form]).cpu()


def plain(inputs: Inputs, rows: np.ndarray, parts: list[np.ndarray]) -> Iterator[torch.Tensor]:
    """Batches of rows as they are. parts: positions within ``rows``, see ``Inputs.parts``."""
    return (inputs.plain(rows[part]) for part in parts)


def views(inputs: Inputs, rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Batches of the augmented views of rows, view after view."""
    for view in range(inputs.views):
        for at in range(0, len(rows), BATCH):
            chosen = rows[at : at + BATCH]
            yield inputs.view(chosen, np.full(len(chosen), view))


def example(prefix: nn.Module, inputs: Inputs, device: str, form: str) -> torch.Tensor:
    """The activations of one image, (1, ...) in the layout that the prefix gives."""
    first = np.zeros(1, dtype=np.int64)
    (one,) = compute(prefix, plain(inputs, first, [first]), device, form)
    return one


def estimate(prefix: nn.Module, inputs: Inputs, trains: np.ndarray, device: str, form: str) -> int:
    """Bytes that ``store`` would write."""
    one = example(prefix, inputs, device, form)
    count, entry, _ = _entries(one, inputs, np.arange(len(trains)))
    return (count + inputs.views * int(trains.sum())) * entry.nbytes


def _entries(
    one: torch.Tensor, inputs: Inputs, rows: np.ndarray
) -> tuple[int, torch.Tensor, Callable[[np.ndarray, torch.Tensor], tuple[np.ndarray, torch.Tensor]]]:
    """How the activations of rows are stored: the number of entries, one of them, and a function that gives the entries
    of a batch and their places, of positions within ``rows`` and their activations.

    An entry is what the prefix says of an example, or, where that is a vector of each token, what it says of a token.
    one: the activations of one example.
    """
    if not _of_tokens(one, inputs):
        return len(rows), one[0], lambda part, activations: (part, activations)
    lengths = inputs.lengths[rows]
    starts = _starts(lengths)

    def placed(part: np.ndarray, activations: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        places, there = padded_positions(starts[part], lengths[part])
        return places[there], activations[torch.from_numpy(there)]

    return int(lengths.sum()), one[0, 0], placed


def _of_tokens(one: torch.Tensor, inputs: Inputs) -> bool:
    return inputs.lengths is not None and one.ndim == 3


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths


def feed(untrained: Untrained, inputs: Inputs, stored: Stored | None, rows: np.ndarray, form: str) -> Feed:
    """What is to be computed of an untrained network, and from what, to train or evaluate it on ``rows``.

    The rest after the frozen prefix, from its stored activations or from those of ``rows``, computed once and held in
    memory; all of it, from the inputs, where nothing is frozen, fresh augmentations are asked for, or MEMORY is too
    little. untrained: has built its network. form: number format of what is held.
    """
    whole, cut = Feed(untrained.module, inputs), untrained.cut
    if cut is None:
        return whole
    if stored is not None:
        return Feed(cut.suffix, stored, inputs)
    held = None if inputs.augmented else in_memory(cut.prefix, inputs, rows, untrained.device, form, MEMORY)
    return whole if held is None else Feed(cut.suffix, held, inputs)


def in_memory(
    prefix: nn.Module, inputs: Inputs, rows: np.ndarray, device: str, form: str, limit: float
) -> Stored | None:
    """The activations of some rows as they are, held in memory; None where they take more than ``limit`` bytes."""
    one = example(prefix, inputs, device, form)
    count, entry, placed = _entries(one, inputs, rows)
    if entry.nbytes * count > limit:
        return None
    parts = inputs.parts(rows, BATCH)
    stored = torch.empty((count, *entry.shape), dtype=entry.dtype)
    for part, activations in zip(parts, compute(prefix, plain(inputs, rows, parts), device, form), strict=True):
        places, entries = placed(part, activations)
        stored[torch.from_numpy(places)] = entries
    # A row that was not asked for has a place that does not exist.
    places = np.full(int(rows.max()) + 1, count)
    if _of_tokens(one, inputs):
        places[rows] = _starts(inputs.lengths[rows])
        return TokenActivations(stored.to(device), places, inputs.lengths, device)
    places[rows] = np.arange(len(rows))
    return Activations(stored.to(device), places, device, LAYOUTS[_layout(one)])


def store(
    prefix: nn.Module, inputs: Inputs, trains: np.ndarray, device: str, form: str, target: Path
) -> dict[str, Any]:
    """Writes the activations of all inputs, then of the views of the rows that may train.

    trains: (n,) bool. Returns {each, shape, form, layout, views}, which ``opened`` needs: what an entry is of, an
    example or a token; half precision of either kind is stored as 16-bit integers of the same bits, because NumPy has
    no bfloat16; elements stand in the file as indexed, whatever the layout that batches are to have.
    """
    one = example(prefix, inputs, device, form)
    rows, training = np.arange(len(trains)), np.flatnonzero(trains)
    parts = inputs.parts(rows, BATCH)
    count, entry, placed = _entries(one, inputs, rows)
    shape = (count + inputs.views * len(training), *entry.shape)
    with files.replacing(target) as aside:
        array = np.lib.format.open_memmap(aside, "w+", np.float32 if form == "fp32" else np.uint16, shape)
        for part, activations in zip(parts, compute(prefix, plain(inputs, rows, parts), device, form), strict=True):
            places, entries = placed(part, activations)
            array[places] = _bits(entries, form)
        at = count
        for activations in compute(prefix, views(inputs, training), device, form):
            array[at : at + len(activations)] = _bits(activations, form)
            at += len(activations)
        array.flush()
    _log.info("%s activations in %s, %.0f MB", "x".join(map(str, shape)), form, shape[0] * entry.nbytes / 1e6)
    each = "token" if _of_tokens(one, inputs) else "example"
    return {"each": each, "shape": list(shape[1:]), "form": form, "layout": _layout(one), "views": inputs.views}


def opened(
    manifest: Path, trains: np.ndarray, device: str, lengths: Callable[[], np.ndarray] | None = None
) -> Stored | None:
    """What ``store`` wrote, memory-mapped, or on a GPU with room for it; None where nothing was stored.

    trains: as given to ``store``. lengths: gives those of the examples, which activations of tokens need. Raises
    UserError if the file is not the one that the manifest is of.
    """
    about, file = files.read_json(manifest), manifest.parent / FILE
    if not about["stored"]:
        return None
    if not file.is_file() or files.sha256(file) != about["sha256"]:
        raise UserError(f"{file} is gone or is not the file that was stored; {advice.rerun('features')}")
    # Copy on write: nothing writes, but a tensor of an array that cannot be written is warned of.
    array, said = np.load(file, mmap_mode="c", allow_pickle=False), about["activations"]
    tensor = torch.from_numpy(array).view(precision.DTYPES[said["form"]])
    if said["each"] == "token":
        found = lengths()
        return TokenActivations(resident(tensor, device), _starts(found), found, device)
    places, ranks = np.arange(len(trains)), np.cumsum(trains) - 1
    return Activations(resident(tensor, device), places, device, LAYOUTS[said["layout"]], said["views"], ranks)


def _bits(activations: torch.Tensor, form: str) -> np.ndarray:
    return (activations if form == "fp32" else activations.contiguous().view(torch.uint16)).numpy()


def _layout(one: torch.Tensor) -> str:
    """The name of a batch's layout among LAYOUTS."""
    last = one.ndim == 4 and not one.is_contiguous() and one.is_contiguous(memory_format=torch.channels_last)
    return "channels last" if last else "as indexed"
