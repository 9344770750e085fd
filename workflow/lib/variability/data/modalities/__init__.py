"""Modalities: what the examples of a task are, such as images; one file each. See ``Modality``."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from variability import registry

if TYPE_CHECKING:
    from variability.data.datasets import Examples
    from variability.data.inputs import Inputs


class StoredExamples(Protocol):
    """The examples of a prepared task: the part of ``PreparedTask`` that modalities read."""

    @property
    def name(self) -> str:
        """The task's name, for messages."""

    @property
    def inputs(self) -> np.ndarray:
        """The array that ``Modality.write`` stored."""

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that ``Modality.write`` returned."""

    @property
    def example_ids(self) -> np.ndarray:
        """int64 (n,): positions of the examples in the data set, for messages."""


class Modality(ABC):
    """How examples are stored, and how they enter a network.

    options: value of the task's key that has the modality's name (``image: {size: 32}``), with defaults. A plug-in
    module must import without torch.
    """

    #: JSON schema of the options: {option: schema}, with defaults.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that a task must have.
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    #: Module that feeds torch's networks, named and not imported: how examples are stored does not depend on it.
    FEED: ClassVar[str]
    #: Whether models need the examples in a form of their own, made once by the rule ``tokenize``.
    TOKENIZED: ClassVar[bool] = False
    #: Whether a recipe's ``augmentation`` changes what is fed.
    AUGMENTED: ClassVar[bool] = False

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def write(self, path: Path, examples: Examples, rows: np.ndarray, label: str, threads: int) -> dict[str, Any]:
        """Stores the examples of some rows in one .npy file, in their order.

        label: of the progress. Returns facts that reading them needs: plain values, which become the task's ``facts``.
        """

    def encode(self, task: StoredExamples, provider: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """The examples of a task as a provider's networks take them, one array, and facts of it: plain values.

        For a TOKENIZED modality. Raises UserError naming an example that cannot be encoded.
        """
        raise NotImplementedError(f"{type(self).__name__} examples are taken as they are")

    def inputs(
        self, task: StoredExamples, provider: Any, tokens: Path | None, device: str, augmentation: dict[str, Any]
    ) -> Inputs:
        """The examples of a task as the networks of a ``Provider`` take them, in torch: what ``inputs`` of FEED gives.

        tokens: manifest of ``tokenize`` for a TOKENIZED modality. augmentation: of the recipe.
        """
        return importlib.import_module(self.FEED).inputs(task, provider, tokens, device, augmentation)

    @abstractmethod
    def trial(self, provider: Any, facts: dict[str, Any]) -> Any:
        """A batch of two made-up examples, to trace a network with: a tensor on the CPU."""


def find(name: str, options: dict[str, Any] | None = None) -> Modality:
    """Return the modality of this name. options: of a task; defaults are filled in."""
    plugin = registry.find("modalities", name)
    defaults = {option: schema["default"] for option, schema in plugin.OPTIONS.items() if "default" in schema}
    return plugin(defaults | (options or {}))
