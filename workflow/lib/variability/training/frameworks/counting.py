"""Baselines that count: popularity and similarities of items in closed form, with NumPy and SciPy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability import registry
from variability.training import device as devices
from variability.training.fit_loop import FitData, FitResult, FitSpec
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles

if TYPE_CHECKING:
    import torch
    from scipy import sparse

#: Number of examples to score, and of items to compare with all others, at a time.
_CHUNK = 512


class Counting(Framework):
    """Computes the baselines of ``providers.counting``, in which method, recipe and seed change nothing."""

    PACKAGES: ClassVar[tuple[str, ...]] = ("scipy", "torch")
    USES_GPU: ClassVar[bool] = False
    SEEDED: ClassVar[bool] = False

    configure = staticmethod(devices.configure)

    @staticmethod
    @contextmanager
    def lease(runs_per_gpu: int = 1) -> Iterator[str]:
        yield "cpu"

    def __init__(
        self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles, device: str
    ) -> None:
        from variability.data.item_sequences import ItemSequences
        from variability.data.prepared_task import open_task

        self.task = open_task(input_files.task)
        self._provider = registry.find("providers", model["provider"])(model)
        self._sequences = ItemSequences.of(self.task.inputs, self.task.facts)
        self._counts: dict[str, np.ndarray] = {}

    def fit(self, spec: FitSpec) -> FitResult:
        started, data = time.perf_counter(), spec.data
        interactions = self._interactions(*self._sequences.sequences(data.train), len(data.train))
        if self._provider.model["architecture"] == "popularity":
            self._counts = {"popularity": np.asarray(interactions.sum(axis=0), dtype=np.float32).ravel()}
        else:
            options = (self._provider.option(name) for name in ("neighbours", "shrinkage"))
            self._counts = _packed(similarities(interactions, *options))
        measure = None
        if len(data.validation):
            summaries = self._summaries(data.validation, data)
            _, measure = data.kind.evaluate(summaries, data.labels[data.validation])
        seconds = time.perf_counter() - started
        # Counts and sums of similarities are not log-probabilities, so there is no loss.
        row = {"epoch": 0, "train_loss": None, "validation_loss": None, f"validation_{data.kind.MEASURE}": measure}
        row |= {"lr": None, "seconds": seconds, "examples_per_second": len(data.train) / seconds}
        spec.on_epoch(row)
        return FitResult("completed", None, 0, 0, [row], False, [])

    def save_trained(self, path: Path, fingerprint: str) -> None:
        import safetensors.numpy

        from variability.io import files

        with files.replacing(path) as temporary:
            safetensors.numpy.save_file(self._counts, temporary, metadata={"fingerprint": fingerprint})

    def save_whole(self, path: Path) -> None:
        raise NotImplementedError("baselines that count cannot be pretrained")

    def predictions(
        self, seed: int, checkpoint: Path | None, rows: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        import safetensors.numpy

        data = self.data(seed)
        for phase in ("before", "after") if checkpoint else ("before",):
            self._counts = safetensors.numpy.load_file(checkpoint) if checkpoint and phase == "after" else {}
            for split, of_split in rows.items():
                yield phase, split, self._summaries(of_split, data).numpy()

    def input_spec(self) -> dict[str, Any]:
        return {"exclude_seen": self.task.facts["exclude_seen"]}

    def hardware(self) -> dict[str, Any]:
        return devices.hardware("cpu")

    def _interactions(self, user_rows: np.ndarray, items: np.ndarray, users: int) -> sparse.csr_array:
        """Return float64 (users, items): 1 for the items in a user's history, however often."""
        from scipy import sparse

        shape = (users, self.task.facts["items"])
        interactions = sparse.coo_array((np.ones(len(items)), (user_rows, items)), shape=shape).tocsr()
        interactions.data[:] = 1
        return interactions

    def _summaries(self, rows: np.ndarray, data: FitData) -> torch.Tensor:
        """Return the summaries of the scores of all items, see ``Kind.summary``."""
        import torch

        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        return torch.cat([data.summary(torch.from_numpy(self._scores(chunk)), chunk).float() for chunk in chunks])

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        """Return float64 (rows, items): -inf for items that cannot be the answer; 0 for all others before the fit."""
        scores = np.zeros((len(rows), self.task.facts["items"]))
        if "popularity" in self._counts:
            scores += self._counts["popularity"]
        elif self._counts:
            interactions = self._interactions(*self._sequences.histories(rows), len(rows))
            scores += (interactions @ _unpacked(self._counts)).toarray()
        if excluded := self._sequences.excluded(rows):
            scores[excluded] = -np.inf
        return scores


def similarities(interactions: sparse.csr_array, neighbours: int, shrinkage: float) -> sparse.csr_array:
    """Return (items, items): in column i the cosine similarities of item i to its ``neighbours`` most similar items.

    interactions: (users, items) of 0 and 1. similarity = users of both / (sqrt(users of one * users of the other) +
    shrinkage); among equal ones, items with lower numbers come first.
    """
    from scipy import sparse

    counts = np.asarray(interactions.sum(axis=0)).ravel()
    columns, items = interactions.tocsc(), interactions.shape[1]
    nearest_of, values = [], []
    for first in range(0, items, _CHUNK):
        chunk = np.arange(first, min(first + _CHUNK, items))
        # (chunk, items): only the rows of a chunk are dense at a time.
        shared_users = (columns[:, chunk].T @ columns).toarray()
        shared_users[np.arange(len(chunk)), chunk] = 0
        similarity = shared_users / np.maximum(np.sqrt(np.outer(counts[chunk], counts)) + shrinkage, 1e-12)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
        nearest_of.append(nearest)
        values.append(np.take_along_axis(similarity, nearest, axis=1))
    rows, values = np.concatenate(nearest_of), np.concatenate(values)
    of_items = np.repeat(np.arange(items), rows.shape[1])
    matrix = sparse.coo_array((values.ravel(), (rows.ravel(), of_items)), shape=(items, items)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _packed(matrix: sparse.csr_array) -> dict[str, np.ndarray]:
    return {
        "similarity": matrix.data.astype(np.float32),
        "item": matrix.indices.astype(np.int64),
        "start": matrix.indptr.astype(np.int64),
    }


def _unpacked(packed: dict[str, np.ndarray]) -> sparse.csr_array:
    from scipy import sparse

    items = len(packed["start"]) - 1
    parts = (packed["similarity"].astype(np.float64), packed["item"], packed["start"])
    return sparse.csr_array(parts, shape=(items, items))
