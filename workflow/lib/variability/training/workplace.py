"""Framework and device of the process that trains or predicts."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from variability.training import frameworks
from variability.training.followers import Followers
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles


class _Opened(NamedTuple):
    """The networks of a model. basis: model, method and files that they are built from."""

    basis: tuple[Mapping[str, Any], Mapping[str, Any], InputFiles]
    framework: Framework


class Workplace:
    """Framework and device of a process; the device is leased when it is first used and held until the block ends.

    model: a model's entry, which determines the framework and with it the available devices. threads: CPU threads of
    one operation. runs_per_gpu: number of processes that share a GPU. gpus_per_run: number of processes that train a
    run together, each on a device of its own. A process with nothing left to compute leases no device and does not
    import the framework's library.
    """

    def __init__(self, model: Mapping[str, Any], threads: int = 1, runs_per_gpu: int = 1, gpus_per_run: int = 1):
        self.framework_class = frameworks.of(model)
        self.threads = threads
        self.runs_per_gpu = runs_per_gpu
        self.gpus_per_run = gpus_per_run
        self._lease = ExitStack()
        self._latest: _Opened | None = None

    def __enter__(self) -> "Workplace":
        return self

    def __exit__(self, *exception: object) -> None:
        self._latest = None
        self._lease.close()
        self.__dict__.pop("devices", None)

    def framework(self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles) -> Framework:
        """Return the networks of a model, after comparing the files that they are built from with their checksums.

        Those of the latest call are used again if only the stored activations are others.
        """
        input_files.verify()
        basis = (model, method, replace(input_files, features=None))
        # Only the latest, because networks of several models may not fit into memory together.
        latest, self._latest = self._latest, None
        framework = latest.framework.with_features(input_files.features) if latest and latest.basis == basis else None
        del latest
        if framework is None:
            framework = self.framework_class(model, method, input_files, self.device)
            if self.gpus_per_run > 1:
                followers = Followers(model, method, input_files, self.threads, self.devices)
                framework.shared = self._lease.enter_context(followers).fitting
        self._latest = _Opened(basis, framework)
        return framework

    @property
    def device(self) -> str:
        """Name of the device of this process, configured to compute the same bits each time."""
        return self.devices[0]

    @cached_property
    def devices(self) -> list[str]:
        """Names of the devices of all processes that train a run together, that of this process first."""
        self.framework_class.configure(self.threads)
        if self.gpus_per_run > 1:
            return self._lease.enter_context(self.framework_class.lease_several(self.gpus_per_run))
        return [self._lease.enter_context(self.framework_class.lease(self.runs_per_gpu))]
