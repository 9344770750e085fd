"""Data sets: one file each. See ``Dataset`` for what a new one must say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.errors import Problem

#: What to do where files that ``download`` fetched are gone or damaged.
FETCH_AGAIN = "run again with `snakemake --forcerun download`"

PARTITIONS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Labelled images as a data set ships them, before any split is drawn.

    labels: (n,) int64, index into ``class_names``.
    class_names: one name per class, in label order.
    partition: (n,) of str: one of PARTITIONS where the data set ships partitions, "" where the workflow must split.
    read: index -> uint8 image of shape (height, width) or (height, width, 3). Called from several threads. Raises
        UserError naming the file if it does not decode.
    """

    labels: np.ndarray
    class_names: list[str]
    partition: np.ndarray
    read: Callable[[int], np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)


class Dataset(ABC):
    """A source of labelled images.

    A plug-in module must import without torch (the config is checked before the first job, in a process that must
    start quickly), so frameworks are imported inside the methods that need them.
    """

    #: JSON schema of the data set's ``options`` in the config: {option: schema}. Unknown options are errors.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that must be given.
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    #: Kinds of task that its targets can serve, of "classification" and "regression".
    KINDS: ClassVar[tuple[str, ...]] = ("classification",)

    def __init__(self, options: dict[str, Any]):
        self.options = options

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
