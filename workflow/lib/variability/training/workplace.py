"""Framework and device of the process that trains or predicts."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from variability.training import frameworks
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles


class Workplace:
    """Framework and device of a process; the device is leased when it is first used and held until the block ends.

    model: a model's entry, which determines the framework and with it the available devices. threads: CPU threads of
    one operation. runs_per_gpu: number of processes that share a GPU. A process with nothing left to compute leases no
    device and does not import the framework's library.
    """

    def __init__(self, model: Mapping[str, Any], threads: int = 1, runs_per_gpu: int = 1):
        self.framework_class = frameworks.of(model)
        self.threads = threads
        self.runs_per_gpu = runs_per_gpu
        self._lease = ExitStack()

    def __enter__(self) -> "Workplace":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lease.close()
        self.__dict__.pop("device", None)

    def framework(self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles) -> Framework:
        """Return the networks of a model, after comparing the files that they are built from with their checksums."""
        input_files.verify()
        return self.framework_class(model, method, input_files, self.device)

    @cached_property
    def device(self) -> str:
        """Name of the device, configured to compute the same bits each time."""
        self.framework_class.configure(self.threads)
        return self._lease.enter_context(self.framework_class.lease(self.runs_per_gpu))
