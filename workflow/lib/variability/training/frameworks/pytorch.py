"""PyTorch."""

from typing import Any, ClassVar

import numpy as np

from variability.data.augmentation_spec import NO_AUGMENTATION
from variability.training import device as devices
from variability.training import gpu_lease
from variability.training.frameworks import Framework


class Pytorch(Framework):
    """Trains all networks that are torch modules, whichever library they come from."""

    FED: ClassVar[bool] = True
    STORES_FEATURES: ClassVar[bool] = True
    PACKAGES: ClassVar[tuple[str, ...]] = ("torch",)

    configure = staticmethod(devices.configure)
    lease = staticmethod(gpu_lease.lease)

    def __init__(self, model, method, sources, device):
        from variability.data.prepared_task import open_task
        from variability.training.seeded_network import SeededNetwork

        self.task = open_task(sources.task)
        self._device = device
        self._seeded = SeededNetwork(model, method, self.task, sources, device)
        self._tokens = sources.tokens
        self._inputs: dict[str, Any] = {}
        self._stored = self._opened(sources.features) if sources.features else None

    def fit(self, spec):
        from variability.training.torch_fit import TorchFitLoop

        network = self._seeded.reset(spec.seed)
        rows = np.sort(np.concatenate([spec.data.train, spec.data.validation]))
        feed = self._feed(rows, spec.recipe["augmentation"], spec.recipe["precision"])
        return TorchFitLoop(spec, network, self._seeded.trainable, feed, self._seeded.active).run()

    def save_trained(self, path, fingerprint):
        from variability.training import checkpoints

        meta = {"fingerprint": fingerprint, "frozen_sha256": self._seeded.frozen_sha256}
        checkpoints.save_checkpoint(path, self._seeded.network, self._seeded.trainable, meta)

    def save_whole(self, path):
        import safetensors.torch

        from variability.io import files

        state = self._seeded.module.state_dict()
        with files.replacing(path) as aside:
            safetensors.torch.save_file({name: each.cpu().contiguous() for name, each in state.items()}, aside)

    def predictions(self, seed, checkpoint, rows):
        from variability.training import checkpoints, inference

        data, network, trainable = self.data(seed), self._seeded.reset(seed), self._seeded.trainable
        network.module.eval()
        feeds = self._feeds(np.sort(np.concatenate(list(rows.values()))))
        for phase in ("before", "after") if checkpoint else ("before",):
            if phase == "after":
                checkpoints.load_checkpoint(checkpoint, network, trainable, self._seeded.frozen_sha256)
            for split, chosen in rows.items():
                said = inference.outputs(feeds[phase].module, feeds[phase].inputs, chosen, data.summary)
                yield phase, split, said.numpy()

    def frozen(self, precision, augmentation):
        from variability.training import stored_features
        from variability.training.precision import require

        require(self._device, precision)
        self._seeded.reset(seed=0)
        self._seeded.module.eval()
        cut, given = self._seeded.cut, self._given(augmentation)
        return cut and stored_features.FrozenPrefix(cut.prefix, given, precision)

    def input_spec(self):
        return self._seeded.provider.input_spec(self.task.facts)

    def hardware(self):
        return devices.hardware(self._device)

    def _opened(self, manifest):
        from variability.training import stored_features

        def lengths() -> np.ndarray:
            return self._given(NO_AUGMENTATION).lengths

        return stored_features.read(manifest, self.task.may_train, self._device, lengths)

    def _given(self, augmentation: dict[str, Any]):
        """The task's examples, opened once for an augmentation."""
        name = repr(augmentation)
        if name not in self._inputs:
            provider = self._seeded.provider
            self._inputs[name] = self.task.modality.inputs(
                self.task, provider, self._tokens, self._device, augmentation
            )
        return self._inputs[name]

    def _feeds(self, rows: np.ndarray) -> dict[str, Any]:
        """What to compute before and after training, and from what."""
        from variability.training.activations import Feed

        given = self._given(NO_AUGMENTATION)
        if self._stored is not None and self._seeded.cut is None:
            before = Feed(self._seeded.head_cut.suffix, self._stored, given)
            return {"before": before, "after": Feed(self._seeded.module, given)}
        both = self._feed(rows, NO_AUGMENTATION, "fp32")
        return {"before": both, "after": both}

    def _feed(self, rows: np.ndarray, augmentation: dict[str, Any], number_format: str) -> Any:
        """Return the part of the network to compute for rows, with its inputs, see ``stored_features.feed``."""
        from variability.training import stored_features

        given = self._given(augmentation)
        return stored_features.feed(self._seeded.module, self._seeded.cut, given, self._stored, rows, number_format)
