"""Frameworks: the libraries that train networks and compute their predictions; one file each. See ``Framework``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
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
    from variability.training.ranks import Ranks


class FrozenPart(Protocol):
    """The frozen part of a network, whose activations can be stored.

    may_train: (n,) bool, rows that some run trains on.
    """

    def size(self, may_train: np.ndarray) -> int:
        """Return the number of bytes that ``store`` would write."""
        ...

    def store(self, may_train: np.ndarray, target: Path) -> dict[str, Any]:
        """Compute the activations and write them; return, as plain values, what reading them requires."""
        ...


class Framework(ABC):
    """The networks of a (model, task, method) in one library, for one seed after another, on one device.

    model, method: entries of the config. input_files: paths of the task, weights and stored activations. device: name
    from ``lease``. A plug-in module must import without its library, which takes seconds to load: a job with nothing
    left to compute does not import it.
    """

    #: Whether batches are the torch tensors of ``modalities.Modality.inputs``.
    USES_TORCH_INPUTS: ClassVar[bool] = False
    #: Whether the rule ``features`` can store activations of the frozen part, and training can start from them.
    STORES_FEATURES: ClassVar[bool] = False
    #: Whether a job uses a GPU if there is one.
    USES_GPU: ClassVar[bool] = True
    #: Whether results depend on method, recipe and seed; otherwise a model has one run per task.
    SEEDED: ClassVar[bool] = True
    #: Packages whose versions are part of a run's record.
    PACKAGES: ClassVar[tuple[str, ...]]

    #: Whether several processes can train a run together, see ``shared``.
    SHARES_RUNS: ClassVar[bool] = False

    #: The task that the networks are for.
    task: PreparedTask
    #: Returns, for a fit, a context with access to the processes that make it together; None for one process.
    shared: Callable[[FitSpec], AbstractContextManager[Ranks]] | None = None

    @classmethod
    def problems(cls, method: Method, recipe: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield what the framework does not support, before the first job.

        Keys of the problems: ``method`` for the method, ``recipe.<key>`` for the recipe.
        """
        return iter(())

    @staticmethod
    @abstractmethod
    def configure(threads: int) -> None:
        """Configure this process to compute the same bits each time. threads: CPU threads of one operation."""

    @staticmethod
    @abstractmethod
    def lease(runs_per_gpu: int = 1) -> AbstractContextManager[str]:
        """Yield the name of the device to compute on.

        A GPU is held for this process alone, or for as many processes of this user as ``runs_per_gpu``.
        """

    @staticmethod
    def lease_several(count: int) -> AbstractContextManager[list[str]]:
        """Yield the devices of the processes of a run, if the framework SHARES_RUNS, each held for this run alone."""
        raise NotImplementedError("the framework trains a run in one process")

    @abstractmethod
    def __init__(
        self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles, device: str
    ) -> None:
        """Open the task and the weights."""

    def data(self, seed: int) -> FitData:
        """Return the labels, and the rows that a seed trains and validates on."""
        task = self.task
        return FitData(task.labels, task.rows("train", seed), task.rows("validation", seed), task.kind)

    @abstractmethod
    def fit(self, spec: FitSpec) -> FitResult:
        """Train the network of the seed of ``spec``, whose data are those of ``data(seed)``."""

    @abstractmethod
    def save_trained(self, path: Path, fingerprint: str) -> None:
        """Write the parts that ``fit`` trained, as safetensors."""

    @abstractmethod
    def save_whole(self, path: Path) -> None:
        """Write the whole network, including its head, in the form that ``Provider.build`` reads."""

    @abstractmethod
    def predictions(
        self, seed: int, checkpoint: Path | None, rows: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield (phase, split, summaries of the outputs for its rows): (rows, ...) float32, see ``Kind.summary``.

        Phases are before and after. checkpoint: a file of ``save_trained``; without one there is no phase after. rows:
        {split: row indices}. Inference is in fp32.
        """

    def with_features(self, manifest: Path | None) -> Framework | None:
        """Return these networks with other stored activations, which a job that trained them predicts with.

        manifest: of the activations, None without. None: they have to be built again.
        """
        return None

    def frozen(self, precision: str, augmentation: Mapping[str, Any]) -> FrozenPart | None:
        """Return the frozen part, with the examples of the task as its inputs, if the framework STORES_FEATURES.

        None if the network cannot be cut. Raises UserError if the device does not support the precision.
        """
        raise NotImplementedError(f"{type(self).__name__} computes its frozen part batch by batch")

    @abstractmethod
    def input_spec(self) -> dict[str, Any]:
        """Return how examples are preprocessed, for a run's record."""

    @abstractmethod
    def hardware(self) -> dict[str, Any]:
        """Return the hardware as plain values, for a run's record."""


def of(model: Mapping[str, Any]) -> type[Framework]:
    """Return the framework of a model's entry."""
    return registry.find("frameworks", registry.find("providers", model["provider"]).FRAMEWORK)
