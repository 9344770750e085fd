"""PyTorch."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.data.augmentation_spec import NO_AUGMENTATION
from variability.training import device as devices
from variability.training import gpu_lease
from variability.training.fit_loop import FitResult, FitSpec
from variability.training.frameworks import Framework, FrozenPart
from variability.training.input_files import InputFiles

if TYPE_CHECKING:
    from variability.data.inputs import Inputs
    from variability.training.activations import Feed
    from variability.training.stored_features import StoredActivations


class Pytorch(Framework):
    """Trains all networks that are torch modules, whichever library they come from."""

    USES_TORCH_INPUTS: ClassVar[bool] = True
    STORES_FEATURES: ClassVar[bool] = True
    SHARES_RUNS: ClassVar[bool] = True
    PACKAGES: ClassVar[tuple[str, ...]] = ("torch",)

    configure = staticmethod(devices.configure)
    lease = staticmethod(gpu_lease.lease)
    lease_several = staticmethod(gpu_lease.lease_several)

    def __init__(
        self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles, device: str
    ) -> None:
        from variability.data.prepared_task import open_task
        from variability.training.seeded_network import SeededNetwork

        self.task = open_task(input_files.task)
        self._device = device
        self._seeded = SeededNetwork(model, method, self.task, input_files, device)
        self._tokens = input_files.tokens
        self._inputs: dict[str, Inputs] = {}
        self._stored = self._read_features(input_files.features) if input_files.features else None

    def fit(self, spec: FitSpec) -> FitResult:
        from variability.training.torch_fit import TorchFitLoop

        network = self._seeded.reset(spec.seed)
        rows = np.sort(np.concatenate([spec.data.train, spec.data.validation]))
        feed = self._feed(rows, spec.recipe["augmentation"], spec.recipe["precision"])
        if self.shared is None:
            return TorchFitLoop(spec, network, self._seeded.trainable, feed, self._seeded.active).run()
        from variability.training.shared_fit import SharedFitLoop

        with self.shared(spec) as ranks:
            return SharedFitLoop(ranks, spec, network, self._seeded.trainable, feed, self._seeded.active).run()

    def save_trained(self, path: Path, fingerprint: str) -> None:
        from variability.training import checkpoints

        meta = {"fingerprint": fingerprint, "frozen_sha256": self._seeded.frozen_sha256}
        checkpoints.save_checkpoint(path, self._seeded.network, self._seeded.trainable, meta)

    def save_whole(self, path: Path) -> None:
        import safetensors.torch

        from variability.io import files

        state = self._seeded.module.state_dict()
        with files.replacing(path) as temporary:
            safetensors.torch.save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, temporary)

    def predictions(
        self, seed: int, checkpoint: Path | None, rows: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        from variability.training import checkpoints, inference

        data, network, trainable = self.data(seed), self._seeded.reset(seed), self._seeded.trainable
        network.module.eval()
        feeds = self._feeds(np.sort(np.concatenate(list(rows.values()))))
        for phase in ("before", "after") if checkpoint else ("before",):
            if checkpoint and phase == "after":
                checkpoints.load_checkpoint(checkpoint, network, trainable, self._seeded.frozen_digests())
            for split, of_split in rows.items():
                summaries = inference.outputs(feeds[phase].module, feeds[phase].inputs, of_split, data.summary)
                yield phase, split, summaries.numpy()

    def with_features(self, manifest: Path | None) -> "Pytorch":
        framework = copy.copy(self)
        framework._stored = self._read_features(manifest) if manifest else None
        return framework

    def frozen(self, precision: str, augmentation: Mapping[str, Any]) -> FrozenPart | None:
        from variability.training import stored_features
        from variability.training.precision import require

        require(self._device, precision)
        self._seeded.reset(seed=0)
        self._seeded.module.eval()
        cut, examples = self._seeded.cut, self._examples(augmentation)
        return cut and stored_features.FrozenPrefix(cut.prefix, examples, precision)

    def input_spec(self) -> dict[str, Any]:
        return self._seeded.provider.input_spec(self.task.facts)

    def hardware(self) -> dict[str, Any]:
        return devices.hardware(self._device)

    def _read_features(self, manifest: Path) -> "StoredActivations | None":
        from variability.training import stored_features

        def lengths() -> np.ndarray | None:
            return self._examples(NO_AUGMENTATION).lengths

        return stored_features.read(manifest, self.task.may_train, self._device, lengths)

    def _examples(self, augmentation: Mapping[str, Any]) -> "Inputs":
        """Return the task's examples as inputs, opened once for each augmentation."""
        name = repr(augmentation)
        if name not in self._inputs:
            provider = self._seeded.provider
            self._inputs[name] = self.task.modality.inputs(
                self.task, provider, self._tokens, self._device, augmentation
            )
        return self._inputs[name]

    def _feeds(self, rows: np.ndarray) -> dict[str, "Feed"]:
        """Return the module to compute for rows, with its inputs, before and after training."""
        from variability.training.activations import Feed

        examples = self._examples(NO_AUGMENTATION)
        if self._stored is not None and self._seeded.cut is None:
            before = Feed(self._seeded.head_cut.suffix, self._stored, examples)
            return {"before": before, "after": Feed(self._seeded.module, examples)}
        both = self._feed(rows, NO_AUGMENTATION, "fp32")
        return {"before": both, "after": both}

    def _feed(self, rows: np.ndarray, augmentation: Mapping[str, Any], number_format: str) -> "Feed":
        """Return the module to compute for rows, with its inputs, see ``stored_features.feed``."""
        from variability.training import stored_features

        examples = self._examples(augmentation)
        return stored_features.feed(self._seeded.module, self._seeded.cut, examples, self._stored, rows, number_format)
