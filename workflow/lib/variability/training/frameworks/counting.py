"""No library that trains: counts and similarities in closed form, with NumPy and SciPy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from variability import registry
from variability.training import device as devices
from variability.training.fit_loop import FitData, FitResult
from variability.training.frameworks import Framework

if TYPE_CHECKING:
    from scipy import sparse

#: Examples scored, and items compared with all others, at a time.
_PART = 512


class Counting(Framework):
    """What ``providers.counting`` names: nothing is random, and the method, the recipe and the seed change nothing."""

    PACKAGES: ClassVar[tuple[str, ...]] = ("scipy", "torch")
    ON_GPU: ClassVar[bool] = False
    SEEDED: ClassVar[bool] = False

    configure = staticmethod(devices.configure)

    @staticmethod
    @contextmanager
    def lease() -> Iterator[str]:
        yield "cpu"

    def __init__(self, model, method, sources, device):
        from variability.data.item_sequences import Histories
        from variability.data.prepared_task import open_task

        self.task = open_task(sources.task)
        self._provider = registry.find("providers", model["provider"])(model)
        self._histories = Histories.of(self.task.inputs, self.task.facts)
        self._counted: dict[str, np.ndarray] = {}

    def fit(self, spec):
        started, data = time.perf_counter(), spec.data
        taken = self._taken(*self._histories.whole(data.train), len(data.train))
        if self._provider.model["architecture"] == "popularity":
            self._counted = {"popularity": np.asarray(taken.sum(axis=0), dtype=np.float32).ravel()}
        else:
            options = (self._provider.option(name) for name in ("neighbours", "shrinkage"))
            self._counted = _packed(similarities(taken, *options))
        measured = None
        if len(data.validation):
            _, measured = data.kind.evaluate(self._said(data.validation, data), data.labels[data.validation])
        seconds = time.perf_counter() - started
        # Counts and sums of similarities are no log-probabilities, so there is no loss.
        row = {"epoch": 0, "train_loss": None, "validation_loss": None, f"validation_{data.kind.MEASURE}": measured}
        row |= {"lr": None, "seconds": seconds, "examples_per_second": len(data.train) / seconds}
        spec.on_epoch(row)
        return FitResult("completed", None, 0, 0, [row], False)

    def save_trained(self, path, fingerprint):
        import safetensors.numpy

        from variability.io import files

        with files.replacing(path) as aside:
            safetensors.numpy.save_file(self._counted, aside, metadata={"fingerprint": fingerprint})

    def save_whole(self, path):
        raise NotImplementedError("nothing is pretrained that is counted")

    def predictions(self, seed, checkpoint, rows):
        import safetensors.numpy

        data = self.data(seed)
        for phase in ("before", "after") if checkpoint else ("before",):
            self._counted = safetensors.numpy.load_file(checkpoint) if phase == "after" else {}
            for split, chosen in rows.items():
                yield phase, split, self._said(chosen, data).numpy()

    def input_spec(self):
        return {"exclude_seen": self.task.facts["exclude_seen"]}

    def hardware(self):
        return devices.hardware("cpu")

    def _taken(self, who: np.ndarray, items: np.ndarray, users: int) -> sparse.csr_array:
        """float64 (users, items): 1 where a user has taken an item, however often."""
        from scipy import sparse

        shape = (users, self.task.facts["items"])
        taken = sparse.coo_array((np.ones(len(items)), (who, items)), shape=shape).tocsr()
        taken.data[:] = 1
        return taken

    def _said(self, rows: np.ndarray, data: FitData):
        """Summaries of the scores of all items, see ``Kind.summary``."""
        import torch

        parts = [rows[at : at + _PART] for at in range(0, len(rows), _PART)]
        scores = (torch.from_numpy(self._scores(part)) for part in parts)
        return torch.cat([data.summary(each, part).float() for each, part in zip(scores, parts, strict=True)])

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        """float64 (rows, items), -inf of what cannot be the answer. Before counting all others score 0."""
        scores = np.zeros((len(rows), self.task.facts["items"]))
        if "popularity" in self._counted:
            scores += self._counted["popularity"]
        elif self._counted:
            scores += (self._taken(*self._histories.before(rows), len(rows)) @ _unpacked(self._counted)).toarray()
        if seen := self._histories.seen(rows):
            scores[seen] = -np.inf
        return scores


def similarities(taken: sparse.csr_array, neighbours: int, shrinkage: float) -> sparse.csr_array:
    """(items, items): in column i the cosine similarities of item i to its most similar ones.

    taken: (users, items) of 0 and 1. similarity = users of both / (sqrt(users of one * users of the other) +
    shrinkage); of those that are equal the items of lower numbers come first.
    """
    from scipy import sparse

    counts = np.asarray(taken.sum(axis=0)).ravel()
    columns, items = taken.tocsc(), taken.shape[1]
    rows_of, values = [], []
    for first in range(0, items, _PART):
        part = np.arange(first, min(first + _PART, items))
        # (part, items), of which only a part is dense at a time.
        both = (columns[:, part].T @ columns).toarray()
        both[np.arange(len(part)), part] = 0
        alike = both / np.maximum(np.sqrt(np.outer(counts[part], counts)) + shrinkage, 1e-12)
        kept = np.argsort(-alike, axis=1, kind="stable")[:, :neighbours]
        rows_of.append(kept)
        values.append(np.take_along_axis(alike, kept, axis=1))
    rows_of, values = np.concatenate(rows_of), np.concatenate(values)
    places = np.repeat(np.arange(items), rows_of.shape[1])
    found = sparse.coo_array((values.ravel(), (rows_of.ravel(), places)), shape=(items, items)).tocsr()
    found.eliminate_zeros()
    return found


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
