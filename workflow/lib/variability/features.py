"""Activations of frozen prefixes: computed once, stored, and opened again."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from variability import files, precision
from variability.inputs import Activations, Feed, Images, resident
from variability.untrained import Untrained

_log = logging.getLogger(__name__)

#: What lies beside the manifest of stored activations.
FILE = "activations.npy"
BATCH = 256
#: Bytes of activations that a job may hold in memory, where no rule has stored them.
MEMORY = 10**9
#: The seed of the stored views' augmentations, which all runs share: a run's own seed chooses among them.
VIEWS_SEED = 0


@torch.no_grad()
def compute(prefix: nn.Module, batches: Iterator[torch.Tensor], device: str, form: str) -> Iterator[torch.Tensor]:
    """The activations of batches of images, on the CPU, in the number format ``form`` (fp32, bf16, fp16)."""
    # One context around all: it keeps the weights it has converted.
    with precision.autocast(device, form):
        for batch in batches:
            yield prefix(batch).to(precision.DTYPES[form]).cpu()


def plain(images: Images, rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Batches of rows as they are."""
    return (images.plain(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH))


def views(images: Images, rows: np.ndarray, count: int) -> Iterator[torch.Tensor]:
    """Batches of ``count`` augmented views of rows, view after view."""
    for view in range(count):
        for number, at in enumerate(range(0, len(rows), BATCH)):
            yield images.training(rows[at : at + BATCH], VIEWS_SEED, view, number)


def example_bytes(prefix: nn.Module, images: Images, device: str, form: str) -> tuple[tuple[int, ...], int]:
    """Shape of one example's activations, and how many bytes they take."""
    (one,) = compute(prefix, plain(images, np.zeros(1, dtype=np.int64)), device, form)
    return tuple(one.shape[1:]), one.element_size() * math.prod(one.shape[1:])


def estimate(prefix: nn.Module, images: Images, trains: np.ndarray, count: int, device: str, form: str) -> int:
    """Bytes that ``store`` would write."""
    _, each = example_bytes(prefix, images, device, form)
    return (len(trains) + count * int(trains.sum())) * each


def feed(untrained: Untrained, images: Images, stored: Activations | None, rows: np.ndarray, form: str) -> Feed:
    """What is to be computed of an untrained network, and from what, to train or evaluate it on ``rows``.

    The rest after the frozen prefix, from its stored activations or from those of ``rows``, computed once and held in
    memory; all of it, from the images, where nothing is frozen, fresh augmentations are asked for, or MEMORY is too
    little. untrained: has built its network. form: number format of what is held.
    """
    whole, cut = Feed(untrained.module, images), untrained.cut
    if cut is None:
        return whole
    if stored is not None:
        return Feed(cut.suffix, stored)
    held = None if images.augmented else in_memory(cut.prefix, images, rows, untrained.device, form, MEMORY)
    return whole if held is None else Feed(cut.suffix, held)


def in_memory(
    prefix: nn.Module, images: Images, rows: np.ndarray, device: str, form: str, limit: float
) -> Activations | None:
    """The activations of some rows as they are, held in memory; None where they take more than ``limit`` bytes."""
    _, each = example_bytes(prefix, images, device, form)
    if each * len(rows) > limit:
        return None
    stored = torch.cat(list(compute(prefix, plain(images, rows), device, form)))
    places = np.full(int(rows.max()) + 1, -1)
    places[rows] = np.arange(len(rows))
    return Activations(stored.to(device), places, device)


def store(
    prefix: nn.Module, images: Images, trains: np.ndarray, count: int, device: str, form: str, target: Path
) -> dict[str, Any]:
    """Writes the activations of all images, then of ``count`` views of the rows that may train; returns their layout.

    trains: (n,) bool. The layout, {shape, form, views}, is what ``opened`` needs. Half precision of either kind is
    stored as 16-bit integers of the same bits, because NumPy has no bfloat16.
    """
    shape, each = example_bytes(prefix, images, device, form)
    rows, training = np.arange(len(trains)), np.flatnonzero(trains)
    total = len(rows) + count * len(training)
    with files.replacing(target) as aside:
        array = np.lib.format.open_memmap(aside, "w+", np.float32 if form == "fp32" else np.uint16, (total, *shape))
        at = 0
        for batches in (plain(images, rows), views(images, training, count)):
            for activations in compute(prefix, batches, device, form):
                bits = activations if form == "fp32" else activations.view(torch.uint16)
                array[at : at + len(bits)] = bits.numpy()
                at += len(bits)
        array.flush()
    _log.info("%d x %s activations in %s, %.0f MB", total, "x".join(map(str, shape)), form, total * each / 1e6)
    return {"shape": list(shape), "form": form, "views": count}


def opened(manifest: Path, trains: np.ndarray, device: str) -> Activations | None:
    """What ``store`` wrote, memory-mapped, or on a GPU with room for it; None where nothing was stored.

    trains: as given to ``store``.
    """
    about = files.read_json(manifest)
    if not about["stored"]:
        return None
    # Copy on write: nothing writes, but a tensor of an array that cannot be written is warned of.
    array = np.load(manifest.parent / FILE, mmap_mode="c", allow_pickle=False)
    tensor = torch.from_numpy(array).view(precision.DTYPES[about["layout"]["form"]])
    places, ranks = np.arange(len(trains)), np.cumsum(trains) - 1
    return Activations(resident(tensor, device), places, device, about["layout"]["views"], ranks)
