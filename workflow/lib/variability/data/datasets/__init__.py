"""Data sets: one file each. See ``Dataset`` for what a new one must say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.errors import Problem
from variability.extras import WithExtras
from variability.io.mirrors import find_file

PARTITIONS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Labelled examples as a data set ships them, before any split is drawn.

    labels: (n,) int64, index into ``class_names``, or float64 in regression.
    class_names: one name per class, in label order; none in regression.
    partition: (n,) of str: one of PARTITIONS where the data set ships partitions, "" where the workflow must split.
    read: index -> the example as its modality takes it. Called from several threads. Raises UserError naming the file
        if it cannot be read. An image is uint8 (height, width) or (height, width, 3).
    groups: (n,) int64: examples of the same number are not independent (ratings of one user); None where all are.
    facts: what the modality has to know of all examples together: plain values.
    """

    labels: np.ndarray
    class_names: list[str]
    partition: np.ndarray
    read: Callable[[int], Any]
    groups: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


class Dataset(WithExtras, ABC):
    """A source of labelled examples.

    A plug-in module must import without torch (the config is checked before the first job, in a process that must
    start quickly), so frameworks are imported inside the methods that need them.
    """

    #: JSON schema of the data set's ``options`` in the config: {option: schema}. Unknown options are errors.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that must be given.
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    #: What its examples are: a plug-in of the modalities.
    MODALITY: ClassVar[str] = "image"
    #: Kinds of task that its targets can serve, the one first that is meant where a task does not say.
    KINDS: ClassVar[tuple[str, ...]] = ("classification",)

    #: Examples that it is worth reading at a time; whatever their number, what is read is the same.
    THREADS: ClassVar[int] = 1

    #: What a task's split is where the config does not say.
    SPLIT: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def kinds(self) -> tuple[str, ...]:
        """Kinds of task that the targets can serve with these options, see KINDS."""
        return self.KINDS

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        """Problems with the options beyond their schema; keys relative to ``options``. Quick, offline, torch-free.

        mirrors: directories where ``download`` will find files before it asks the network.
        """
        return iter(())

    def is_remote(self) -> bool:
        """Whether files must be fetched before ``load``: only then does the rule ``download`` run for it."""
        return False

    def local_source(self) -> Path | None:
        """A file or folder of the user's that ``load`` reads, if there is one."""
        return None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        """The files and folders that ``download`` or ``load`` takes the examples from, if they are the user's own."""
        own = self.local_source() or ("path" in self.options and find_file(self.options["path"], mirrors))
        return [own] if own else []

    def size(self) -> dict[str, int] | None:
        """Examples per partition ("" for unpartitioned) where that is known without loading, for early checks."""
        return None

    def download(self, folder: Path, fetcher: Any) -> None:
        """Puts all that ``load`` needs into an empty ``folder``, through the ``fetching.Fetcher`` or from a local file.

        Raises UserError where something cannot be had or is not what was expected.
        """
        raise NotImplementedError(f"{type(self).__name__} has nothing to download")

    @abstractmethod
    def load(self, folder: Path | None) -> Examples:
        """Opens the data. folder: what ``download`` filled, or None for data sets that are not remote."""
