"""Frameworks: what trains networks and asks them for predictions; one file each. See ``Framework``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from variability import registry
from variability.errors import Problem
from variability.training.fit_loop import FitData, FitResult, FitSpec
from variability.training.input_files import InputFiles

if TYPE_CHECKING:
    from variability.data.prepared_task import PreparedTask
    from variability.models.methods import Method


class Frozen(Protocol):
    """Activations that could be stored."""

    def size(self, may_train: np.ndarray) -> int:
        """Return the number of bytes that ``store`` would write. may_train: (n,) bool, rows that some run trains on."""

    def store(self, may_train: np.ndarray, target: Path) -> dict[str, Any]:
        """Compute the activations and write them; return what reading them needs, as plain values."""


class Framework(ABC):
    """The networks of a (model, task, method) in one library, for one seed after another, on one device.

    model, method: entries of the config. sources: files. device: as ``lease`` gave it. A plug-in module must import
    without its library, which takes seconds: a job whose runs are all there ends without it.
    """

    #: Whether it takes what ``modalities.Modality.inputs`` gives, in torch.
    FED: ClassVar[bool] = False
    #: Whether what is frozen can be computed by the rule ``features`` and trained on from there.
    STORES_FEATURES: ClassVar[bool] = False
    #: Whether it computes on a GPU where there is one.
    ON_GPU: ClassVar[bool] = True
    #: Whether method, recipe and seed make a difference; else a model has one run of each task.
    SEEDED: ClassVar[bool] = True
    #: Packages whose versions a run's record states.
    PACKAGES: ClassVar[tuple[str, ...]]

    #: What the networks are for, opened.
    task: PreparedTask

    @classmethod
    def problems(cls, method: Method, recipe: Mapping[str, Any]) -> Iterator[Problem]:
        """What it cannot do of a method (key ``method``) or a recipe (``recipe.<key>``), said before the first job."""
        return iter(())

    @staticmethod
    @abstractmethod
    def configure(threads: int) -> None:
        """Makes this process compute the same bits each time. threads: CPU threads of one operation."""

    @staticmethod
    @abstractmethod
    def lease() -> AbstractContextManager[str]:
        """Yields the device to compute on, held for this process alone where it is a GPU."""

    @abstractmethod
    def __init__(self, model: Mapping[str, Any], method: Mapping[str, Any], sources: InputFiles, device: str):
        """Opens the task and the weights."""

    def data(self, seed: int) -> FitData:
        """The rows that a seed trains and validates on, and their labels."""
        task = self.task
        return FitData(task.labels, task.rows("train", seed), task.rows("validation", seed), task.kind)

    @abstractmethod
    def fit(self, spec: FitSpec) -> FitResult:
        """Train the network of the seed of ``spec``, whose data are those of ``data(seed)``."""

    @abstractmethod
    def save_trained(self, path: Path, fingerprint: str) -> None:
        """Writes what ``fit`` trained, as safetensors."""

    @abstractmethod
    def save_whole(self, path: Path) -> None:
        """Writes the whole network, its head included, as ``Provider.build`` takes it."""

    @abstractmethod
    def predictions(
        self, seed: int, checkpoint: Path | None, rows: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        """Phase (before, after), split, and what is said of its rows, see ``Kind.summary``: (rows, ...) float32.

        checkpoint: what ``save_trained`` wrote; None if there is no after. rows: by split. Inference is in fp32.
        """

    def frozen(self, precision: str, augmentation: Mapping[str, Any]) -> Frozen | None:
        """What the frozen part makes of the task's examples, where the framework STORES_FEATURES.

        None where the network cannot be cut. Raises UserError if the device lacks the precision.
        """
        raise NotImplementedError(f"{type(self).__name__} computes what is frozen batch by batch")

    @abstractmethod
    def input_spec(self) -> dict[str, Any]:
        """How examples are made ready, for a run's record."""

    @abstractmethod
    def hardware(self) -> dict[str, Any]:
        """What computes, for a run's record: plain values."""


def of(model: Mapping[str, Any]) -> type[Framework]:
    """The framework of a model's entry."""
    return registry.find("frameworks", registry.find("providers", model["provider"]).FRAMEWORK)
