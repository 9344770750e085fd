"""Data sets: one file each.

To add a data set, write ``<name>.py`` in this folder with one subclass of ``Dataset`` that implements ``load``, for
example::

    class Squares(Dataset):
        OPTIONS = {"count": {"type": "integer", "minimum": 1, "default": 100}}

        def load(self, folder):
            images, labels = ...
            return Examples(labels, ["dark", "light"], np.full(len(labels), ""), images.__getitem__)

A study uses it with ``tasks: {my_task: {dataset: squares, options: {count: 50}, image: {size: 32}}}``. A data set that
needs files from the network also implements ``is_remote`` and ``download``; one with constraints between its options
implements ``check``, and one that knows the number of its examples in advance ``size``. ``digits.py`` and ``npz.py``
are short examples of both sorts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import one_per_line, plural
from variability.errors import Problem, UserError
from variability.extras import WithExtras
from variability.io.mirrors import find_file

PARTITIONS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Labelled examples as a data set ships them, before any split is sampled.

    labels: (n,) int64, index into ``class_names``, or float64 in regression.
    class_names: one name per class, in label order; empty in regression and ranking.
    partition: (n,) of str: one of PARTITIONS if the data set ships partitions, "" if the workflow splits the example.
    read: maps an index to the example in the form that its modality takes. Called from several threads. Raises
        UserError naming the file if it cannot be read. An image is uint8 (height, width) or (height, width, 3).
    groups: (n,) int64: examples with the same number depend on each other (ratings of one user); None if all are
        independent.
    facts: properties of all examples together that the modality needs, as plain values.
    source: maps an index to the origin of the example in the data set: the path of a file relative to the data set's
        folder, with the line of a table (``train.csv:17``), or an index; None for the position in its partition.
    left_out: number of examples that are not used, by reason, such as {"without a text": 2}.
    remarks: sentences about what the data set has and the examples lack, such as files that are not read.
    skips_unreadable: whether examples that ``read`` cannot read are left out and counted; otherwise they are errors.
    label_names: names of labels that are numbers without being classes, such as the items of a catalogue, in their
        order; empty if the numbers are all there is. Results do not depend on them.
    unreadable: files and rows that the data set itself could not read, and leaves out for that reason.
    """

    labels: np.ndarray
    class_names: list[str]
    partition: np.ndarray
    read: Callable[[int], Any]
    groups: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    source: Callable[[int], str] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    skips_unreadable: bool = False
    unreadable: list[str] = field(default_factory=list)
    label_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)


class UnreadableExamples(UserError):
    """Examples that cannot be read: ``reasons`` by index."""

    def __init__(self, task: str, reasons: Mapping[int, str], count: int):
        self.reasons = dict(reasons)
        super().__init__(
            f"{task}: {len(self.reasons)} of {plural(count, 'example')} cannot be read; replace or remove them, or set "
            "the data set's option `unreadable: skip` to leave them out and count "
            f"them:\n{one_per_line(reasons.values())}"
        )


class Dataset(WithExtras, ABC):
    """A source of labelled examples.

    options: of the task in the config, without defaults. A plug-in module must import without torch, because every
    check of a config imports it and must be quick; import heavy libraries inside the methods that need them.
    """

    #: JSON schema of the ``options`` in the config: {option: schema}. Other options are errors.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that the config must set.
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    #: Name of the modality of its examples.
    MODALITY: ClassVar[str] = "image"
    #: Kinds of task that its labels can serve. The first is that of a task that names none.
    KINDS: ClassVar[tuple[str, ...]] = ("classification",)
    #: Number of examples to read at a time. It changes the speed only.
    THREADS: ClassVar[int] = 1
    #: Default values of a task's ``split``.
    SPLIT: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """Return an option from the config, or the default of its schema."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of task that the labels can serve with these options, see KINDS."""
        return self.KINDS

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        """Yield problems with the options that their schema cannot express; keys are relative to ``options``.

        Must be quick, offline and without torch. mirrors: directories in which ``download`` searches for files before
        it uses the network.
        """
        return iter(())

    def is_remote(self) -> bool:
        """Return whether ``load`` needs files that ``download`` puts into a folder first."""
        return False

    def local_source(self) -> Path | None:
        """Return the user's file or folder that ``load`` reads directly, if there is one."""
        return None

    def sources(self, mirrors: Sequence[Path]) -> list[Path]:
        """Return the user's files and folders that ``download`` or ``load`` reads. If they change, both run again."""
        source = self.local_source() or ("path" in self.options and find_file(self.options["path"], mirrors))
        return [source] if source else []

    def size(self) -> dict[str, int] | None:
        """Return the number of examples per partition ("" for unpartitioned), or None if it is unknown before loading.

        It allows to check a task's split before the first job.
        """
        return None

    def planned(self) -> Examples | None:
        """Return the examples if they are read while a study is planned, and reading their content takes no time.

        It allows to compare the partitions before the first job. Raises UserError if they cannot be read.
        """
        return None

    def download(self, folder: Path, fetcher: Any) -> None:
        """Put all files that ``load`` needs into the empty ``folder``, from the network, a mirror or a local file.

        fetcher: an ``io.fetcher.Fetcher``. Raises UserError if a file is not available or not the expected one.
        """
        raise NotImplementedError(f"{type(self).__name__} has nothing to download")

    @abstractmethod
    def load(self, folder: Path | None) -> Examples:
        """Open the data. folder: the one that ``download`` filled, or None if the data set is not remote."""
