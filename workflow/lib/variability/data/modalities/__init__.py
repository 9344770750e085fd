"""Modalities of examples, such as images: one file each.

To add a modality, write ``<name>.py`` in this folder with one subclass of ``Modality``, and a module with a subclass of
``data.inputs.Inputs`` that reads the stored examples for networks in torch (``_images.py`` is that of ``image.py``).
Then data sets and providers may name it as their ``MODALITY``.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from hashlib import blake2b
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
        ...

    @property
    def inputs(self) -> np.ndarray:
        """The array that ``Modality.write`` stored."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that ``Modality.write`` returned."""
        ...

    @property
    def label_names(self) -> Sequence[str]:
        """Names of items by their numbers; empty without names."""
        ...

    @property
    def example_ids(self) -> np.ndarray:
        """int64 (n,): positions of the examples in the data set, for messages."""
        ...


class Modality(ABC):
    """The storage of examples of one type, and their way into a network.

    ``prepare`` calls ``write`` once for a task. The training stages call ``inputs``, which opens what it stored. If
    TOKENIZED, the stage ``tokenize`` runs between them, once for each tokenizer, and calls ``encode``.

    options: value of the task's key that has the modality's name (``image: {size: 32}``), with defaults. A plug-in
    module must import without torch, because every check of a config imports it.
    """

    #: JSON schema of the options: {option: schema}, with defaults.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that a task must have.
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    #: Dotted name of a module with a function ``inputs`` of the signature of ``Modality.inputs``, which needs torch.
    #: It is named here and not imported, so that an edit of it does not run ``prepare`` again.
    INPUTS_MODULE: ClassVar[str]
    #: Dotted name of a module with a function ``previews`` like ``Modality.previews``, for the same reason.
    #: None if people cannot look at the examples.
    PREVIEWS_MODULE: ClassVar[str | None] = None
    #: Whether networks take the examples in an encoded form, made once by the stage ``tokenize``.
    TOKENIZED: ClassVar[bool] = False
    #: Whether a recipe's ``augmentation`` changes the inputs.
    AUGMENTED: ClassVar[bool] = False

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def write(self, path: Path, examples: Examples, rows: np.ndarray, label: str, threads: int) -> dict[str, Any]:
        """Store the examples of some rows in one .npy file, in the order of ``rows``.

        label: name of the task, for the progress bar and errors. threads: number of examples to read at a time.
        Returns facts that reading the file needs, as plain values; they become the task's ``facts``. Raises
        UnreadableExamples with all that cannot be read, and UserError naming an example that cannot be stored.
        """

    def digests(self, stored: np.ndarray, count: int) -> Sequence[bytes] | None:
        """Return a digest of the content of each example, by which equal ones are found; None if they are not compared.

        stored: array that ``write`` stored, with the examples along its first axis unless this method is overridden.
        count: number of examples.
        """
        return [blake2b(example.data, digest_size=16).digest() for example in np.ascontiguousarray(stored)]

    def content(self, example: Any) -> Hashable:
        """Return what is equal for examples with equal digests, of one in the form that the data set returns."""
        return example

    def encode(self, task: StoredExamples, provider: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the examples of a task in a provider's encoding, as one array, and facts about it, as plain values.

        Only called if TOKENIZED. Raises UserError naming an example that cannot be encoded.
        """
        raise NotImplementedError(f"{type(self).__name__} examples are not encoded")

    def inputs(
        self, task: StoredExamples, provider: Any, tokens: Path | None, device: str, augmentation: dict[str, Any]
    ) -> Inputs:
        """Return the examples of a task as inputs of a provider's networks, by ``inputs`` of INPUTS_MODULE.

        tokens: manifest of ``tokenize`` if TOKENIZED, otherwise None. augmentation: that of the recipe.
        """
        return importlib.import_module(self.INPUTS_MODULE).inputs(task, provider, tokens, device, augmentation)

    def previews(self, task: StoredExamples, rows: Sequence[int]) -> list[dict[str, str]]:
        """Return what people look at for some examples, {"image": data URI} or {"text": ...}, by PREVIEWS_MODULE."""
        if self.PREVIEWS_MODULE is None:
            return [{} for _ in rows]
        return importlib.import_module(self.PREVIEWS_MODULE).previews(task, rows)

    @abstractmethod
    def example_batch(self, provider: Any, facts: dict[str, Any]) -> Any:
        """Return a made-up batch of two examples, a tensor on the CPU, to trace a network with."""


def find(name: str, options: dict[str, Any] | None = None) -> Modality:
    """Return the modality of this name. options: of a task; defaults are filled in."""
    plugin = registry.find("modalities", name)
    defaults = {option: schema["default"] for option, schema in plugin.OPTIONS.items() if "default" in schema}
    return plugin(defaults | (options or {}))
